/*
 * The journal of refreshes: one file per credential whose refresh is under way, $STATE/refresh/<id>.refresh, made before the request goes out
 * and gone when its outcome is committed. Its room is taken when it is made, so that the answer, which may hold the only good refresh
 * token, finds place on a full disk. Bytes: crypto/FORMAT.md, "Refresh journal".
 */
#ifndef VAULT_REFRESH_JOURNAL_H
#define VAULT_REFRESH_JOURNAL_H

#include "vault/credential.h"

struct refresh_journal {
    int dirfd;
    const struct secret *key;
    const uint8_t *store_id;
};
/* One file, as read. */
struct refresh_entry {
    uint8_t id[SEAL_ID];
    char name[65];
    uint64_t version; /* of the credential, that the refresh began with */
    int64_t at_ms;    /* when it began */
    bool has_raw;     /* the answer came, and was kept: */
    unsigned status;  /* of HTTP */
    int64_t raw_at_ms;
    struct secret *body; /* NULL: it had none */
};
void refresh_entry_clear(struct refresh_entry *e);

/* INTENT: a refresh of this version begins. Durable, with room for the answer, on ERR_OK; a file that is there is written anew. */
MUST err_t refresh_journal_intent(const struct refresh_journal *j, const struct credential *c,
                                  int64_t at_ms, struct why *why);
/* RAW: what came, before anybody reads it. Durable on ERR_OK. */
struct refresh_raw {
    unsigned status;
    int64_t at_ms;
    struct view body;
};
MUST err_t refresh_journal_raw(const struct refresh_journal *j, const struct credential *c,
                               const struct refresh_raw *raw, struct why *why);
/* The outcome is committed, or there is none. A file that stays is void: it names a version that is not the present one. */
void refresh_journal_end(const struct refresh_journal *j, const uint8_t id[SEAL_ID]);

/* ERR_NOT_FOUND: there is no such file. ERR_CORRUPT: no INTENT in it that verifies, so no request ever went out with it. A RAW that does not
 * verify was never acknowledged, and counts as none. */
MUST err_t refresh_journal_read(const struct refresh_journal *j, const uint8_t id[SEAL_ID],
                                struct refresh_entry *out, struct why *why);
typedef void refresh_journal_fn(void *ctx, const uint8_t id[SEAL_ID]);
MUST err_t refresh_journal_each(const struct refresh_journal *j, refresh_journal_fn *fn, void *ctx,
                                struct why *why);

#endif
