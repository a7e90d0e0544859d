/*
 * git's question and the origins in it: what is read fits, has no line end in it, and an origin
 * equals itself written out again.
 */
#include "fuzz/hold.h"

#include "cli/helper.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static bool is_plain(const char *s, size_t room)
{
    return memchr(s, '\0', room) && !strchr(s, '\n');
}

static void written_again(const struct origin *o)
{
    char text[400];
    struct origin again;
    bool six = strchr(o->host, ':') != NULL;
    int len = snprintf(text, sizeof(text), "%s://%s%s%s", o->scheme, six ? "[" : "", o->host,
                       six ? "]" : "");
    if (o->port)
        (void)snprintf(text + len, sizeof(text) - (size_t)len, ":%u", o->port);
    HOLD(origin_read(NULL, text, &again) && origin_equal(o, &again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct git_request q;
    struct origin o;
    char *text = strndup((const char *)data, n);
    if (git_request_read((const char *)data, n, &q, NULL) == ERR_OK) {
        HOLD(is_plain(q.protocol, sizeof(q.protocol)) && is_plain(q.host, sizeof(q.host)));
        HOLD(is_plain(q.username, sizeof(q.username)));
        if (origin_read(q.protocol, q.host, &o))
            written_again(&o);
    }
    if (text && origin_read(NULL, text, &o))
        written_again(&o);
    free(text);
    return 0;
}
