/*
 * The few messages of the Agent Client Protocol that are read or written here, as text: what has to
 * be another in them is replaced in place, every other byte stays. Versions 1 and 2 of the protocol
 * have other names for the same.
 */
#ifndef EXEC_ACP_TEXT_H
#define EXEC_ACP_TEXT_H

#include <stdbool.h>
#include <stddef.h>

enum { ACP_TEXT_MAX = 1 << 20, ACP_NAME_ROOM = 64 };

struct acp_text { /* zero is an empty one */
    char *p;
    size_t n, room;
    bool failed; /* out of memory, or over twice ACP_TEXT_MAX: what was added since is missing */
};
void acp_text_add(struct acp_text *t, const char *p, size_t n);
void acp_text_free(struct acp_text *t); /* wipes */

/* Version 1: authenticate, clientCapabilities …; version 2: auth/login, capabilities … */
enum acp_version { ACP_V1 = 1, ACP_V2 };

/* `line` is an initialize request: puts it into `out` with the client's capability `auth._meta.gateway` set. *asked: the client had set
 * it itself. False: it is no such request, or what is there cannot be added to. */
bool acp_offer_gateway(const char *line, size_t n, struct acp_text *out, bool *asked);

struct acp_offer {
    enum acp_version version;
    bool providers; /* has providers/list and providers/set */
    char
        gateway[ACP_NAME_ROOM]; /* the auth method that takes a gateway of our protocol; "": none */
};
/* `line` is the answer to initialize. `protocol`: "anthropic" or "openai". False: it is an error, or
 * cannot be read. */
bool acp_read_offer(const char *line, size_t n, const char *protocol, struct acp_offer *out);
/* The same answer without the auth methods that want a gateway from the client. False: there are none, or it cannot be read. */
bool acp_hide_gateway(const char *line, size_t n, struct acp_text *out);

/* `line` is the answer to providers/list: the first provider that speaks `protocol`. */
bool acp_read_provider(const char *line, size_t n, const char *protocol, char out[ACP_NAME_ROOM]);

/* What an adapter is told: where, and by which header. */
struct acp_route {
    const char *protocol, *base, *header, *token;
};
/* Requests of ours; `id` is plain text. A newline ends each. */
void acp_write_list(struct acp_text *out, const char *id);
void acp_write_set(struct acp_text *out, const char *id, const char *provider,
                   const struct acp_route *route);
void acp_write_gateway(struct acp_text *out, const char *id, const struct acp_offer *offer,
                       const struct acp_route *route);

/* Answers of ours to the request in `line`: done, or an error with this sentence. False: it has no id that can be read. */
bool acp_answer_done(const char *line, size_t n, struct acp_text *out);
bool acp_answer_refused(const char *line, size_t n, const char *sentence, struct acp_text *out);

/* Two ids, as they stand in a message: the same string, however it is escaped, or the same number. */
bool acp_same_id(const char *a, const char *b);

/* The message of an error answer; "" where there is none. */
void acp_read_error(const char *line, size_t n, char *out, size_t room);

#endif
