/*
 * A state machine over bytes. It sees the members of the outermost object and skips what is nested,
 * counting brackets outside of strings; it does not prove that the text is JSON, because whoever it
 * is for does. It is done at the member that tells: a method makes a call, a result or an error
 * makes an answer once the id is known, before or after. The first of two members of one name
 * counts here; what is changed afterwards is read again by a reader that refuses doubles.
 */
#include "exec/acp_scan.h"

#include <string.h>

enum state {
    BEGIN,  /* before the object */
    MEMBER, /* before a key, or the end */
    KEY,
    COLON,
    VALUE,  /* before a value */
    TEXT,   /* in a string */
    SCALAR, /* in a number or a word */
    NESTED, /* in an object or a list */
    AFTER   /* behind a value */
};

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static bool key_is(const struct acp_scan *s, const char *name)
{
    return !s->key_odd && strlen(name) == s->key_n && memcmp(s->key, name, s->key_n) == 0;
}

static void tell(struct acp_scan *s, enum acp_kind kind)
{
    s->kind = kind;
    if (s->id_n >= sizeof(s->id))
        s->id[0] = '\0';
    if (s->method_odd)
        s->method[0] = '\0';
}

/* ---- members */

static void keep_id(struct acp_scan *s, char c)
{
    if (!key_is(s, "id"))
        return;
    if (s->id_n < sizeof(s->id) - 1) {
        s->id[s->id_n++] = c;
        s->id[s->id_n] = '\0';
    } else {
        s->id_n = sizeof(s->id);
    }
}

/* A method is plain text; the one escape that some encoders write into it is that of the slash. */
static void keep_method(struct acp_scan *s, char c, bool escaped)
{
    if (!key_is(s, "method"))
        return;
    if ((escaped && c != '/') || s->method_n == sizeof(s->method) - 1)
        s->method_odd = true;
    else
        s->method[s->method_n++] = c;
}

static void begin_member(struct acp_scan *s)
{
    s->key_n = 0;
    s->key_odd = false;
    s->escaped = false;
    s->state = KEY;
}

/* The value begins: some keys tell by themselves. */
static void begin_value(struct acp_scan *s, char c)
{
    bool result = key_is(s, "result"), error = key_is(s, "error");
    s->escaped = s->quoted = false;
    s->depth = 1;
    s->state = c == '"' ? TEXT : c == '{' || c == '[' ? NESTED : SCALAR;
    if (key_is(s, "id")) {
        s->id_n = s->state == NESTED ? sizeof(s->id) : 0; /* no id */
        keep_id(s, c);
    }
    if (key_is(s, "method") && c != '"')
        tell(s, ACP_OTHER);
    if ((result || error) && s->answer == ACP_UNKNOWN)
        s->answer = result ? ACP_RESULT : ACP_ERROR;
    if ((result || error) && s->id_n > 0)
        tell(s, s->answer);
}

static void end_value(struct acp_scan *s)
{
    s->state = AFTER;
    if (key_is(s, "method"))
        tell(s, ACP_CALL);
    else if (key_is(s, "id") && s->answer != ACP_UNKNOWN)
        tell(s, s->answer);
}

/* ---- bytes */

static void in_key(struct acp_scan *s, char c)
{
    if (c == '"' && !s->escaped) {
        s->state = COLON;
        return;
    }
    if (s->key_n == sizeof(s->key) || c == '\\' || s->escaped)
        s->key_odd = true;
    else
        s->key[s->key_n++] = c;
    s->escaped = c == '\\' && !s->escaped;
}

static void in_text(struct acp_scan *s, char c)
{
    bool escaped = s->escaped;
    keep_id(s, c);
    s->escaped = c == '\\' && !escaped;
    if (c == '"' && !escaped)
        end_value(s);
    else if (!s->escaped)
        keep_method(s, c, escaped);
}

static void in_nested(struct acp_scan *s, char c)
{
    if (s->quoted) {
        s->quoted = c != '"' || s->escaped;
        s->escaped = c == '\\' && !s->escaped;
        return;
    }
    if (c == '"')
        s->quoted = true;
    else if (c == '{' || c == '[')
        s->depth++;
    else if ((c == '}' || c == ']') && --s->depth == 0)
        end_value(s);
}

static void after_value(struct acp_scan *s, char c)
{
    if (c == ',')
        s->state = MEMBER;
    else if (!is_space(c))
        tell(s, ACP_OTHER);
}

static void in_scalar(struct acp_scan *s, char c)
{
    if (c != ',' && c != '}' && c != ']' && !is_space(c)) {
        keep_id(s, c);
        return;
    }
    end_value(s);
    if (s->kind == ACP_UNKNOWN)
        after_value(s, c);
}

/* Between the parts: exactly one character leads on. */
static void expect(struct acp_scan *s, char c, char want, enum state next)
{
    if (c == want)
        s->state = (unsigned char)next;
    else if (!is_space(c))
        tell(s, ACP_OTHER);
}

static void feed(struct acp_scan *s, char c)
{
    switch ((enum state)s->state) {
    case BEGIN:
        expect(s, c, '{', MEMBER);
        break;
    case MEMBER:
        if (c == '"')
            begin_member(s);
        else if (!is_space(c))
            tell(s, ACP_OTHER);
        break;
    case KEY:
        in_key(s, c);
        break;
    case COLON:
        expect(s, c, ':', VALUE);
        break;
    case VALUE:
        if (!is_space(c))
            begin_value(s, c);
        break;
    case TEXT:
        in_text(s, c);
        break;
    case SCALAR:
        in_scalar(s, c);
        break;
    case NESTED:
        in_nested(s, c);
        break;
    case AFTER:
        after_value(s, c);
        break;
    }
}

void acp_scan_feed(struct acp_scan *s, const char *p, size_t n)
{
    for (size_t i = 0; i < n && s->kind == ACP_UNKNOWN; i++)
        feed(s, p[i]);
}
