/*
 * Writes one consumer as the YAML of a drop-in: the C form back into texts, which libcyaml then writes by the schema that reads them.
 * What config_parse_consumer gave is written so that parsing gives the same again; defaults are written out, so that a
 * later version's other default does not change an old grant.
 */
#include "base/config_yaml.h"

#include "base/auto.h"
#include "base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { NUMBER_TEXT = 24 };

/* Texts that the yaml form points to; everything else is borrowed from the consumer. */
struct grant_texts {
    char ttl[24], max_ttl[24], uses[NUMBER_TEXT];
    struct yaml_peer peer;
};
struct id_texts {
    char (*text)[NUMBER_TEXT];
    char **pointer;
};
struct writer {
    struct yaml_consumer y;
    struct yaml_peer peer;
    char max_leases[NUMBER_TEXT];
    struct grant_texts *texts;
    struct id_texts *ids; /* uid and gid lists, in the order they came */
    size_t n_ids;
};

static void auto_writer(struct writer *w)
{
    for (size_t i = 0; i < w->n_ids; i++) {
        free(w->ids[i].text);
        free(w->ids[i].pointer);
    }
    free(w->ids);
    free(w->texts);
    free(w->y.grants);
}

static unsigned count_list(char *const *list)
{
    unsigned n = 0;
    while (list && list[n])
        n++;
    return n;
}

static bool put_ids(struct writer *w, const struct config_ids *ids, char ***out, unsigned *count)
{
    struct id_texts *t = &w->ids[w->n_ids++];
    t->text = calloc((size_t)ids->n + 1, NUMBER_TEXT);
    t->pointer = calloc((size_t)ids->n + 1, sizeof(char *));
    if (!t->text || !t->pointer)
        return false;
    for (unsigned i = 0; i < ids->n; i++) {
        (void)snprintf(t->text[i], NUMBER_TEXT, "%" PRIu32, ids->id[i]);
        t->pointer[i] = t->text[i];
    }
    *out = ids->n ? t->pointer : NULL;
    *count = ids->n;
    return true;
}

static bool put_peer(struct writer *w, const struct config_peer *p, struct yaml_peer *room,
                     struct yaml_peer **out)
{
    if (p->uid.n == 0 && p->gid.n == 0 && !p->cgroup)
        return true;
    room->cgroup = p->cgroup;
    *out = room;
    return put_ids(w, &p->uid, &room->uid, &room->uid_count) &&
           put_ids(w, &p->gid, &room->gid, &room->gid_count);
}

static bool put_grant(struct writer *w, const struct config_grant *g, struct grant_texts *t,
                      struct yaml_grant *y)
{
    clock_format_duration(g->ttl_ms, t->ttl);
    clock_format_duration(g->max_ttl_ms, t->max_ttl);
    (void)snprintf(t->uses, sizeof(t->uses), "%" PRIu64, g->uses);
    *y = (struct yaml_grant){.credential = g->credential,
                             .deliver = g->deliver,
                             .ttl = t->ttl,
                             .max_ttl = t->max_ttl,
                             .uses = t->uses,
                             .owner = g->owner_process,
                             .allow = g->allow,
                             .models = g->models,
                             .allow_count = count_list(g->allow),
                             .models_count = count_list(g->models),
                             .budget = g->budget};
    return put_peer(w, &g->peer, &t->peer, &y->peer);
}

static bool put_consumer(struct writer *w, const struct config_consumer *c)
{
    struct yaml_consumer *y = &w->y;
    (void)snprintf(w->max_leases, sizeof(w->max_leases), "%u", c->max_leases);
    *y = (struct yaml_consumer){.name = c->name,
                                .note = c->note,
                                .once = c->once,
                                .max_leases = w->max_leases,
                                .grants_count = c->n_grants};
    w->ids = calloc(2 * ((size_t)c->n_grants + 1), sizeof(*w->ids));
    w->texts = calloc((size_t)c->n_grants + 1, sizeof(*w->texts));
    y->grants = calloc((size_t)c->n_grants + 1, sizeof(*y->grants));
    if (!w->ids || !w->texts || !y->grants || !put_peer(w, &c->peer, &w->peer, &y->peer))
        return false;
    for (unsigned i = 0; i < c->n_grants; i++)
        if (!put_grant(w, &c->grants[i], &w->texts[i], &y->grants[i]))
            return false;
    return true;
}

err_t config_write_consumer(const struct config_consumer *c, struct buf *yaml, struct why *why)
{
    AUTO(auto_writer) struct writer w = {0};
    if (!put_consumer(&w, c))
        return fail(why, ERR_INTERNAL, "out of memory");
    buf_add_str(yaml, "# Written by broker-cli; `broker-cli grant` and `broker-cli consumer` "
                      "replace this file whole.\n");
    return yaml_write_consumer(&w.y, yaml, why);
}
