/*
 * Recognises credentials by their outside: members of a JSON object, or the beginning of a word.
 * Two tables, first match wins; longer prefixes stand before shorter ones. It only ever names what
 * it saw: whether the input is valid is for the provider to say.
 */
#include "provider/shape.h"

#include "base/auto.h"
#include "base/json.h"
#include "provider/text.h"

static const struct shape nothing = {"empty", NULL};
static const struct shape binary = {"binary, or not UTF-8 text", NULL};
static const struct shape broken = {"JSON that does not parse", NULL};
static const struct shape list = {"a JSON list", NULL};
static const struct shape object = {"a JSON object of another kind", NULL};
static const struct shape words = {"text with white space in it, not one key", NULL};
static const struct shape line = {"a NAME=value line; give the value alone", NULL};
static const struct shape word = {"one word that is no known key", NULL};

static const struct {
    const char *member, *and_member; /* both there; and_member may be NULL */
    struct shape shape;
} files[] = {
    {"claudeAiOauth", NULL, {"Claude Code's .credentials.json", "claude"}},
    {"mcpOAuth", NULL, {"a .credentials.json of Claude Code without its login", NULL}},
    {"tokens", NULL, {"Codex's auth.json", "codex"}},
    {"OPENAI_API_KEY", NULL, {"Codex's auth.json", "codex"}},
    {"private_key_id", NULL, {"a Google service account key", "generic"}},
    {"expiry_date", "refresh_token", {"Gemini CLI's oauth_creds.json", "gemini"}},
    {"accessToken", "refreshToken", {"the inside of claudeAiOauth; give the whole file", NULL}},
    {"access_token", "issuer", {"an OAuth 2.0 login", "oauth2"}},
    {"access_token", "refresh_token", {"a bare OAuth token reply", NULL}},
    {"refresh_token", NULL, {"a refresh token without a login", NULL}},
    {"refreshToken", NULL, {"a refresh token without a login", NULL}},
};

static const struct {
    const char *prefix;
    struct shape shape;
} prefixes[] = {
    {"sk-ant-oat", {"a Claude setup token", "claude"}},
    {"sk-ant-ort", {"a Claude refresh token without its login", NULL}},
    {"sk-ant-", {"an Anthropic API key", "anthropic"}},
    {"sk-", {"an OpenAI API key", "openai"}},
    {"AIza", {"a Gemini API key", "gemini"}},
    {"eyJ", {"a JWT, not a key", NULL}},
    {"rt_", {"an OpenAI refresh token without its login", NULL}},
    {"ghp_", {"a GitHub token", "generic"}},
    {"gho_", {"a GitHub token", "generic"}},
    {"github_pat_", {"a GitHub token", "generic"}},
    {"-----BEGIN", {"a PEM file", "generic"}},
    {"Bearer ", {"a header value; give the key alone", NULL}},
    {"\"", {"a quoted string; give the key alone", NULL}},
    {"'", {"a quoted string; give the key alone", NULL}},
};

static const struct shape *shape_of_json(struct view text)
{
    AUTO(auto_json) json_t *v = NULL;
    if (json_parse(text, &v, NULL) != ERR_OK)
        return &broken;
    if (!json_is_object(v))
        return &list;
    for (size_t i = 0; i < COUNT(files); i++)
        if (json_object_get(v, files[i].member) &&
            (!files[i].and_member || json_object_get(v, files[i].and_member)))
            return &files[i].shape;
    return &object;
}

static bool is_assignment(struct view v)
{
    size_t n = 0;
    while (n < v.n && v.p[n] != '=')
        n++;
    return n < v.n && v.n > n + 1 && text_env_name(VIEW(v.p, n));
}

const struct shape *shape_of(struct view input)
{
    struct view v = text_trim(input);
    if (v.n == 0)
        return &nothing;
    if (!text_no_nul(v))
        return &binary;
    if (v.p[0] == '{' || v.p[0] == '[')
        return shape_of_json(v);
    for (size_t i = 0; i < COUNT(prefixes); i++)
        if (text_starts(v, prefixes[i].prefix))
            return &prefixes[i].shape;
    if (is_assignment(v))
        return &line;
    return text_visible(v) ? &word : &words;
}

bool shape_is_unknown_word(const struct shape *s)
{
    return s == &word;
}

err_t shape_refuse(struct view input, struct why *why)
{
    const struct shape *s = shape_of(input);
    if (s->provider)
        return fail(why, ERR_INVALID, "this is %s (provider %s)", s->what, s->provider);
    return fail(why, ERR_INVALID, "this is %s", s->what);
}
