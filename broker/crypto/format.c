/* The common preamble: written in one place and read in one place, so that no format can forget to
 * refuse what it does not know. */
#include "crypto/format.h"

enum { MAGIC = 4 };

void format_put(const struct format *f, uint16_t flags, struct buf *out)
{
    buf_add(out, f->magic, MAGIC);
    buf_put_u8(out, FORMAT_VERSION);
    buf_put_u8(out, FORMAT_SUITE);
    buf_put_u16(out, flags);
}

err_t format_get(const struct format *f, struct cursor *c, uint16_t *flags, struct why *why)
{
    struct view magic = get_bytes(c, MAGIC);
    uint8_t version = get_u8(c), suite = get_u8(c);
    uint16_t got = get_u16(c);
    if (c->bad || !view_is(magic, f->magic))
        return fail(why, ERR_CORRUPT, "this is no %s", f->what);
    if (version != FORMAT_VERSION)
        return fail(why, ERR_VERSION, "a %s of format %u: this program reads %d", f->what, version,
                    FORMAT_VERSION);
    if (suite != FORMAT_SUITE)
        return fail(why, ERR_VERSION, "a %s of suite %u: this program knows %d", f->what, suite,
                    FORMAT_SUITE);
    if (got & ~(unsigned)f->flags)
        return fail(why, ERR_VERSION, "a %s with unknown flags 0x%04x", f->what,
                    got & ~(unsigned)f->flags);
    *flags = got;
    return ERR_OK;
}
