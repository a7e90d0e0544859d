/*
 * The credentials: an index in memory over sealed records in a store. Puts together the store (sealed bytes), the key header and the
 * record format. The commit point is the manifest entry; a record without an entry is an orphan, which credentials_sweep removes.
 *
 * Manifest entry plaintext (FORMAT.md, "Manifest"): what the index needs without opening a record.
 */
#ifndef VAULT_CREDENTIAL_H
#define VAULT_CREDENTIAL_H

#include "crypto/keyslot.h"
#include "crypto/seal.h"
#include <broker/provider.h>
#include <broker/store.h>

/* Whether a login works, as its provider said last. Stored: append only. */
enum login_end {
    LOGIN_WORKS,
    LOGIN_REVOKED, /* the refresh token is not accepted any more */
    LOGIN_ROTATED, /* because somebody else has used it */
    LOGIN_LOST,    /* because the answer that replaced it was lost */
    LOGIN__COUNT
};

struct credential { /* one index row */
    uint8_t id[SEAL_ID];
    char name[65];
    const struct provider *provider;
    char kind[33];    /* CF_KIND */
    char prefix[33];  /* token prefix */
    unsigned ceiling; /* deliveries the operator allows at all; mask */
    uint64_t version;
    uint32_t epoch;
    uint8_t hash[SEAL_HASH]; /* of the sealed record */
    int64_t created_ms, replaced_ms,
        expires_ms;      /* expires: of the access token; 0: unknown or never */
    char account[19];    /* redaction id of the account; "" none */
    uint8_t needs_login; /* enum login_end; 0: it works */
    bool no_refresh;     /* it has no refresh token */
    bool released; /* held: on its way from or to its owner, and not used; implies needs_login */
};

struct credentials;
struct credentials_env {
    const struct store_ops *ops;
    struct store *store;
    const struct keyheader *header;         /* borrowed, follows rekeys */
    const struct secret *master, *previous; /* previous: NULL unless rekeying */
    const struct secret *redact_key;
};
/* Reads and verifies the manifest. ERR_CORRUPT says which entry. */
MUST err_t credentials_open(const struct credentials_env *env, struct credentials **out,
                            struct why *why);
void credentials_close(struct credentials *cs);
/* The manifest's head, for anchors: generation << 32 | entries in it, which only grows, and the last entry's tag. */
void credentials_head(const struct credentials *cs, uint64_t *seq, uint8_t hash[16]);
unsigned credentials_count(const struct credentials *cs);
const struct credential *credential_find(const struct credentials *cs,
                                         struct view name); /* NULL: none */
/* In order of names, the first after `after` ("" begins); NULL: the end. */
const struct credential *credential_next(struct credentials *cs, const char *after);

/* A row's address holds until it is removed; its contents change when it is replaced or rekeyed.
 * Enrolls (replace false: ERR_EXISTS if there) or replaces (true: ERR_NOT_FOUND if not). `canonical`: cred_encode form, decoded and
 * validated here. Durable on return; a failure leaves the old version in force. */
struct credential_put {
    struct view name, provider,
        canonical;      /* provider may be empty in a replacement; another one is ERR_CONFLICT */
    unsigned ceiling;   /* 0: all that the provider serves; in a replacement: as before */
    bool replace, hold; /* hold: it is not used before credential_hold(…, false) */
    int64_t now_ms;
};
MUST err_t credential_put(struct credentials *cs, const struct credential_put *put,
                          const struct credential **out, struct why *why);
/* The login is dead: kept as it is, and marked. Durable on return. Only a credential that is put in its place takes the mark away. */
MUST err_t credential_set_end(struct credentials *cs, const struct credential *c,
                              enum login_end how, struct why *why);
MUST err_t credential_remove(struct credentials *cs, struct view name, struct why *why);
/* Held, it is kept and not used, until it is let go or replaced. Durable on return. */
MUST err_t credential_hold(struct credentials *cs, struct view name, bool held, struct why *why);
/* Opens the sealed record: the canonical form in a secret (decode with cred_decode). Sealed bytes are cached. */
MUST err_t credential_open(struct credentials *cs, const struct credential *c,
                           struct secret **plain, struct why *why);
/* The same decoded, kept in secret memory for who asks for the same one in this turn of the loop: `*out` is valid until the next call,
 * or credentials_forget(), which is called at the end of each turn. */
MUST err_t credential_view(struct credentials *cs, const struct credential *c,
                           const struct cred **out, struct why *why);
void credentials_forget(struct credentials *cs);

/* Rekey, in steps: after keyheader_rekey_begin was written, call with the new keys until *left is 0; each step re-seals up to
 * `max` records, each one committed by its own manifest entry, so a kill at any point loses nothing. */
MUST err_t credentials_set_keys(struct credentials *cs, const struct secret *master,
                                const struct secret *previous, struct why *why);
MUST err_t credentials_rekey_step(struct credentials *cs, unsigned max, unsigned *left,
                                  struct why *why);

/* A change that failed may still be on the disk; each change settles that at once, and where this fails too, it is called until it does
 * not: ERR_OK when nothing is open. */
MUST err_t credentials_settle(struct credentials *cs, struct why *why);
/* Removes records that no entry names, up to `max` (at most 256) of them; *removed 0: none is left. Lists all records (about 0.1 s for
 * 100,000), so call it when idle: soon after opening, and after failures. Opening itself looks at no record. */
MUST err_t credentials_sweep(struct credentials *cs, unsigned max, unsigned *removed,
                             struct why *why);

#endif
