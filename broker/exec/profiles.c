/*
 * THE table of profiles: every fact broker-exec knows about a program. Adding a program is a row;
 * no code asks which one it is.
 *
 * Order inside a slot is preference: a file first, because it is replaced before it expires and a
 * running program takes the new one at its next request, while an environment never changes; then
 * the login's short token; a raw key last. Conflicting variables are those that the program would
 * take instead of ours, or beside it; they are unset, because DeerFlow and others read a blank one
 * as a value.
 */
#include "exec/profile.h"

#include "base/auto.h"

#include <string.h>

static const char *const claude_variables[] = {
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "ANTHROPIC_FEDERATION_RULE_ID",
    "ANTHROPIC_IDENTITY_TOKEN_FILE",
    "ANTHROPIC_ORGANIZATION_ID",
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

/* ---- ways and slots */

static const struct profile_way claude_ways[] = {
    {"claude", "login", "file", NULL, "CLAUDE_CONFIG_DIR", ".claude", ".credentials.json"},
    {"claude", "login", "access_token", .set = "CLAUDE_CODE_OAUTH_TOKEN={secret}"},
    {"claude", "setup_token", "secret", .set = "CLAUDE_CODE_OAUTH_TOKEN={secret}"},
    {"anthropic", "api_key", "secret", .set = "ANTHROPIC_API_KEY={secret}"},
    {.delivery = NULL},
};
/* `codex exec` reads CODEX_API_KEY and no other program of the family does without being told;
 * auth.json serves them all. */
static const struct profile_way codex_ways[] = {
    {"codex", "login", "file", NULL, "CODEX_HOME", ".codex", "auth.json"},
    {"codex", "api_key", "secret", .set = "CODEX_API_KEY={secret}"},
    {"openai", "api_key", "secret", .set = "CODEX_API_KEY={secret}"},
    {.delivery = NULL},
};
static const struct profile_way gemini_ways[] = {
    {"gemini", "api_key", "secret", .set = "GEMINI_API_KEY={secret}"},
    {.delivery = NULL},
};
/* DeerFlow is told the paths, so nothing is linked. */
static const struct profile_way deerflow_claude_ways[] = {
    {"claude", "login", "file", .set = "CLAUDE_CODE_CREDENTIALS_PATH={file}"},
    {"claude", "login", "access_token", .set = "CLAUDE_CODE_OAUTH_TOKEN={secret}"},
    {"claude", "setup_token", "secret", .set = "CLAUDE_CODE_OAUTH_TOKEN={secret}"},
    {"anthropic", "api_key", "secret", .set = "ANTHROPIC_API_KEY={secret}"},
    {.delivery = NULL},
};
static const struct profile_way deerflow_codex_ways[] = {
    {"codex", "login", "file", .set = "CODEX_AUTH_PATH={file}"},
    {.delivery = NULL},
};
static const struct profile_way deerflow_openai_ways[] = {
    {"openai", "api_key", "secret", .set = "OPENAI_API_KEY={secret}"},
    {.delivery = NULL},
};
/* The model's key has the name that DeepEye gives it; the others say their own. */
static const struct profile_way deepeye_ways[] = {
    {"openai", "api_key", "secret", .set = "LLM_API_KEY={secret}"},
    {NULL, NULL, "secret", .set = "{env}={secret}"},
    {.delivery = NULL},
};
static const struct profile_way env_ways[] = {
    {NULL, NULL, "access_token", .set = "{env}={secret}"},
    {NULL, NULL, "secret", .set = "{env}={secret}"},
    {.delivery = NULL},
};

static const struct profile_slot claude_slots[] = {{"claude", claude_ways, claude_variables, false},
                                                   {0}};
static const struct profile_slot codex_slots[] = {{"codex", codex_ways, codex_variables, false},
                                                  {0}};
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
    {"codex-acp", "Codex over ACP", codex_slots, LIST("codex-acp"), NULL},
    {"gemini", "Gemini CLI", gemini_slots, LIST("gemini"), NULL},
    {"deerflow-gateway", "DeerFlow's gateway", deerflow_slots, NULL, NULL},
    {"deepeye", "a DeepEye service", deepeye_slots, NULL, NULL},
    {"codehornets", "a codehornets agent", claude_slots, NULL, claude_quiet},
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
