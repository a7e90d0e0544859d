/*
 * A request on its way to a message, as api/http.c goes it: byte 0 chooses the role, byte 1 the
 * method; then the target, a newline, the Authorization value, a newline, the body. Whatever comes
 * out as a packet must be one that the vault takes.
 */
#include "api/enroll.h"
#include "api/request.h"
#include "base/auto.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct view line(const uint8_t **p, const uint8_t *end)
{
    const uint8_t *nl = *p < end ? memchr(*p, '\n', (size_t)(end - *p)) : NULL;
    struct view v = VIEW(*p, (size_t)((nl ? nl : end) - *p));
    *p = nl ? nl + 1 : end;
    return v;
}

/* A copy of exactly its size, so that a read past the end is seen. */
static uint8_t *exact(struct view v)
{
    uint8_t *p = malloc(v.n ? v.n : 1);
    if (!p)
        abort();
    if (v.n)
        memcpy(p, v.p, v.n);
    return p;
}

static void hold_against_the_table(struct view packet, const struct route *r)
{
    struct why why;
    struct msg m;
    if (msg_parse(packet, r->role, &m, &why) != ERR_OK || m.type != r->type || m.id != 7 ||
        m.conn != 9)
        abort();
}

static err_t convert(const struct route_match *m, struct view query, struct view bearer,
                     uint8_t *body, size_t n)
{
    struct values v = {0};
    struct why why;
    AUTO(buf_free) struct buf credential = {0}, packet = {.max = MSG_MAX};
    TRY(request_bearer(m->route, bearer, &v, &why));
    TRY(body_read(m->route, body, n, &v, &why));
    TRY(request_params(m, query, &v, &why));
    TRY(request_check(m->route, &v, &why));
    if (m->route->flags & ROUTE_ENROLLS)
        TRY(enroll_canonical(m->route, &v, &credential, &why));
    v.credential = buf_view(&credential);
    TRY(request_message(m->route, &v, (struct request_ids){7, 9}, &packet, &why));
    hold_against_the_table(buf_view(&packet), m->route);
    return ERR_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const methods[] = {"GET", "POST", "PUT", "DELETE"};
    struct route_match m = {0};
    struct view path, query;
    struct why why;
    if (size < 2)
        return 0;
    const uint8_t *p = data + 2, *end = data + size;
    struct view target = line(&p, end), bearer = line(&p, end), rest = VIEW(p, (size_t)(end - p));
    AUTO(auto_free) uint8_t *t = exact(target), *b = exact(bearer), *body = exact(rest);
    if (request_target(VIEW(t, target.n), &path, &query, &why) != ERR_OK)
        return 0;
    uint32_t role = data[0] & 1 ? FROM_ADMIN : FROM_API;
    if (route_find(role, methods[data[1] & 3], path, &m, &why) != ERR_OK ||
        rest.n > m.route->body_max)
        return 0;
    (void)!convert(&m, query, VIEW(b, bearer.n), body, rest.n);
    return 0;
}
