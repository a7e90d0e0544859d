/*
 * The vault's decision about a path, by the bytes "RULE \n CAVEAT \n METHOD \n PATH": what it allows begins with the rule and with the caveat, at
 * the border of a segment, and still does when it is decoded once or twice and its dot segments are taken out, as some server may do.
 */
#include "fuzz/hold.h"

#include "base/auto.h"
#include "base/glob.h"
#include "proxy/gate.h"
#include "vault/request_policy.h"

#include <string.h>

enum { ROOM = 1024, RULE_ROOM = 256 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct view line_of(struct view *rest)
{
    const uint8_t *end = rest->n ? memchr(rest->p, '\n', rest->n) : NULL;
    struct view line = VIEW(rest->p, end ? (size_t)(end - rest->p) : rest->n);
    *rest = end ? VIEW(end + 1, rest->n - line.n - 1) : VIEW(NULL, 0);
    return line;
}

static int hex(char c)
{
    const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c | 0x20) : NULL;
    return at ? (int)(at - digits) : -1;
}

static void decode(char *s)
{
    char *out = s;
    for (; *s; s++)
        if (*s == '%' && hex(s[1]) >= 0 && hex(s[2]) >= 0) {
            *out++ = (char)(hex(s[1]) << 4 | hex(s[2]));
            s += 2;
        } else {
            *out++ = *s == '\\' ? '/' : *s;
        }
    *out = '\0';
}

/* RFC 3986 section 5.2.4, and runs of slashes as one. */
static void normalise(const char *path, char out[ROOM])
{
    char copy[ROOM], *save = NULL;
    size_t len = 0;
    (void)snprintf(copy, sizeof(copy), "%s", path);
    out[0] = '\0';
    for (char *s = strtok_r(copy, "/", &save); s; s = strtok_r(NULL, "/", &save)) {
        if (strcmp(s, ".") == 0)
            continue;
        if (strcmp(s, "..") == 0) {
            char *last = strrchr(out, '/');
            len = last ? (size_t)(last - out) : 0;
            out[len] = '\0';
            continue;
        }
        len += (size_t)snprintf(out + len, ROOM - len, "/%s", s);
    }
}

static bool below(const char *path, struct view rule)
{
    const uint8_t *space = memchr(rule.p, ' ', rule.n);
    struct view front = VIEW(space + 1, rule.n - (size_t)(space + 1 - rule.p));
    while (front.n && front.p[front.n - 1] == '/')
        front.n--;
    size_t len = strlen(path);
    return len >= front.n && (front.n == 0 || memcmp(path, front.p, front.n) == 0) && (len == front.n || path[front.n] == '/');
}

/* Is it a rule that an operator would write: a plain path? */
static bool plain(struct view rule)
{
    const uint8_t *space = rule.n ? memchr(rule.p, ' ', rule.n) : NULL;
    struct view path = space ? VIEW(space + 1, rule.n - (size_t)(space + 1 - rule.p)) : VIEW(NULL, 0);
    return path.n && gate_path_ok(path) && !memchr(path.p, '%', path.n);
}

static void holds_decoded(struct view path, struct view rule)
{
    char text[ROOM], out[ROOM];
    if (!plain(rule) || !view_copy(path, text, sizeof(text)))
        return;
    for (int i = 0; i < 3; i++, decode(text)) {
        normalise(text, out);
        HOLD(below(out, rule));
    }
}

static void check_models(struct view pattern, struct view name)
{
    char text[RULE_ROOM];
    char *list[] = {text, NULL};
    struct config c = {0};
    struct config_grant g = {.models = list};
    struct token_caveats none = {0}, narrow = {.n_models = 1, .model = {pattern}};
    struct request_ask ask = {.method = view_str("POST"), .path = view_str("/"), .has_model = true, .model = name};
    const struct config_price *price = NULL;
    if (!view_copy(pattern, text, sizeof(text)))
        return;
    bool granted = request_check_model(&c, &g, &none, &ask, &price, NULL) == ERR_OK;
    HOLD(granted == (name.n ? glob_match(view_str(text), name) : granted && glob_match(view_str(text), name)));
    g.models = NULL;
    bool narrowed = request_check_model(&c, &g, &narrow, &ask, &price, NULL) == ERR_OK;
    HOLD(narrowed == glob_match(pattern, name) && !price);
    g.limits.limit[BUDGET_COST].amount = 1; /* without a price there is no budget of cost */
    HOLD(request_check_model(&c, &g, &none, &ask, &price, NULL) != ERR_OK);
    ask.has_model = false;
    HOLD(request_needs_model(&g, &none, &ask));
    ask.method = view_str("GET");
    ask.model = VIEW(NULL, 0);
    HOLD(!request_needs_model(&g, &none, &ask) && request_check_model(&c, &g, &none, &ask, &price, NULL) == ERR_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct view rest = VIEW(data, n), rule = line_of(&rest), caveat = line_of(&rest), method = line_of(&rest);
    char text[RULE_ROOM];
    char *list[] = {text, NULL};
    const char *found = NULL, *any = NULL;
    struct config_grant g = {.allow = list}, open = {0};
    struct provider_upstream up = {0};
    struct token_caveats none = {0}, narrow = {.n_paths = 1, .path = {caveat}};
    struct request_ask ask = {.method = method, .path = rest};
    if (!view_copy(rule, text, sizeof(text)))
        return 0;
    bool granted = request_check_path(&g, &up, &none, &ask, &found, NULL) == ERR_OK;
    bool narrowed = request_check_path(&g, &up, &narrow, &ask, &found, NULL) == ERR_OK;
    bool good = request_check_path(&open, &up, &none, &ask, &any, NULL) == ERR_OK;
    HOLD(!any && (!narrowed || granted) && (!granted || good));
    HOLD(granted == (good && request_rule_matches(view_str(text), method, rest)));
    HOLD(narrowed == (granted && request_rule_matches(caveat, method, rest)));
    if (granted)
        holds_decoded(rest, view_str(text));
    if (narrowed)
        holds_decoded(rest, caveat);
    check_models(rule, rest);
    return 0;
}
