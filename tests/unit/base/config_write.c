/* base/config_write.c: what is written is read again as the same. */
#include "check.h"

#include "base/auto.h"
#include "base/config.h"

static struct why why;

static bool same_ids(const struct config_ids *a, const struct config_ids *b)
{
    return a->n == b->n && (a->n == 0 || memcmp(a->id, b->id, a->n * sizeof(*a->id)) == 0);
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_peer(const struct config_peer *a, const struct config_peer *b)
{
    return same_ids(&a->uid, &b->uid) && same_ids(&a->gid, &b->gid) && same_text(a->cgroup, b->cgroup);
}

static bool same_list(char **a, char **b)
{
    for (; a && b && *a && *b; a++, b++)
        if (strcmp(*a, *b) != 0)
            return false;
    return (!a || !*a) && (!b || !*b);
}

static bool same_grant(const struct config_grant *a, const struct config_grant *b)
{
    return same_text(a->credential, b->credential) && a->deliver == b->deliver && a->ttl_ms == b->ttl_ms &&
           a->max_ttl_ms == b->max_ttl_ms && a->uses == b->uses && a->owner_process == b->owner_process &&
           same_list(a->allow, b->allow) && same_list(a->models, b->models) && same_text(a->budget, b->budget) &&
           same_peer(&a->peer, &b->peer);
}

static bool same(const struct config_consumer *a, const struct config_consumer *b)
{
    bool ok = same_text(a->name, b->name) && same_text(a->note, b->note) && a->once == b->once &&
              a->max_leases == b->max_leases && same_peer(&a->peer, &b->peer) && a->n_grants == b->n_grants;
    for (unsigned i = 0; ok && i < a->n_grants; i++)
        ok = same_grant(&a->grants[i], &b->grants[i]);
    return ok;
}

static const char *const consumers[] = {
    "name: a\n",
    "name: a\nnote: \"quotes \\\" : # - [ ] { } & * ! | > ' % @ `\"\nonce: true\nmax_leases: 1\n",
    "name: a\nnote: \"true\"\npeer: { uid: [0, 4294967294] }\n",
    "name: a\nnote: \"~\"\npeer: { gid: [5], cgroup: \"/a b/c\" }\n",
    "name: a\nnote: \" lead and trail \"\ngrants: []\n",
    "name: 0.1\nnote: \"\xc3\xa9t\xc3\xa9 \xe2\x82\xac\"\ngrants:\n - credential: x\n   deliver: [proxy, access_token, file, helper, secret]\n"
    "   ttl: 1s\n   max_ttl: 3650d\n   uses: 9223372036854775807\n   owner: process\n   allow: [\"POST /v1/messages\"]\n"
    "   models: [\"claude-*\", \"*\", \"a:b\"]\n   budget: \"requests=600/h tokens=2M/d\"\n   peer: { uid: [1], gid: [2], cgroup: / }\n"
    " - credential: \"1e3\"\n   deliver: [secret]\n   ttl: 1500ms\n",
};

TEST(written_consumers_are_read_again_as_the_same)
{
    for (size_t i = 0; i < COUNT(consumers); i++) {
        struct config_consumer *a = NULL, *b = NULL;
        AUTO(buf_free) struct buf yaml = {0};
        CHECK_OK(config_parse_consumer(view_str(consumers[i]), "a.yaml", &a, &why), why);
        CHECK_OK(config_write_consumer(a, &yaml, &why), why);
        CHECK(yaml.p[0] == '#' && strstr(buf_text(&yaml), "broker-cli"));
        CHECK_OK(config_parse_consumer(buf_view(&yaml), "a.yaml", &b, &why), why);
        if (!same(a, b))
            printf("%s", buf_text(&yaml));
        CHECK(same(a, b));
        config_consumer_free(a);
        config_consumer_free(b);
    }
}

TEST(writing_says_when_there_is_no_room)
{
    struct config_consumer *a = NULL;
    AUTO(buf_free) struct buf yaml = {.max = 110};
    CHECK_OK(config_parse_consumer(view_str(consumers[5]), "a.yaml", &a, &why), why);
    CHECK_INT(config_write_consumer(a, &yaml, &why), ERR_TOO_LARGE);
    config_consumer_free(a);
}
