/*
 * THE table of profiles: every fact broker-exec knows about a program. Adding a program is a row; no code asks which one it is.
 *
 * Order inside a slot is preference: a file first, because it is replaced before it expires and a running program takes the new one at
 * its next request, while an environment never changes; then the login's short token; a raw key last. Conflicting variables
 * are those that the program would take instead of ours, or beside it; they are unset, because DeerFlow and others read a blank one as a
 * value.
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
    "GEMINI_API_KEY",         "GOOGLE_API_KEY",           "GOOGLE_APPLICATION_CREDENTIALS",
    "GOOGLE_GENAI_USE_GCA",   "GOOGLE_GENAI_USE_VERTEXAI", NULL,
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

/* The three that hold for whatever reads a Claude token from the environment. */
#define CLAUDE_BY_VARIABLE                                                                       \
    {"claude", "login", "access_token", .set = "CLAUDE_CODE_OAUTH_TOKEN={secret}"},              \
    {"claude", "setup_token", "secret", .set = "CLAUDE_CODE_OAUTH_TOKEN={secret}"},              \
    {"anthropic", "api_key", "secret", .set = "ANTHROPIC_API_KEY={secret}"}

#define CLAUDE_SLOT                                                                              \
    {"claude", .conflicts = claude_variables,                                                    \
     .way = {{"claude", "login", "file", .link_env = "CLAUDE_CONFIG_DIR", .link_home = ".claude", \
              .link_file = ".credentials.json"},                                                 \
             CLAUDE_BY_VARIABLE}}

/* `codex exec` reads CODEX_API_KEY and no other program of the family does without being told; auth.json serves them all. */
#define CODEX_SLOT                                                                               \
    {"codex", .conflicts = codex_variables,                                                      \
     .way = {{"codex", "login", "file", .link_env = "CODEX_HOME", .link_home = ".codex",         \
              .link_file = "auth.json"},                                                         \
             {"codex", "api_key", "secret", .set = "CODEX_API_KEY={secret}"},                    \
             {"openai", "api_key", "secret", .set = "CODEX_API_KEY={secret}"}}}

#define GEMINI_SLOT                                                                              \
    {"gemini", .conflicts = gemini_variables,                                                    \
     .way = {{"gemini", "api_key", "secret", .set = "GEMINI_API_KEY={secret}"}}}

const struct profile profiles[] = {
    {"claude-code", "Claude Code", {"claude"}, claude_quiet, {CLAUDE_SLOT}},
    {"claude-acp", "Claude over ACP", {"claude-agent-acp", "claude-code-acp"}, claude_quiet, {CLAUDE_SLOT}},
    {"codex", "Codex", {"codex"}, NULL, {CODEX_SLOT}},
    {"codex-acp", "Codex over ACP", {"codex-acp"}, NULL, {CODEX_SLOT}},
    {"gemini", "Gemini CLI", {"gemini"}, NULL, {GEMINI_SLOT}},
    /* Reads paths, so nothing is linked. It serves several models: what it has of others' keys is left alone. */
    {"deerflow-gateway", "DeerFlow's gateway", {NULL}, NULL,
     {{"claude", .conflicts = claude_variables,
       .way = {{"claude", "login", "file", .set = "CLAUDE_CODE_CREDENTIALS_PATH={file}"}, CLAUDE_BY_VARIABLE}},
      {"codex", .conflicts = only_codex_file,
       .way = {{"codex", "login", "file", .set = "CODEX_AUTH_PATH={file}"}}},
      {"openai", .conflicts = only_openai_key,
       .way = {{"openai", "api_key", "secret", .set = "OPENAI_API_KEY={secret}"}}},
      GEMINI_SLOT}},
    /* One service, exactly its secrets: the grants of its consumer. The model's key has the name that DeepEye gives it. */
    {"deepeye", "a DeepEye service", {NULL}, NULL,
     {{"secret", .every = true,
       .way = {{"openai", "api_key", "secret", .set = "LLM_API_KEY={secret}"},
               {NULL, NULL, "secret", .set = "{env}={secret}"}}}}},
    {"codehornets", "a codehornets agent", {NULL}, claude_quiet, {CLAUDE_SLOT}},
    {"env", "any program: each credential in the variable of its own", {NULL}, NULL,
     {{"secret", .every = true,
       .way = {{NULL, NULL, "access_token", .set = "{env}={secret}"},
               {NULL, NULL, "secret", .set = "{env}={secret}"}}}}},
    {.name = NULL},
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
