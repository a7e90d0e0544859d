/* vault/op_token.c: who renews, until when, and what a renewed token is good for. */
#include "proxy_rig.h"

#include "base/clock.h"
#include "crypto/token.h"
#include "vault/lease.h"

static const char short_lived[] = "consumers:\n"
                                  "  - name: gw\n    grants:\n"
                                  "      - credential: key\n        deliver: [proxy, secret]\n        ttl: 10m\n        max_ttl: 15m\n"
                                  "      - credential: claude\n        deliver: [proxy]\n        ttl: 15m\n        uses: 5\n"
                                  "  - name: other\n    grants:\n"
                                  "      - credential: key\n        deliver: [proxy]\n";

static err_t renew(struct rig *r, uint64_t conn, const char *token, const char *client)
{
    uint64_t id = ++r->next_id;
    msg_begin(&r->out, MSG_PROXY_TOKEN, id, conn);
    msg_put_str(&r->out, F_TOKEN, token);
    msg_put_str(&r->out, F_OP, client);
    rig_send(r, PROXY, -1);
    return rig_reply(r, PROXY, id);
}

static void access_of(struct rig *r, char out[1024])
{
    rig_text(r, "access_token", out, 1024);
    const char *dot = strncmp(out, "eyJ", 3) == 0 ? strrchr(out, '.') : NULL;
    if (dot)
        memmove(out, dot + 1, strlen(dot));
}

TEST(a_renewal_gives_tokens_that_serve_and_revokes_none)
{
    struct scene s;
    struct proxied_request got;
    char first[1024], second[1024];
    scene(&s, short_lived);
    CHECK_OK(renew(&s.r, s.conn, s.token, "codex"), s.r.why);
    access_of(&s.r, first);
    CHECK_HAS(&s.r, s.token); /* the refresh token stays the same */
    CHECK(strcmp(first, s.token) != 0 && strstr(first, "cbrk1_"));
    CHECK_OK(renew(&s.r, s.conn, s.token, "claude"), s.r.why);
    access_of(&s.r, second);
    CHECK(!strstr(rig_body(&s.r), "refresh_token"));
    CHECK_OK(proxy_begin(&s.r, s.conn, first, "POST", "/v1/messages", "claude-x", &got), s.r.why);
    CHECK_OK(proxy_begin(&s.r, s.conn, second, "POST", "/v1/messages", "claude-x", &got), s.r.why);
    CHECK_OK(proxy_begin(&s.r, s.conn, s.token, "POST", "/v1/messages", "claude-x", &got), s.r.why);
    CHECK_INT(rig_logged(&s.r, EVENT("lease.renew"), "\"source\":\"codex\"", s.id), 1);
    CHECK_INT(rig_logged(&s.r, EVENT("lease.renew"), "\"source\":\"claude\"", s.id), 1);
    CHECK_INT(rig_logged(&s.r, KEY_SECRET, NULL, NULL), 0);
    rig_end(&s.r);
}

TEST(what_is_given_cannot_renew_and_only_its_own_socket_renews)
{
    struct scene s;
    char access[1024], other_token[512], id[40];
    scene(&s, short_lived);
    CHECK_OK(renew(&s.r, s.conn, s.token, "codex"), s.r.why);
    access_of(&s.r, access);
    CHECK_INT(renew(&s.r, s.conn, access, "codex"), ERR_DENIED);
    uint64_t other = rig_proxy_conn(&s.r, "other");
    CHECK_INT(renew(&s.r, other, s.token, "codex"), ERR_AUTH);
    CHECK_INT(renew(&s.r, s.conn, "cbat-cbrk1_nonsense", "codex"), ERR_AUTH);
    CHECK_INT(renew(&s.r, s.conn, "", "codex"), ERR_AUTH);
    CHECK_INT(renew(&s.r, s.conn, s.token, "gemini"), ERR_INVALID);
    CHECK_OK(rig_issue(&s.r, s.api, "key", "secret"), s.r.why);
    rig_text(&s.r, "token", other_token, sizeof(other_token));
    CHECK_INT(renew(&s.r, s.conn, other_token, "codex"), ERR_DENIED);
    /* revoked is revoked */
    proxy_lease(&s.r, s.api, "key", other_token, id);
    CHECK_OK(ASK(&s.r, MSG_LEASE_END, s.api, S(F_LEASE, id)), s.r.why);
    CHECK_INT(renew(&s.r, s.conn, other_token, "codex"), ERR_EXPIRED);
    CHECK(rig_logged(&s.r, EVENT("lease.denied"), "\"reason\":\"bad_token\"", NULL) >= 2);
    rig_end(&s.r);
}

TEST(a_narrowed_token_renews_to_one_that_is_as_narrow)
{
    struct scene s;
    struct proxied_request got;
    AUTO(buf_free) struct buf narrow = {0};
    char access[1024], text[1024];
    scene(&s, short_lived);
    CHECK_OK(token_attenuate(view_str(s.token), CAVEAT_METHOD_PATH, view_str("POST /v1/messages/count_tokens"), &narrow, &s.r.why), s.r.why);
    CHECK(view_copy(buf_view(&narrow), text, sizeof(text)));
    CHECK_OK(renew(&s.r, s.conn, text, "claude"), s.r.why);
    access_of(&s.r, access);
    CHECK_OK(proxy_begin(&s.r, s.conn, access, "POST", "/v1/messages/count_tokens", "claude-x", &got), s.r.why);
    CHECK_INT(proxy_begin(&s.r, s.conn, access, "POST", "/v1/messages", "claude-x", &got), ERR_DENIED);
    rig_end(&s.r);
}

TEST(max_ttl_counts_from_the_newest_renewal_of_a_lease_that_would_be_issued_anew)
{
    struct scene s;
    scene(&s, short_lived);
    struct lease *l = lease_by_hex(s.r.v->leases, view_str(s.id));
    CHECK(l && lease_room_ms(l) <= 15 * 60000);
    l->max_boot_ms = clock_boot_ms() + 60000; /* most of it is over */
    l->max_wall_ms = clock_wall_ms() + 60000;
    CHECK_OK(renew(&s.r, s.conn, s.token, "codex"), s.r.why);
    CHECK(lease_room_ms(l) > 14 * 60000 && lease_room_ms(l) <= 15 * 60000);
    CHECK(l->expires_boot_ms - clock_boot_ms() > 9 * 60000);
    CHECK_OK(renew(&s.r, s.conn, s.token, "codex"), s.r.why); /* the same token, still */
    /* the API's renewal stays within max */
    l->max_boot_ms = clock_boot_ms() + 60000;
    CHECK_OK(ASK(&s.r, MSG_LEASE_RENEW, s.api, S(F_LEASE, s.id), S(F_TOKEN, s.token)), s.r.why);
    CHECK(l->expires_boot_ms - clock_boot_ms() <= 60000);
    CHECK_OK(ASK(&s.r, MSG_CRED_REMOVE, s.admin, S(F_CREDENTIAL, "key")), s.r.why);
    CHECK_INT(renew(&s.r, s.conn, s.token, "codex"), ERR_EXPIRED);
    rig_end(&s.r);
}

TEST(a_lease_of_counted_uses_ends_at_its_max)
{
    struct scene s;
    char token[512], id[40];
    scene(&s, short_lived);
    proxy_lease(&s.r, s.api, "claude", token, id);
    struct lease *l = lease_by_hex(s.r.v->leases, view_str(id));
    CHECK(l && l->limited_uses);
    l->max_boot_ms = clock_boot_ms() + 60000;
    CHECK_OK(renew(&s.r, s.conn, token, "claude"), s.r.why);
    CHECK(lease_room_ms(l) <= 60000);
    rig_end(&s.r);
}
