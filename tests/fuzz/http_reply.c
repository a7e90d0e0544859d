/*
 * One HTTP reply: read in one piece and byte by byte it is the same reply or the same refusal, and
 * the body keeps its bound.
 */
#include "fuzz/hold.h"

#include "client/http.h"

#include <string.h>

enum { BODY_MAX = 512 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static err_t read_in_steps(struct http_reader *r, const char *p, size_t n, size_t step)
{
    http_reader_init(r, BODY_MAX);
    for (size_t at = 0, used = 0; at < n && r->state != HTTP_DONE; at += used) {
        size_t piece = n - at < step ? n - at : step;
        err_t e = http_reader_feed(r, p + at, piece, &used, NULL);
        if (e != ERR_OK)
            return e;
        HOLD(used == piece || r->state == HTTP_DONE);
    }
    return ERR_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct http_reader whole, bytes;
    err_t a = read_in_steps(&whole, (const char *)data, n, n ? n : 1);
    err_t b = read_in_steps(&bytes, (const char *)data, n, 1);
    HOLD(a == b);
    HOLD(whole.state == bytes.state && whole.body_len == bytes.body_len &&
         whole.last == bytes.last);
    HOLD(whole.body_len <= BODY_MAX && whole.body_len <= n);
    HOLD(whole.body_len == 0 || memcmp(whole.body, bytes.body, whole.body_len) == 0);
    if (whole.state == HTTP_DONE) {
        HOLD(whole.status >= 200 && whole.status <= 599);
        HOLD(!whole.body || whole.body[whole.body_len] == '\0');
    }
    http_reader_free(&whole);
    http_reader_free(&bytes);
    return 0;
}
