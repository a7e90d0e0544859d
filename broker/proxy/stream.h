/*
 * One request on its way, from the vault's decision to the record of its end.
 */
#ifndef PROXY_STREAM_H
#define PROXY_STREAM_H

#include "proxy/chunk.h"
#include "proxy/client.h"
#include "proxy/gate.h"
#include "proxy/guard.h"
#include "proxy/model.h"
#include "proxy/refusal.h"
#include "proxy/routes.h"
#include "proxy/token_body.h"
#include "proxy/upstream.h"
#include "proxy/usage.h"

enum { STREAM_KEEP_MAX = 4 << 20 }; /* of a body, so that it can be sent again */

enum stream_state {
    STREAM_ASKS,     /* waits for the vault's decision */
    STREAM_MODEL,    /* reads the body until it names its model */
    STREAM_TOKEN,    /* reads the body of a request that renews a token (renewal.h) */
    STREAM_CONNECTS, /* waits for an upstream */
    STREAM_SENDS,    /* the request goes up; the reply's head is not here yet */
    STREAM_AGAIN,    /* the upstream said 401: waits for the vault's word */
    STREAM_REPLIES,  /* the reply comes down (the rest of the request may still go up) */
    STREAM_DRAINS    /* answered by ourselves: the rest of the request's body is read and dropped */
};

/* The request on its way up. The payload of its body goes through `kept` while it may be wanted again (a 401 that a newer credential mends) or is
 * only looked at yet (its model), else straight from the client's bytes to the upstream. */
struct stream_up {
    enum gate_body body;
    uint64_t left; /* of a body with a length */
    struct chunk_reader chunks;
    bool read_all;    /* the client has sent its whole body */
    bool ended;       /* and all of it was given to the upstream */
    bool sent;        /* at least one byte was taken by this connection */
    bool broken;      /* it takes no more: only its reply is of interest */
    struct buf kept;  /* payload from the body's beginning */
    size_t kept_done; /* bytes of it that were given to the present upstream */
    bool keeps;       /* payload is still added to it */
    bool head_waits;  /* `out` is the head alone, and was not tried yet */
    struct buf out;   /* given, not taken yet */
    size_t out_done;
    uint64_t bytes; /* of payload, for the record */
};
/* The reply on its way down. */
struct stream_down {
    struct buf head; /* the beginning of its head */
    enum gate_body body;
    uint64_t left;
    struct chunk_reader chunks;
    bool chunked; /* towards the client */
    bool begun;   /* a byte of it is with the client */
    bool ended;
    bool clean; /* its connection can carry another request */
    unsigned status;
    unsigned interims; /* 1xx replies before it: each would move the deadline */
    uint64_t bytes;
    int64_t first_ms; /* when its head came */
    struct guard_state guard;
    struct usage_reader usage;
    bool untold;     /* it has used more than the vault knows */
    int64_t told_ms; /* when the vault was told of its usage */
};

struct stream {
    struct client *client;
    struct proxy *proxy;
    enum stream_state state;
    enum route_dialect dialect;
    struct buf request; /* the request's head as it came, while it may be wanted again */
    uint64_t serial;    /* the vault's; 0: nothing is begun in its books */
    uint64_t asked;     /* number of the question that waits for the vault's answer; 0: none */
    uint8_t lease[16];
    struct proxy_route *route;
    struct upstream *upstream;
    struct model_reader *model;
    const struct renewal *renewal;   /* NULL: an ordinary request */
    enum token_body_type token_form; /* of its body */
    bool ready;                      /* the upstream can be written to */
    bool taking;                     /* upstream_take() is running … */
    err_t took;                      /* … and this is what it said */
    bool fresh;                      /* an idle connection was dead: no idle one again */
    bool retried;                    /* a 401 was handed to the vault already */
    bool to_head, http10, keep_alive, expect_continue;
    int64_t begun_ms;
    struct stream_up up;
    struct stream_down down;
};

/* Begins the request with this head. It is the client's stream from now on, or was refused. */
void stream_begin(struct client *c, const struct gate_request *rq, struct view head);
/* Moves whatever can be moved. Called by client_run() alone: everything that happens to a stream (bytes, room, an answer, an upstream) leads there. */
void stream_run(struct stream *s);
/* The vault's answer to the question s->asked. */
void stream_on_reply(struct stream *s, const struct msg *m);
/* The vault ends it: nothing more goes down. */
void stream_cut(struct stream *s, err_t e, const char *reason);
/* From time to time: one that has been waiting for its reply holds no more than it must. */
void stream_rest(struct stream *s, int64_t now_ms);
/* The client is gone: the upstream is cancelled, the vault told, the stream freed. */
void stream_abort(struct stream *s, err_t e);

/* ---- among the parts. stream_ask.c: what is said to the vault */
/* `head`: its bytes. Begins it where that is allowed already, else asks the vault. */
void stream_ask_first(struct stream *s, const struct gate_request *rq, struct view head);
/* The vault hears what it has used so far, if that is news; not too often. */
void stream_tell_usage(struct stream *s);
/* The vault hears how it ended, once. */
void stream_tell_end(struct stream *s, err_t e);
/* stream.c. Answers with an error of the broker's own; the stream may be gone afterwards. */
void stream_refuse(struct stream *s, err_t e, const char *reason, int64_t retry_ms);
/* It is granted: takes an upstream. The stream may be gone afterwards. */
void stream_take_upstream(struct stream *s);
void stream_drop_upstream(struct stream *s, bool clean);

/* ---- for the two directions */
/* It ends with this answer if the reply has not begun, else the connection is cut. The stream may be gone afterwards. */
void stream_fail(struct stream *s, err_t e, const char *reason);
/* Ends with this answer of our own: head and body of a reply, whose status is `status`. The stream may be gone afterwards. */
void stream_answer(struct stream *s, const struct buf *out, unsigned status, err_t e);
/* The reply is whole and with the client. The stream is gone afterwards. */
void stream_finish(struct stream *s);
/* The upstream answered 401 and the vault may know better. */
void stream_ask_again(struct stream *s);
/* The model is known (or the body names none): asks the vault once more. */
void stream_ask_model(struct stream *s, const char *model);
/* The present connection is of no use: gives it up; another one is taken where nothing was sent on it yet. */
void stream_lost_upstream(struct stream *s, err_t e, const char *reason);

/* stream_up.c: each may end the stream; the client's pointer to it tells. */
void stream_up_begin(struct stream *s);
/* Writes the head that goes upstream into `out`, from the client's; stream_up_begin() does it otherwise. */
MUST err_t stream_up_head(struct stream *s, const struct gate_request *rq, struct why *why);
void stream_up_run(struct stream *s);
/* A client that waits for `100 Continue` gets it when there is somebody to take its body. */
void stream_up_expect(struct stream *s);
/* Reads what the client sent of its body into `kept`, for the model; and drops it, of a request that is answered already. */
void stream_up_look(struct stream *s);
void stream_up_drain(struct stream *s);
/* Reads the whole of a small body into `kept`; over `max` bytes it ends the stream. */
void stream_up_collect(struct stream *s, size_t max);
void stream_up_clear(struct stream_up *u);
/* stream_down.c */
void stream_down_run(struct stream *s);
void stream_down_clear(struct stream_down *d);

#endif
