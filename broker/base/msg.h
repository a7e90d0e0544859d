/*
 * What the processes of one brokerd may say to each other: THE message table. One row per message:
 * who may send it, how large it may be, whether it must name a connection that was shown, and which
 * fields it may carry. A message that does not fit its row ends the worker that sent it.
 *
 * Wire (SOCK_SEQPACKET, one message per packet, big-endian):
 *     u16 type  u16 field count  u64 request id  u64 connection id      (20 bytes)
 *     then per field, in ascending tag order, no tag twice:  u16 tag  u32 length  bytes
 * Descriptors travel as SCM_RIGHTS, at most one per message, and only where the row says so.
 * A connection id is chosen by the worker (slot number | generation << 32) and means nothing until
 * the vault has seen the connected descriptor itself.
 */
#ifndef BASE_MSG_H
#define BASE_MSG_H

#include "base/buf.h"

/* Connections of clients that one proxy worker serves at most; as many slots are in the vault's table, which its slot numbers index. */
enum { PROXY_CONNS = 16384 };
enum { MSG_MAX = 128 * 1024, MSG_HEADER = 20 };

/* who may send it */
enum {
    FROM_API = 1,
    FROM_ADMIN = 2,
    FROM_VAULT = 4,
    FROM_HELPER = 8,
    FROM_SUPERVISOR = 16,
    FROM_AUDIT = 32,
    FROM_PROXY = 64
};
/* M_CONN: names an attested connection. M_FD: may carry a descriptor. M_SECRET: may carry a secret
 * (wiped after). M_AUDITED: its outcome is always recorded. */
enum { M_CONN = 1, M_FD = 2, M_SECRET = 4, M_AUDITED = 8 };

/*   name            sender                 flags                        max bytes */
/* clang-format off */
#define BROKER_MESSAGES(X)                                                                       \
    /* life of a worker */                                                                       \
    X(READY,          FROM_API | FROM_ADMIN | FROM_PROXY, 0,              256)                  \
    X(LISTEN,         FROM_VAULT,             M_FD,                        512)                  \
    X(UNLISTEN,       FROM_VAULT,             0,                           512)                  \
    X(CLOSED,         FROM_API | FROM_ADMIN | FROM_PROXY, 0,              256)                  \
    X(CLOSE,          FROM_VAULT,             0,                           256)                  \
    X(REPLY,          FROM_VAULT,             M_SECRET,                    MSG_MAX)              \
    /* what a consumer may ask */                                                                \
    X(WHOAMI,         FROM_API,               M_CONN | M_FD,               512)                  \
    X(GRANTS,         FROM_API,               M_CONN | M_FD,               512)                  \
    X(LEASE_ISSUE,    FROM_API,               M_CONN | M_FD | M_AUDITED,   2048)                 \
    X(LEASE_RENEW,    FROM_API,               M_CONN | M_FD | M_AUDITED | M_SECRET, 4096)        \
    X(LEASE_END,      FROM_API,               M_CONN | M_FD | M_AUDITED,   1024)                 \
    X(LEASE_SHOW,     FROM_API,               M_CONN | M_FD,               1024)                 \
    X(LEASES,         FROM_API,               M_CONN | M_FD,               1024)                 \
    X(INTROSPECT,     FROM_API,               M_CONN | M_FD | M_SECRET,    4096)                 \
    /* what a proxy worker asks and tells; BEGIN is answered by REPLY: SERIAL and ROUTE, or FLAGS with */ \
    /* PROXY_NEEDS_MODEL and nothing begun, or a refusal with its PROVIDER where the token told it.  */   \
    /* With USES and TTL_MS so many more requests of the same token, method and path may follow on  */   \
    /* this connection, one after another, within that time: under the same SERIAL and unasked      */   \
    X(PROXY_BEGIN,    FROM_PROXY,             M_CONN | M_FD | M_AUDITED | M_SECRET, 16384)       \
    X(PROXY_AGAIN,    FROM_PROXY,             M_CONN | M_AUDITED,          512)                  \
    /* TOKEN proves a lease, OP names the client that asks (provider/phantom.h); BODY of the REPLY is its answer */ \
    X(PROXY_TOKEN,    FROM_PROXY,             M_CONN | M_FD | M_AUDITED | M_SECRET, 4096)        \
    X(PROXY_USAGE,    FROM_PROXY,             0,                           512)                  \
    X(PROXY_END,      FROM_PROXY,             M_AUDITED,                   1024)                 \
    /* several PROXY_USAGE and PROXY_END in one packet: BODY is each as u32 length + packet */      \
    X(PROXY_NEWS,     FROM_PROXY,             M_AUDITED,                   32768)                \
    X(ROUTE,          FROM_VAULT,             M_SECRET,                    MSG_MAX)              \
    X(ROUTE_END,      FROM_VAULT,             0,                           256)                  \
    X(CUT,            FROM_VAULT,             0,                           512)                  \
    /* what an operator may ask */                                                               \
    X(STATUS,         FROM_ADMIN,             M_CONN | M_FD,               512)                  \
    X(METRICS,        FROM_ADMIN,             M_CONN | M_FD,               512)                  \
    X(INIT,           FROM_ADMIN,             M_CONN | M_FD | M_AUDITED | M_SECRET, 8192)        \
    X(UNLOCK,         FROM_ADMIN,             M_CONN | M_FD | M_AUDITED | M_SECRET, 8192)        \
    X(LOCK,           FROM_ADMIN,             M_CONN | M_FD | M_AUDITED,   512)                  \
    X(KEY_ADD,        FROM_ADMIN,             M_CONN | M_FD | M_AUDITED | M_SECRET, 8192)        \
    X(KEY_LIST,       FROM_ADMIN,             M_CONN | M_FD,               512)                  \
    X(KEY_REMOVE,     FROM_ADMIN,             M_CONN | M_FD | M_AUDITED,   512)                  \
    X(REKEY,          FROM_ADMIN,             M_CONN | M_FD | M_AUDITED,   512)                  \
    X(ACCEPT_STORE,   FROM_ADMIN,             M_CONN | M_FD | M_AUDITED,   512)                  \
    X(CRED_PUT,       FROM_ADMIN,             M_CONN | M_FD | M_AUDITED | M_SECRET, MSG_MAX)     \
    X(CRED_LIST,      FROM_ADMIN,             M_CONN | M_FD,               1024)                 \
    X(CRED_SHOW,      FROM_ADMIN,             M_CONN | M_FD,               1024)                 \
    X(CRED_REMOVE,    FROM_ADMIN,             M_CONN | M_FD | M_AUDITED,   1024)                 \
    X(CRED_RELEASE,   FROM_ADMIN,             M_CONN | M_FD | M_AUDITED,   1024)                 \
    X(CRED_RESUME,    FROM_ADMIN,             M_CONN | M_FD | M_AUDITED,   1024)                 \
    X(CONSUMER_ADD,   FROM_ADMIN,             M_CONN | M_FD | M_AUDITED,   8192)                 \
    X(CONSUMER_LIST,  FROM_ADMIN,             M_CONN | M_FD,               1024)                 \
    X(CONSUMER_SHOW,  FROM_ADMIN,             M_CONN | M_FD,               1024)                 \
    X(CONSUMER_REMOVE,FROM_ADMIN,             M_CONN | M_FD | M_AUDITED,   1024)                 \
    X(GRANT_ADD,      FROM_ADMIN,             M_CONN | M_FD | M_AUDITED,   16384)                \
    X(GRANT_REMOVE,   FROM_ADMIN,             M_CONN | M_FD | M_AUDITED,   1024)                 \
    X(ADMIN_LEASES,   FROM_ADMIN,             M_CONN | M_FD,               1024)                 \
    X(ADMIN_REVOKE,   FROM_ADMIN,             M_CONN | M_FD | M_AUDITED,   1024)                 \
    X(RELOAD,         FROM_ADMIN,             M_CONN | M_FD | M_AUDITED,   512)                  \
    X(BUDGETS,        FROM_ADMIN,             M_CONN | M_FD,               1024)                 \
    /* a login that the broker makes itself: begun, then looked at until it is done; CODE is what the person or the browser brings */ \
    X(LOGIN_BEGIN,    FROM_ADMIN,             M_CONN | M_FD | M_AUDITED | M_SECRET, 8192)        \
    X(LOGIN_CODE,     FROM_ADMIN,             M_CONN | M_FD | M_AUDITED | M_SECRET, 8192)        \
    X(LOGIN_SHOW,     FROM_ADMIN,             M_CONN | M_FD,               512)                  \
    X(LOGIN_CANCEL,   FROM_ADMIN,             M_CONN | M_FD | M_AUDITED,   512)                  \
    X(REFRESH,        FROM_ADMIN,             M_CONN | M_FD | M_AUDITED,   512)                  \
    X(AUDIT_READ,     FROM_ADMIN,             M_CONN | M_FD,               1024)                 \
    /* supervisor */                                                                             \
    X(SPAWN,          FROM_VAULT,             0,                           512)                  \
    X(SPAWNED,        FROM_SUPERVISOR,        M_FD,                        512)                  \
    X(CHILD_EXIT,     FROM_SUPERVISOR,        0,                           512)                  \
    X(RELOAD_SIGNAL,  FROM_SUPERVISOR,        0,                           256)                  \
    X(STOP,           FROM_SUPERVISOR,        0,                           256)                  \
    X(NOTIFY,         FROM_VAULT,             0,                           512)                  \
    X(ALERT,          FROM_VAULT,             0,                           2048)                 \
    /* key source helper: one question, one answer */                                            \
    X(KEY_ASK,        FROM_VAULT,             M_SECRET,                    8192)                 \
    X(KEY_ANSWER,     FROM_HELPER,            M_SECRET,                    8192)                 \
    /* oauth helper: one job. Its network part ends with RAW, which the vault keeps before it says KEPT; then follows RESULT */ \
    X(OAUTH_JOB,      FROM_VAULT,             M_SECRET,                    MSG_MAX)              \
    X(OAUTH_RAW,      FROM_HELPER,            M_SECRET,                    MSG_MAX)              \
    X(OAUTH_KEPT,     FROM_VAULT,             0,                           512)                  \
    X(OAUTH_RESULT,   FROM_HELPER,            M_SECRET,                    MSG_MAX)              \
    /* audit writer (the bytes themselves travel in the shared ring, vault/sink.h) */            \
    X(SINK_OPEN,      FROM_VAULT,             M_FD,                        512)                  \
    X(SINK_STATE,     FROM_AUDIT,             0,                           512)
/* clang-format on */

enum msg_type {
    MSG_NONE,
#define BROKER_MSG_ENUM(n, from, flags, max) MSG_##n,
    BROKER_MESSAGES(BROKER_MSG_ENUM)
#undef BROKER_MSG_ENUM
        MSG__COUNT
};

/* Field tags. kind: S text (valid bytes 0x20..0x7e and UTF-8, no NUL or control), B bytes, U u64 (8
 * bytes big-endian), L a list of texts, each u16 length + bytes. max: bytes of the value. */
/* clang-format off */
#define BROKER_FIELDS(X)                                                                         \
    X(STATUS,      U, 8)      /* err_t of a reply */                                             \
    X(REASON,      S, 256)    /* its sentence */                                                 \
    X(BODY,        B, 126976) /* JSON of a reply; or a credential in canonical form (CRED_PUT) */\
    X(RETRY_MS,    U, 8)                                                                         \
    X(CONSUMER,    S, 64)                                                                        \
    X(CREDENTIAL,  S, 64)                                                                        \
    X(PROVIDER,    S, 32)                                                                        \
    X(DELIVER,     S, 128)    /* delivery name, or a comma-separated list in GRANT_ADD */        \
    X(TTL_MS,      U, 8)                                                                         \
    X(MAX_TTL_MS,  U, 8)                                                                         \
    X(USES,        U, 8)                                                                         \
    X(OWNER,       S, 16)     /* "process" or "none" */                                          \
    X(LEASE,       S, 64)     /* lease id, 32 hex digits */                                      \
    X(TOKEN,       B, 2048)                                                                      \
    X(PASSPHRASE,  B, 1024)                                                                      \
    X(SOURCE,      S, 32)     /* key source name */                                              \
    X(PATH,        S, 1024)                                                                      \
    X(SLOT,        U, 8)                                                                         \
    X(PARAMS,      B, 1024)   /* a key source's parameters, as kept in its slot */               \
    X(KEY,         B, 32)                                                                        \
    X(OP,          S, 16)                                                                        \
    X(ROLE,        S, 16)                                                                        \
    X(PID,         U, 8)                                                                         \
    X(EXIT,        U, 8)      /* wait status */                                                  \
    X(CURSOR,      U, 8)                                                                         \
    X(COUNT,       U, 8)                                                                         \
    X(AFTER,       S, 64)     /* name to list from */                                            \
    X(FLAGS,       U, 8)                                                                         \
    X(UIDS,        S, 512)    /* "0,1000" */                                                     \
    X(GIDS,        S, 512)                                                                       \
    X(CGROUP,      S, 256)                                                                       \
    X(ALLOW,       L, 8192)   /* "POST /v1/messages" */                                          \
    X(MODELS,      L, 4096)                                                                      \
    X(BUDGET,      S, 256)                                                                       \
    X(NOTE,        S, 256)                                                                       \
    X(MAX_CONNS,   U, 8)                                                                         \
    X(SERIAL,      U, 8)      /* a proxied request, chosen by the vault */                       \
    X(ROUTE,       U, 8)      /* a route (base/route.h), chosen by the vault */                  \
    X(URI_PATH,    S, 8192)   /* without its query */                                            \
    X(MODEL,       S, 128)                                                                       \
    X(HTTP_STATUS, U, 8)      /* 0: the client never got one */                                  \
    X(IN_BYTES,    U, 8)      /* of the request's body */                                        \
    X(OUT_BYTES,   U, 8)      /* of the reply's body */                                          \
    X(DURATION_MS, U, 8)                                                                         \
    X(FIRST_MS,    U, 8)      /* to the reply's head */                                          \
    X(INPUT,       U, 8)      /* tokens */                                                       \
    X(OUTPUT,      U, 8)                                                                         \
    X(CACHE_READ,  U, 8)                                                                         \
    X(CACHE_WRITE, U, 8)                                                                         \
    X(URL,         S, 512)                                                                       \
    X(PAIRS,       L, 57344)  /* name, value, name, value …: a request's parameters, secrets among them */ \
    X(RAW,         B, 65536)  /* the body of an identity provider's answer, as it came */        \
    X(AT_MS,       U, 8)      /* wall clock at which it came */                                  \
    X(VERDICT,     U, 8)      /* enum oauth_verdict */                                           \
    X(CODE,        S, 64)     /* an OAuth error code, [a-z0-9_.-] */                             \
    X(DEVICE_CODE, B, 2048)                                                                      \
    X(USER_CODE,   S, 64)                                                                        \
    X(VERIFY_URI,  S, 512)                                                                       \
    X(VERIFY_FULL, S, 1024)   /* with the user code in it */                                     \
    X(INTERVAL_MS, U, 8)      /* between two questions whether the person has agreed */          \
    X(HOLD,        U, 8)      /* 1: enrolled, and not used before it is resumed */              \
    X(LOGIN,       S, 32)     /* a login under way, chosen by the vault */                       \
    X(FLOW,        S, 16)     /* enum grant_flow (provider/grant.h) */                           \
    X(PORT,        U, 8)      /* that the browser is sent to */                                  \
    X(AUTH_CODE,   B, 4096)   /* an authorization code */                                        \
    X(VERIFIER,    B, 256)    /* that belongs to it, where the provider made it */               \
    X(LOGIN_STATE, B, 128)    /* RFC 6749, section 10.12 */                                      \
    X(CLIENT_SECRET, B, 2048)                                                                    \
    X(HEADER,      S, 512)    /* of a login's proxied requests, as when enrolling */             \
    X(ENV,         S, 128)
/* clang-format on */

/* F_FLAGS of a reply to PROXY_BEGIN: ask again with MODEL (empty: the request has none). */
enum { PROXY_NEEDS_MODEL = 1 };
/* F_FLAGS of PROXY_END. GOES_ON: others may follow under this serial. UNUSED: no request has ended, and none follows. */
enum { PROXY_END_GOES_ON = 1, PROXY_END_UNUSED = 2 };
/* F_FLAGS of OAUTH_JOB: how the request is made and what is asked; OAUTH_SENT stands in OAUTH_RAW: the request may have been carried out. */
/* DEVICE: it is of a device endpoint. POLL: whether the person has agreed, where the answer is a code (struct provider_oauth.device_poll) */
enum { OAUTH_FORM = 1, OAUTH_LOOPBACK = 2, OAUTH_DEVICE = 4, OAUTH_SENT = 8, OAUTH_POLL = 16 };
/* What an identity provider's answer means. */
enum oauth_verdict {
    OAUTH_GRANTED,   /* tokens, a device code, or an authorization code */
    OAUTH_PENDING,   /* the person has not agreed yet (RFC 8628) */
    OAUTH_SLOW_DOWN, /* and do not ask so often */
    OAUTH_TRANSIENT, /* 5xx, 408, 429: later */
    OAUTH_REVOKED,   /* this token or code is good for nothing any more */
    OAUTH_ROTATED,   /* of these: because somebody else has used it */
    OAUTH_REFUSED, /* refused for a reason that says nothing about the token: the request, the client */
    OAUTH_GARBAGE, /* not an answer that this program understands */
    OAUTH__COUNT
};

enum msg_field {
#define BROKER_FIELD_ENUM(n, kind, max) F_##n,
    BROKER_FIELDS(BROKER_FIELD_ENUM)
#undef BROKER_FIELD_ENUM
        F__COUNT
};

struct msg_rule {
    const char *name;
    uint32_t from, flags, max;
};
const struct msg_rule *msg_rule(unsigned type); /* NULL when out of range or MSG_NONE */
const char *msg_field_name(unsigned tag);

struct msg {
    enum msg_type type;
    uint64_t id, conn;
    bool has[F__COUNT];
    struct view field[F__COUNT]; /* view into the packet */
};

/* Whether a value has its field's kind and size: both ends of a socket ask this. */
bool msg_fits(enum msg_field f, struct view v);

/* Building: begin, then put in ascending tag order. `out` is reset first. A wrong order, size or
 * kind sets out->bad. */
void msg_begin(struct buf *out, enum msg_type type, uint64_t id, uint64_t conn);
void msg_put(struct buf *out, enum msg_field f, struct view v);
void msg_put_str(struct buf *out, enum msg_field f, const char *s); /* NULL: nothing is put */
void msg_put_u64(struct buf *out, enum msg_field f, uint64_t v);

/* Total parser of one packet from a peer whose role bit is `from`. ERR_INVALID with the reason for:
 * unknown type or tag, a sender the row does not list, over the row's size, repeated or unordered
 * tags, a value that is not of its kind. */
/* Type and connection that a packet claims, unchecked; false: it has no header. */
bool msg_peek(struct view packet, unsigned *type, uint64_t *conn);
MUST err_t msg_parse(struct view packet, uint32_t from, struct msg *out, struct why *why);
uint64_t msg_u64(const struct msg *m, enum msg_field f, uint64_t otherwise);
struct view msg_view(const struct msg *m, enum msg_field f); /* empty when absent */
/* Iterates an L field: false at the end. */
bool msg_list_next(struct cursor *c, struct view *item);
void list_put(struct buf *out, struct view item); /* builds an L value */

#endif
