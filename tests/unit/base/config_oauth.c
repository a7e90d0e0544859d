/* base/config_oauth.c: where logins are renewed; every error with its line and key. */
#include "config_rig.h"

TEST(all_members_are_read)
{
    struct config *c = NULL;
    CHECK_OK(load("providers:\n"
                  "  - name: claude\n    token_url: https://idp.example:8443/v1/token\n    authorize_url: https://idp.example/a\n"
                  "    device_url: https://idp.example/d\n    client_id: me\n    scopes: a b\n    ca: /etc/own.pem\n    body: form\n"
                  "  - { name: codex, token_url: \"http://127.0.0.1:1234/oauth/token\", insecure_loopback: true, body: json }\n",
                  &c),
             why);
    CHECK_INT(c->n_providers, 2);
    const struct config_provider *p = config_provider_of(c, "claude"), *q = config_provider_of(c, "codex");
    CHECK(p && q && !config_provider_of(c, "gemini"));
    CHECK_STR(p->token_url, "https://idp.example:8443/v1/token");
    CHECK_STR(p->authorize_url, "https://idp.example/a");
    CHECK_STR(p->device_url, "https://idp.example/d");
    CHECK_STR(p->client_id, "me");
    CHECK_STR(p->scopes, "a b");
    CHECK_STR(p->ca, "/etc/own.pem");
    CHECK(p->form == 1 && !p->insecure_loopback && q->form == 0 && q->insecure_loopback && !q->client_id && !q->ca);
    config_free(c);
    CHECK_OK(load("providers:\n  - { name: claude }\n", &c), why);
    CHECK_INT(c->providers[0].form, -1);
    config_free(c);
}

TEST(errors_name_line_and_key)
{
    static const struct {
        const char *yaml, *says;
    } rows[] = {
        {"providers:\n  - { token_url: \"https://a.example/t\" }\n", "broker.yaml:2: name: is required here"},
        {"providers:\n  - name: claude\n  - name: claude\n", "broker.yaml:3: name: there is an entry for it already"},
        {"providers:\n  - name: claude\n    token_url: http://idp.example/t\n    insecure_loopback: true\n", "broker.yaml:3: token_url: plain http"},
        {"providers:\n  - name: claude\n    token_url: http://127.0.0.1/t\n", "broker.yaml:3: token_url: plain http"},
        {"providers:\n  - name: claude\n    token_url: https://idp.example\n", "broker.yaml:3: token_url: expected https://"},
        {"providers:\n  - name: claude\n    token_url: https://u:p@idp.example/t\n", "token_url: expected https://"},
        {"providers:\n  - name: claude\n    token_url: https://idp.example/t#x\n", "token_url: expected https://"},
        {"providers:\n  - name: claude\n    device_url: ftp://idp.example/t\n", "device_url: expected https://"},
        {"providers:\n  - name: claude\n    authorize_url: \"https://idp.example/a b\"\n", "authorize_url: expected https://"},
        {"providers:\n  - name: claude\n    ca: own.pem\n", "broker.yaml:3: ca: expected the absolute path"},
        {"providers:\n  - name: claude\n    client_id: \"a b\"\n", "client_id: expected 1 to"},
        {"providers:\n  - name: claude\n    body: xml\n", "body: expected one of json, form"},
        {"providers:\n  - name: claude\n    client_secret: x\n", "client_secret: unknown key; known here: name, token_url"},
        {"providers: claude\n", "providers: expected a list"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        why = (struct why){0};
        CHECK_INT(load(rows[i].yaml, NULL), ERR_INVALID);
        if (!strstr(why.text, rows[i].says))
            printf("    %s\n    not: %s\n", why.text, rows[i].says);
        CHECK(strstr(why.text, rows[i].says));
    }
}
