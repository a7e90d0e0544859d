/*
 * libbroker-client: talks to a broker socket. libc only, no allocation that is not bounded, no threads, no globals; links into
 * static programs. broker-cli and broker-exec are built on it.
 *
 * HTTP/1.1 over AF_UNIX (RFC 9112), JSON (RFC 8259). Replies are at most BROKER_REPLY_MAX bytes.
 */
#ifndef BROKER_CLIENT_H
#define BROKER_CLIENT_H

#include <broker/err.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BROKER_REPLY_MAX = 1 << 20, BROKER_TIMEOUT_MS = 10000 };

struct
    broker_client; /* one connection, kept alive between calls, reconnected once when the broker closed it while idle */

/* Which socket is meant. `given`: a socket, or a directory that holds broker.sock; NULL takes $CREDENTIAL_BROKER_SOCKET, else the
 * default place: $CREDENTIAL_BROKER_RUN, else /run/credential-broker or $XDG_RUNTIME_DIR/credential-broker, the first that has
 * <consumer>/broker.sock. `consumer`: "admin" for the operator's socket; NULL takes $CREDENTIAL_BROKER_CONSUMER, and without that
 * broker.sock is looked for in the place itself (one consumer's directory mounted there). `out` has room for BROKER_SOCKET_ROOM.
 * ERR_USAGE: over the room of sun_path. Whether anything is there is seen by connecting. */
enum { BROKER_SOCKET_ROOM = 108 };
MUST err_t broker_socket_find(const char *given, const char *consumer, char *out, struct why *why);

/* Connects to broker_socket_find(socket_path, NULL), as every call after it within `timeout_ms`. ERR_NO_BROKER: says which path was
 * tried and what mends it. ERR_USAGE: over the room of sun_path. The descriptor is never 0, 1 or 2. */
MUST err_t broker_connect(const char *socket_path, int timeout_ms, struct broker_client **out,
                          struct why *why);
/* The same over a connection that was made to `socket_path` before, perhaps by the parent of this process: who connected is who asks.
 * Takes `fd` over, also where it fails. */
MUST err_t broker_adopt(int fd, const char *socket_path, int timeout_ms, struct broker_client **out,
                        struct why *why);
void broker_close(struct broker_client *c); /* wipes and frees; takes NULL */
const char *broker_socket_path(const struct broker_client *c);

/* One exchange. A connection that the broker closed while it was idle is made anew, once, where the request cannot have been carried
 * out. `body` NULL: none; else JSON text (or `content_type` when that is not NULL) of `body_len` bytes.
 * On ERR_OK *status is the HTTP status, *reply the body (NUL-terminated, owned by the client until the next call, wiped then). */
struct broker_request {
    const char *method;       /* "POST" */
    const char *path;         /* "/v1/leases" */
    const char *content_type; /* NULL: application/json */
    const char *token;        /* NULL, or sent as Authorization: Bearer */
    const void *body;
    size_t body_len;
};
MUST err_t broker_call(struct broker_client *c, const struct broker_request *rq, int *status,
                       const char **reply, size_t *reply_len, struct why *why);
/* As broker_call, and a status of 400 and over becomes the err_t of its `error` member with its `message` in `why`. */
MUST err_t broker_call_ok(struct broker_client *c, const struct broker_request *rq,
                          const char **reply, size_t *reply_len, struct why *why);

/* A lease, as POST /v1/leases gives it. Strings are NUL-terminated and wiped by broker_lease_free. */
struct broker_lease {
    char id[33];
    char *token; /* ours; proves the lease */
    char *credential, *provider;
    char *delivery;            /* "access_token" */
    char *secret;              /* the released value for access_token, helper, secret; else NULL */
    char *file;                /* for file: path relative to the socket's directory; else NULL */
    char *proxy_socket;        /* for proxy: where requests go, as `file`; else NULL */
    char *file_name;           /* ".credentials.json" */
    char *env_name;            /* the variable the provider's clients read; may be NULL */
    char *username;            /* for git, docker, aws; may be NULL */
    char *account;             /* for file: account id where the client needs one; may be NULL */
    char *kind;                /* "login" "api_key" … */
    char *origin;              /* "https://host[:port]" the secret is for; NULL: not told */
    int64_t expires_at_ms;     /* of the lease, wall clock */
    int64_t max_expires_at_ms; /* renewals end there; 0: not told */
    int64_t secret_expires_ms; /* of the released value; 0: unknown */
};
struct broker_lease_ask {
    const char *credential;
    const char *delivery; /* NULL: the least exposed one the grant and provider allow */
    int64_t ttl_ms;       /* 0: the grant's default */
    uint64_t uses;        /* 0: the grant's default */
    bool owner_process;
};
MUST err_t broker_lease(struct broker_client *c, const struct broker_lease_ask *ask,
                        struct broker_lease *out, struct why *why);
MUST err_t broker_lease_renew(struct broker_client *c, const struct broker_lease *lease,
                              int64_t ttl_ms, struct why *why);
MUST err_t broker_lease_end(struct broker_client *c, const char *id, struct why *why);
void broker_lease_free(struct broker_lease *lease);

/* What this socket may lease. */
struct broker_grant {
    char credential[65];
    char provider[33], kind[33]; /* "" when the credential is not enrolled */
    char deliver[128];           /* comma-separated, least exposure first */
    char origin[512];            /* "https://host[:port]"; "" not told */
    char username[257];          /* "" not told */
    bool available;              /* the credential exists and is usable now */
    char reason[160];            /* why it is not; "" */
};
bool broker_grant_delivers(const struct broker_grant *g, const char *delivery);
/* At most `room` grants into `out`; *n how many there are. */
MUST err_t broker_grants(struct broker_client *c, struct broker_grant *out, size_t room, size_t *n,
                         struct why *why);

/* Reads one member of a flat JSON object: `path` is "a" or "a.b". Strings are unescaped into `out` (NUL-terminated). Returns
 * false when absent, null, of another type, or too long. Total on any bytes. */
bool broker_json_str(const char *json, size_t n, const char *path, char *out, size_t room);
bool broker_json_int(const char *json, size_t n, const char *path, int64_t *out);
/* Appends `s` as a JSON string with quotes to out (room includes the NUL); false when it does not fit. */
bool broker_json_quote(const char *s, char *out, size_t room);

#endif
