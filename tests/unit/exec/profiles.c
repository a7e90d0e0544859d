/* Every row of the table of profiles keeps the rules of the table. */
#include "check.h"

#include "client/json.h"
#include "exec/environ.h"
#include "exec/profile.h"

#define EACH_WAY(p, s, w)                                                                          \
    for (const struct profile *p = profiles; p->name; p++)                                         \
        for (const struct profile_slot *s = p->slot; s->name; s++)                                 \
            for (const struct profile_way *w = s->way; w->delivery; w++)

static bool lists(const char *const *list, const char *name, size_t n)
{
    for (; list && *list; list++)
        if (strlen(*list) == n && memcmp(*list, name, n) == 0)
            return true;
    return false;
}

TEST(names_are_unique_and_none_is_missing)
{
    static const char *const must[] = {"claude-code", "claude-acp",  "codex",
                                       "codex-acp",   "gemini",      "deerflow-gateway",
                                       "deepeye",     "codehornets", "env",
                                       "claude-tcp",  "opencode",    "anthropic-sdk",
                                       "openai-sdk",  "claude-long", "codex-long"};
    struct why why = {0};
    for (size_t i = 0; i < sizeof(must) / sizeof(must[0]); i++) {
        const struct profile *p = NULL;
        CHECK_OK(profile_find(must[i], &p, &why), why);
        CHECK(p->title && p->slot[0].name);
    }
    for (const struct profile *p = profiles; p->name; p++)
        for (const struct profile *q = p + 1; q->name; q++)
            CHECK(strcmp(p->name, q->name) != 0);
}

TEST(a_way_says_where_its_value_goes)
{
    EACH_WAY(p, s, w)
    {
        bool file = strcmp(w->delivery, "file") == 0, proxy = strcmp(w->delivery, "proxy") == 0;
        CHECK(w->set || w->link_file);
        CHECK(!w->link_file || (file != (w->text != NULL) && w->link_env && w->link_home));
        for (const char *const *set = w->set; set && *set; set++)
            CHECK(strchr(*set, '=') != NULL);
        CHECK(!w->set || w->text || profile_way_names(w, file ? "{file}" : proxy ? "{token}" : "{secret}"));
        CHECK(!w->text || (proxy && w->link_file && strstr(w->text, "{token}") && !strstr(w->text, "{secret}")));
        CHECK(proxy == (profile_way_names(w, "{base}") || profile_way_names(w, "{proxy_socket}")));
        CHECK(!proxy || !profile_way_names(w, "{secret}"));
    }
}

TEST(arguments_hold_no_secret)
{
    EACH_WAY(p, s, w)
    for (const char *const *arg = w->args; arg && *arg; arg++) {
        CHECK(!strstr(*arg, "{token}") && !strstr(*arg, "{secret}"));
        CHECK(p->command || w->args_for); /* else nobody would take them */
    }
}

/* As the proxy's gate knows it (proxy/names.c), and no Authorization: Claude's adapter puts a placeholder there. */
TEST(what_an_adapter_is_told_is_whole)
{
    size_t n = 0;
    EACH_WAY(p, s, w)
    {
        if (!w->acp)
            continue;
        n++;
        CHECK_STR(w->delivery, "proxy");
        CHECK(strcmp(w->acp->protocol, "anthropic") == 0 || strcmp(w->acp->protocol, "openai") == 0);
        CHECK(w->acp->path[0] == '\0' || w->acp->path[0] == '/');
        CHECK_STR(w->acp->header, "x-api-key");
    }
    static const char *const adapters[] = {"claude-acp", "codex-acp"};
    for (size_t i = 0; i < 2; i++) { /* each login that they have by the proxy */
        const struct profile *p = NULL;
        struct why why = {0};
        CHECK_OK(profile_find(adapters[i], &p, &why), why);
        for (const struct profile_way *w = p->slot[0].way; w->delivery; w++)
            CHECK((w->acp != NULL) == (strcmp(w->delivery, "proxy") == 0));
    }
    CHECK(n >= 8);
}

TEST(the_proxy_is_the_first_way)
{
    EACH_WAY(p, s, w)
    for (const struct profile_way *v = s->way; v < w; v++)
        if (strcmp(w->delivery, "proxy") == 0 && w->provider && v->provider &&
            strcmp(v->provider, w->provider) == 0)
            CHECK_STR(v->delivery, "proxy");
}

/* Addresses (a base URL, a path) stand beside what conflicts, and are replaced, not cleared. */
static bool is_address(const char *set)
{
    static const char *const names[] = {"CLAUDE_CODE_CREDENTIALS_PATH=", "ANTHROPIC_BASE_URL=",
                                        "CREDENTIAL_BROKER_", "CODEX_CONFIG=", "MODEL_PROVIDER=",
                                        "GOOGLE_GEMINI_BASE_URL=", "OPENAI_BASE_URL=",
                                        "OPENAI_API_BASE=", "OPENCODE_CONFIG_CONTENT=",
                                        "CODEX_REFRESH_TOKEN_URL_OVERRIDE="};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strncmp(set, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

TEST(what_we_set_is_among_what_conflicts)
{
    EACH_WAY(p, s, w)
    for (const char *const *set = w->set; set && *set; set++)
        if ((*set)[0] != '{' && s->conflicts && !is_address(*set))
            CHECK(lists(s->conflicts, *set, strcspn(*set, "=")));
}

/* Each value of each way, as a program would get it: placeholders are known, JSON is JSON. */
TEST(every_value_expands)
{
    static const struct environ_values values = {
        .secret = "S", .file = "/F", .dir = "/D", .account = "A", .token = "T", .username = "U",
        .env = "E", .base = "http://127.0.0.1:1", .proxy_socket = "/P"};
    struct why why = {0};
    EACH_WAY(p, s, w)
    for (int i = 0; i < 3; i++)
        for (const char *const *form = i == 2 ? (const char *const[]){w->text, NULL} : i ? w->args : w->set; form && *form; form++) {
            char *text = NULL;
            CHECK_OK(environ_expand(*form, &values, &text, &why), why);
            const char *json = strchr(text, '{');
            struct json_slice slice;
            CHECK(!json || json_value(json, strlen(json), &slice));
            free(text);
        }
}

TEST(constants_are_entries)
{
    struct why why = {0};
    char *none[] = {NULL};
    for (const struct profile *p = profiles; p->name; p++) {
        struct environment e = {0};
        CHECK_OK(environ_copy(&e, none, &why), why);
        for (const char *const *c = p->constants; c && *c; c++)
            CHECK_OK(environ_default(&e, *c, &why), why);
        environ_free(&e);
    }
}

TEST(no_two_profiles_claim_a_command)
{
    for (const struct profile *p = profiles; p->name; p++)
        for (const char *const *c = p->command; c && *c; c++)
            CHECK_STR(profile_for_command(*c)->name, p->name);
}

TEST(the_variables_of_a_claude_login_are_known)
{
    static const char *const must[] = {
        "ANTHROPIC_API_KEY",
        "ANTHROPIC_AUTH_TOKEN",
        "CLAUDE_CODE_OAUTH_TOKEN",
        "CLAUDE_CODE_OAUTH_TOKEN_FILE_DESCRIPTOR",
        "CLAUDE_CODE_CREDENTIALS_PATH",
        "ANTHROPIC_IDENTITY_TOKEN_FILE",
        "ANTHROPIC_FEDERATION_RULE_ID",
        "ANTHROPIC_ORGANIZATION_ID",
        "ANTHROPIC_UNIX_SOCKET",
    };
    const char *const *family = profile_family("ANTHROPIC_API_KEY");
    for (size_t i = 0; i < sizeof(must) / sizeof(must[0]); i++) {
        CHECK(lists(family, must[i], strlen(must[i])));
        CHECK(profile_family(must[i]) == family);
    }
    CHECK(profile_family("GOOGLE_API_KEY") == profile_family("GEMINI_API_KEY"));
    CHECK(profile_family("OPENAI_API_KEY") && profile_family("CODEX_API_KEY"));
    CHECK(!profile_family("PATH") && !profile_family(""));
}

static void check_printed(const char *text, const struct profile_way *w)
{
    for (const char *const *set = w->set; set && *set; set++)
        CHECK(strstr(text, *set) != NULL);
    for (const char *const *arg = w->args; arg && *arg; arg++)
        CHECK(strstr(text, *arg) != NULL);
    CHECK(!w->link_file || strstr(text, w->link_file));
}

TEST(printing_a_profile_says_what_goes_over_acp)
{
    const struct profile *p = NULL;
    struct why why = {0};
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    CHECK(out != NULL);
    CHECK_OK(profile_find("codex-acp", &p, &why), why);
    profile_print(p, out);
    fclose(out);
    CHECK(strstr(text, ", over ACP openai at {base}/v1 by x-api-key\n") != NULL);
    free(text);
}

TEST(printing_a_profile_says_all_of_it)
{
    for (const struct profile *p = profiles; p->name; p++) {
        char *text = NULL;
        size_t n = 0;
        FILE *out = open_memstream(&text, &n);
        CHECK(out != NULL);
        profile_print(p, out);
        profile_list(out);
        fclose(out);
        for (const struct profile_slot *s = p->slot; s->name; s++) {
            for (const struct profile_way *w = s->way; w->delivery; w++)
                check_printed(text, w);
            for (const char *const *c = s->conflicts; c && *c; c++)
                CHECK(strstr(text, *c) != NULL);
        }
        free(text);
    }
}
