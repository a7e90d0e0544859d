/*
 * THE table of profiles: every fact broker-exec knows about a program. Adding a program is a row;
 * no code asks which one it is.
 *
 * Order inside a slot is preference: the proxy, because the program then has no secret at all; a
 * file, because it is replaced before it expires and a running program takes the new one, while an
 * environment never changes; the login's short token; a raw key last. Conflicting variables are those
 * that the program would take instead of ours, or beside it; they are unset, because DeerFlow and
 * others read a blank one as a value.
 */
#include "exec/profile.h"

#include "base/auto.h"

#include <string.h>

static const char *const claude_variables[] = {
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "ANTHROPIC_FEDERATION_RULE_ID",
    "ANTHROPIC_IDENTITY_TOKEN",
    "ANTHROPIC_IDENTITY_TOKEN_FILE",
    "ANTHROPIC_ORGANIZATION_ID",
    "ANTHROPIC_SERVICE_ACCOUNT_ID",
    "ANTHROPIC_UNIX_SOCKET", /* without an http base URL the program hangs */
    "CLAUDE_CODE_API_KEY_FILE_DESCRIPTOR",
    "CLAUDE_CODE_CREDENTIALS_PATH",
    "CLAUDE_CODE_OAUTH_TOKEN",
    "CLAUDE_CODE_OAUTH_TOKEN_FILE_DESCRIPTOR",
    "CLAUDE_CODE_USE_BEDROCK", /* another upstream with a login of its own */
    "CLAUDE_CODE_USE_FOUNDRY",
    "CLAUDE_CODE_USE_VERTEX",
    NULL,
};
static const char *const codex_variables[] = {
    "CODEX_API_KEY", "CODEX_AUTH_PATH", "CODEX_REFRESH_TOKEN_URL_OVERRIDE", "OPENAI_API_KEY", NULL,
};
static const char *const gemini_variables[] = {
    "GEMINI_API_KEY",
    "GOOGLE_API_KEY",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "GOOGLE_GENAI_USE_GCA",
    "GOOGLE_GENAI_USE_VERTEXAI",
    NULL,
};
static const char *const only_codex_file[] = {"CODEX_AUTH_PATH", NULL};
static const char *const only_openai_key[] = {"OPENAI_API_KEY", NULL};

static const char *const *const families[] = {claude_variables, codex_variables, gemini_variables};

/* Leaves only the requests to the model: no update checks, no telemetry. */
static const char *const claude_quiet[] = {
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1",
    "DISABLE_TELEMETRY=1",
    NULL,
};

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})

#define CLAUDE_FILE                                                                                \
    .link_env = "CLAUDE_CONFIG_DIR", .link_home = ".claude", .link_file = ".credentials.json"
#define CODEX_FILE .link_env = "CODEX_HOME", .link_home = ".codex", .link_file = "auth.json"

/* ---- the data plane, as each program is told of it */

/* The Unix socket needs the plain-HTTP base: without it the program hangs, and the token leaves by TCP. */
#define CLAUDE_BY_SOCKET(token)                                                                    \
    LIST(token "={token}", "ANTHROPIC_UNIX_SOCKET={proxy_socket}",                                 \
         "ANTHROPIC_BASE_URL=http://localhost")
#define ANTHROPIC(token) LIST(token "={token}", "ANTHROPIC_BASE_URL={base}")
/* OPENAI_API_BASE: openai-python before 1.0, and what was written for it. */
#define OPENAI                                                                                     \
    LIST("OPENAI_API_KEY={token}", "OPENAI_BASE_URL={base}/v1", "OPENAI_API_BASE={base}/v1")
/* Gemini CLI 0.61 reads a base URL as another way to log in, which it then refuses, unless its settings.json says
 * {"security":{"auth":{"selectedType":"gemini-api-key"}}}. */
#define GEMINI LIST("GEMINI_API_KEY={token}", "GOOGLE_GEMINI_BASE_URL={base}")

/* Codex takes a provider of its own from flags, and its key from the variable that it names. */
#define CODEX_FLAGS                                                                                \
    LIST("-c", "model_provider=\"broker\"", "-c", "model_providers.broker.name=\"broker\"", "-c",  \
         "model_providers.broker.base_url=\"{base}/v1\"", "-c",                                    \
         "model_providers.broker.env_key=\"CREDENTIAL_BROKER_TOKEN\"", "-c",                       \
         "model_providers.broker.wire_api=\"responses\"")
#define CODEX LIST("CREDENTIAL_BROKER_TOKEN={token}")
/* Of the two programs named codex-acp, one reads the flags and the other this variable, as JSON; each leaves the
 * other's alone. */
#define CODEX_ACP                                                                                  \
    LIST("CREDENTIAL_BROKER_TOKEN={token}", "MODEL_PROVIDER=broker",                               \
         "CODEX_CONFIG={\"model_provider\":\"broker\",\"model_providers\":{\"broker\":{"           \
         "\"name\":\"broker\",\"base_url\":\"{base}/v1\",\"env_key\":\"CREDENTIAL_BROKER_TOKEN\"," \
         "\"wire_api\":\"responses\"}}}")
/* Renewed from the broker for as long as the grant stands (proxy/renewal.h): the program takes our token for the proof of who it is, and gets
 * short ones for it from the base URL. The rule and the organization are names that only its own form wants. */
#define CLAUDE_RENEWING                                                                            \
    LIST("ANTHROPIC_IDENTITY_TOKEN={token}", "ANTHROPIC_FEDERATION_RULE_ID=fdrl_broker",           \
         "ANTHROPIC_ORGANIZATION_ID=00000000-0000-0000-0000-000000000000",                         \
         "ANTHROPIC_BASE_URL={base}")
/* The same for Codex: a login file without a login, whose refresh token is ours. Its access token has ended, so the first thing that it does
 * is to renew. Its own provider sends to a host that the login names, hence one of the flags. */
#define CODEX_RENEWING                                                                             \
    LIST("CODEX_REFRESH_TOKEN_URL_OVERRIDE={base}/oauth/token", "MODEL_PROVIDER=broker",           \
         "CODEX_CONFIG={\"model_provider\":\"broker\",\"chatgpt_base_url\":\"{base}/backend-api/"  \
         "\","                                                                                     \
         "\"model_providers\":{\"broker\":{\"name\":\"broker\",\"base_url\":\"{base}/v1\","        \
         "\"requires_openai_auth\":true,\"wire_api\":\"responses\"}}}")
#define CODEX_RENEWING_FLAGS                                                                       \
    LIST("-c", "model_provider=\"broker\"", "-c", "model_providers.broker.name=\"broker\"", "-c",  \
         "model_providers.broker.base_url=\"{base}/v1\"", "-c",                                    \
         "model_providers.broker.requires_openai_auth=true", "-c",                                 \
         "model_providers.broker.wire_api=\"responses\"", "-c",                                    \
         "chatgpt_base_url=\"{base}/backend-api/\"")
#define ENDED_JWT                                                                                  \
    "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0."                                                         \
    "eyJpc3MiOiJjcmVkZW50aWFsLWJyb2tlciIsImV4cCI6MTU3NzgzNjgwMH0.bm8"
#define CODEX_RENEWING_FILE                                                                        \
    CODEX_FILE, .text = "{\"auth_mode\":\"chatgpt\",\"OPENAI_API_KEY\":null,\"tokens\":{"          \
                        "\"id_token\":\"" ENDED_JWT "\",\"access_token\":\"" ENDED_JWT             \
                        "\",\"refresh_token\":\"{token}\",\"account_id\":\"broker\"},"             \
                        "\"last_refresh\":\"2020-01-01T00:00:00Z\"}"
/* Merged over the program's own configuration; {env:…} is its own placeholder. */
#define OPENCODE(provider, path)                                                                   \
    LIST("CREDENTIAL_BROKER_TOKEN={token}",                                                        \
         "OPENCODE_CONFIG_CONTENT={\"provider\":{\"" provider "\":{\"options\":{"                  \
         "\"baseURL\":\"{base}" path "\",\"apiKey\":\"{env:CREDENTIAL_BROKER_TOKEN}\"}}}}")

/* ---- the same over ACP. Claude's adapter puts a placeholder into Authorization, so the token goes beside it, where the proxy
 * finds it too. */

static const struct profile_acp acp_anthropic = {"anthropic", "", "x-api-key"};
static const struct profile_acp acp_openai = {"openai", "/v1", "x-api-key"};

/* ---- ways and slots */

static const struct profile_way claude_ways[] = {
    {"claude", "login", "proxy", .set = CLAUDE_BY_SOCKET("CLAUDE_CODE_OAUTH_TOKEN"),
     .acp = &acp_anthropic},
    {"claude", "setup_token", "proxy", .set = CLAUDE_BY_SOCKET("CLAUDE_CODE_OAUTH_TOKEN"),
     .acp = &acp_anthropic},
    {"anthropic", "api_key", "proxy", .set = CLAUDE_BY_SOCKET("ANTHROPIC_API_KEY"),
     .acp = &acp_anthropic},
    {"claude", "login", "file", CLAUDE_FILE},
    {"claude", "login", "access_token", .set = LIST("CLAUDE_CODE_OAUTH_TOKEN={secret}")},
    {"claude", "setup_token", "secret", .set = LIST("CLAUDE_CODE_OAUTH_TOKEN={secret}")},
    {"anthropic", "api_key", "secret", .set = LIST("ANTHROPIC_API_KEY={secret}")},
    {.delivery = NULL},
};
/* What is built on Claude Code and does not know the socket, or has children that use the base URL themselves. */
static const struct profile_way claude_tcp_ways[] = {
    {"claude", "login", "proxy", .set = ANTHROPIC("CLAUDE_CODE_OAUTH_TOKEN")},
    {"claude", "setup_token", "proxy", .set = ANTHROPIC("CLAUDE_CODE_OAUTH_TOKEN")},
    {"anthropic", "api_key", "proxy", .set = ANTHROPIC("ANTHROPIC_API_KEY")},
    {.delivery = NULL},
};
/* Sessions that outlive a lease. */
static const struct profile_way claude_long_ways[] = {
    {"claude", "login", "proxy", .set = CLAUDE_RENEWING},
    {"claude", "setup_token", "proxy", .set = CLAUDE_RENEWING},
    {.delivery = NULL},
};
/* Agents that run for weeks, as long as their grant. */
static const struct profile_way codehornets_ways[] = {
    {"claude", "login", "proxy", .set = CLAUDE_RENEWING},
    {"claude", "setup_token", "proxy", .set = CLAUDE_RENEWING},
    {"anthropic", "api_key", "proxy", .set = CLAUDE_BY_SOCKET("ANTHROPIC_API_KEY")},
    {"claude", "login", "file", CLAUDE_FILE},
    {"claude", "login", "access_token", .set = LIST("CLAUDE_CODE_OAUTH_TOKEN={secret}")},
    {"claude", "setup_token", "secret", .set = LIST("CLAUDE_CODE_OAUTH_TOKEN={secret}")},
    {"anthropic", "api_key", "secret", .set = LIST("ANTHROPIC_API_KEY={secret}")},
    {.delivery = NULL},
};
static const struct profile_way codex_long_ways[] = {
    {"codex", "login", "proxy", CODEX_RENEWING_FILE, .set = CODEX_RENEWING,
     .args = CODEX_RENEWING_FLAGS, .args_for = "codex"},
    {.delivery = NULL},
};
/* A program of one's own is no official client: API keys only. */
static const struct profile_way anthropic_sdk_ways[] = {
    {"anthropic", "api_key", "proxy", .set = ANTHROPIC("ANTHROPIC_API_KEY")},
    {"anthropic", "api_key", "secret", .set = LIST("ANTHROPIC_API_KEY={secret}")},
    {.delivery = NULL},
};
static const struct profile_way openai_sdk_ways[] = {
    {"openai", "api_key", "proxy", .set = OPENAI},
    {"openai", "api_key", "secret", .set = LIST("OPENAI_API_KEY={secret}")},
    {.delivery = NULL},
};
static const struct profile_way opencode_ways[] = {
    {"anthropic", "api_key", "proxy", .set = OPENCODE("anthropic", "/v1")},
    {"openai", "api_key", "proxy", .set = OPENCODE("openai", "/v1")},
    {"gemini", "api_key", "proxy", .set = OPENCODE("google", "/v1beta")},
    {"anthropic", "api_key", "secret", .set = LIST("ANTHROPIC_API_KEY={secret}")},
    {"openai", "api_key", "secret", .set = LIST("OPENAI_API_KEY={secret}")},
    {"gemini", "api_key", "secret", .set = LIST("GEMINI_API_KEY={secret}")},
    {.delivery = NULL},
};
/* `codex exec` reads CODEX_API_KEY and no other program of the family does without being told;
 * auth.json serves them all. */
static const struct profile_way codex_ways[] = {
    {"codex", "login", "proxy", .set = CODEX, .args = CODEX_FLAGS},
    {"codex", "api_key", "proxy", .set = CODEX, .args = CODEX_FLAGS},
    {"openai", "api_key", "proxy", .set = CODEX, .args = CODEX_FLAGS},
    {"codex", "login", "file", CODEX_FILE},
    {"codex", "api_key", "secret", .set = LIST("CODEX_API_KEY={secret}")},
    {"openai", "api_key", "secret", .set = LIST("CODEX_API_KEY={secret}")},
    {.delivery = NULL},
};
static const struct profile_way codex_acp_ways[] = {
    {"codex", "login", "proxy", .set = CODEX_ACP, .args = CODEX_FLAGS, .args_can_lack = true,
     .acp = &acp_openai},
    {"codex", "api_key", "proxy", .set = CODEX_ACP, .args = CODEX_FLAGS, .args_can_lack = true,
     .acp = &acp_openai},
    {"openai", "api_key", "proxy", .set = CODEX_ACP, .args = CODEX_FLAGS, .args_can_lack = true,
     .acp = &acp_openai},
    {"codex", "login", "file", CODEX_FILE},
    {"codex", "api_key", "secret", .set = LIST("CODEX_API_KEY={secret}")},
    {"openai", "api_key", "secret", .set = LIST("CODEX_API_KEY={secret}")},
    {.delivery = NULL},
};
static const struct profile_way gemini_ways[] = {
    {"gemini", "api_key", "proxy", .set = GEMINI},
    {"gemini", "api_key", "secret", .set = LIST("GEMINI_API_KEY={secret}")},
    {.delivery = NULL},
};
/* DeerFlow is told the paths, so nothing is linked. */
static const struct profile_way deerflow_claude_ways[] = {
    {"claude", "login", "proxy", .set = ANTHROPIC("CLAUDE_CODE_OAUTH_TOKEN")},
    {"claude", "setup_token", "proxy", .set = ANTHROPIC("CLAUDE_CODE_OAUTH_TOKEN")},
    {"anthropic", "api_key", "proxy", .set = ANTHROPIC("ANTHROPIC_API_KEY")},
    {"claude", "login", "file", .set = LIST("CLAUDE_CODE_CREDENTIALS_PATH={file}")},
    {"claude", "login", "access_token", .set = LIST("CLAUDE_CODE_OAUTH_TOKEN={secret}")},
    {"claude", "setup_token", "secret", .set = LIST("CLAUDE_CODE_OAUTH_TOKEN={secret}")},
    {"anthropic", "api_key", "secret", .set = LIST("ANTHROPIC_API_KEY={secret}")},
    {.delivery = NULL},
};
/* By proxy it is for the model class of contrib/deerflow/broker_codex.py. */
static const struct profile_way deerflow_codex_ways[] = {
    {"codex", "login", "proxy",
     .set =
         LIST("CREDENTIAL_BROKER_CODEX_TOKEN={token}", "CREDENTIAL_BROKER_CODEX_BASE_URL={base}")},
    {"codex", "login", "file", .set = LIST("CODEX_AUTH_PATH={file}")},
    {.delivery = NULL},
};
static const struct profile_way deerflow_openai_ways[] = {
    {"openai", "api_key", "proxy", .set = OPENAI},
    {"openai", "api_key", "secret", .set = LIST("OPENAI_API_KEY={secret}")},
    {.delivery = NULL},
};
/* The model's key has the name that DeepEye gives it; the others say their own. */
static const struct profile_way deepeye_ways[] = {
    {"openai", "api_key", "proxy", .set = LIST("LLM_API_KEY={token}", "LLM_BASE_URL={base}/v1")},
    {"openai", "api_key", "secret", .set = LIST("LLM_API_KEY={secret}")},
    {NULL, NULL, "secret", .set = LIST("{env}={secret}")},
    {.delivery = NULL},
};
/* Where the maker's own libraries read a base URL, it is set beside the token. For any other credential the program
 * must take the URL from CREDENTIAL_BROKER_BASE_URL, which few do by themselves: so that way comes last. */
static const struct profile_way env_ways[] = {
    {"anthropic", "api_key", "proxy", .set = ANTHROPIC("ANTHROPIC_API_KEY"), .acp = &acp_anthropic},
    {"openai", "api_key", "proxy", .set = OPENAI, .acp = &acp_openai},
    {"gemini", "api_key", "proxy", .set = GEMINI},
    {NULL, NULL, "access_token", .set = LIST("{env}={secret}")},
    {NULL, NULL, "secret", .set = LIST("{env}={secret}")},
    {NULL, NULL, "proxy", .set = LIST("{env}={token}", "CREDENTIAL_BROKER_BASE_URL={base}")},
    {.delivery = NULL},
};

static const struct profile_slot claude_slots[] = {{"claude", claude_ways, claude_variables, false},
                                                   {0}};
static const struct profile_slot codex_slots[] = {{"codex", codex_ways, codex_variables, false},
                                                  {0}};
static const struct profile_slot codex_acp_slots[] = {
    {"codex", codex_acp_ways, codex_variables, false}, {0}};
static const struct profile_slot claude_tcp_slots[] = {
    {"claude", claude_tcp_ways, claude_variables, false}, {0}};
static const struct profile_slot anthropic_sdk_slots[] = {
    {"anthropic", anthropic_sdk_ways, claude_variables, false}, {0}};
static const struct profile_slot openai_sdk_slots[] = {
    {"openai", openai_sdk_ways, only_openai_key, false}, {0}};
static const struct profile_slot claude_long_slots[] = {
    {"claude", claude_long_ways, claude_variables, false}, {0}};
static const struct profile_slot codehornets_slots[] = {
    {"claude", codehornets_ways, claude_variables, false}, {0}};
static const struct profile_slot codex_long_slots[] = {
    {"codex", codex_long_ways, codex_variables, false}, {0}};
/* It has keys of other makers' models in its own files, and they stay. */
static const struct profile_slot opencode_slots[] = {{"model", opencode_ways, NULL, false}, {0}};
static const struct profile_slot gemini_slots[] = {{"gemini", gemini_ways, gemini_variables, false},
                                                   {0}};
/* A gateway serves several models: what it has of others' keys is left alone. */
static const struct profile_slot deerflow_slots[] = {
    {"claude", deerflow_claude_ways, claude_variables, false},
    {"codex", deerflow_codex_ways, only_codex_file, false},
    {"openai", deerflow_openai_ways, only_openai_key, false},
    {"gemini", gemini_ways, gemini_variables, false},
    {0},
};
/* One service, exactly its secrets: the grants of its consumer. */
static const struct profile_slot deepeye_slots[] = {{"secret", deepeye_ways, NULL, true}, {0}};
static const struct profile_slot env_slots[] = {{"secret", env_ways, NULL, true}, {0}};

/* ---- the table */

const struct profile profiles[] = {
    {"claude-code", "Claude Code", claude_slots, LIST("claude"), claude_quiet},
    {"claude-acp", "Claude over ACP", claude_slots, LIST("claude-agent-acp", "claude-code-acp"),
     claude_quiet},
    {"codex", "Codex", codex_slots, LIST("codex"), NULL},
    {"codex-acp", "Codex over ACP", codex_acp_slots, LIST("codex-acp"), NULL},
    {"opencode", "opencode", opencode_slots, LIST("opencode"), NULL},
    {"gemini", "Gemini CLI", gemini_slots, LIST("gemini"), NULL},
    {"deerflow-gateway", "DeerFlow's gateway", deerflow_slots, NULL, NULL},
    {"deepeye", "a DeepEye service", deepeye_slots, NULL, NULL},
    {"codehornets", "a codehornets agent", codehornets_slots, NULL, claude_quiet},
    {"claude-tcp", "Claude Code, or what is built on it, through the relay", claude_tcp_slots, NULL,
     claude_quiet},
    {"claude-long", "Claude Code in sessions that outlive a lease", claude_long_slots, NULL,
     claude_quiet},
    {"codex-long", "Codex in sessions that outlive a lease", codex_long_slots, NULL, NULL},
    {"anthropic-sdk", "a program that uses Anthropic's library", anthropic_sdk_slots, NULL, NULL},
    {"openai-sdk", "a program that uses OpenAI's library", openai_sdk_slots, NULL, NULL},
    {"env", "any program: each credential in a variable of its own", env_slots, NULL, NULL},
    {0},
};

static bool lists(const char *const *list, const char *variable)
{
    for (; *list; list++)
        if (strcmp(*list, variable) == 0)
            return true;
    return false;
}

const char *const *profile_family(const char *variable)
{
    for (size_t i = 0; i < COUNT(families); i++)
        if (lists(families[i], variable))
            return families[i];
    return NULL;
}
