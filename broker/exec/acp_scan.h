/*
 * What a JSON-RPC message is, by its first bytes: read as they come, kept only as far as they tell a
 * call from an answer (JSON-RPC 2.0, sections 4 and 5). Messages of the Agent Client Protocol are
 * lines, so where one ends is the newline's to say, not the scanner's.
 */
#ifndef EXEC_ACP_SCAN_H
#define EXEC_ACP_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ACP_METHOD_ROOM = 32, ACP_ID_ROOM = 128, ACP_KEY_ROOM = 8 };
enum acp_kind {
    ACP_UNKNOWN, /* not told yet */
    ACP_CALL,    /* a request or a notification: `method` is set */
    ACP_RESULT,  /* the answer to a request: `id` is set */
    ACP_ERROR,
    ACP_OTHER /* nothing of these, or no JSON */
};
struct acp_scan { /* zero is a new one */
    enum acp_kind kind;
    char method[ACP_METHOD_ROOM]; /* unescaped; "" where it is longer, or odd: no method of ours */
    char id
        [ACP_ID_ROOM]; /* the text of the value, quotes and all; "" where it is longer, or not known */
    unsigned char state;
    bool escaped, quoted; /* in a string of a nested value */
    unsigned depth;       /* of the nested value */
    enum acp_kind answer; /* what the member that was seen makes of it, once the id is known */
    char key[ACP_KEY_ROOM];
    size_t key_n, id_n, method_n;
    bool key_odd, method_odd;
};
/* Reads on, at most until it is told. Total on any bytes. */
void acp_scan_feed(struct acp_scan *s, const char *p, size_t n);

#endif
