/*
 * Token requests: whatever is taken, of JSON, is what jansson says of the same text. First byte: a form, JSON, or what the first line says as a
 * Content-Type.
 */
#include "fuzz/hold.h"

#include "base/auto.h"
#include "proxy/token_body.h"

#include <jansson.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void agree(struct view in, const struct token_body *t)
{
    json_t *v = json_loadb((const char *)in.p, in.n, JSON_REJECT_DUPLICATES, NULL);
    if (v) { /* it refuses members that come twice, of names we do not look at, and text that is no UTF-8 */
        const json_t *token = json_object_get(v, "refresh_token"), *grant = json_object_get(v, "grant_type");
        HOLD(json_is_string(token) && json_is_string(grant));
        HOLD(json_string_length(token) == t->token_len && memcmp(json_string_value(token), t->token, t->token_len) == 0);
        HOLD(strcmp(json_string_value(grant), t->grant_type) == 0);
    }
    json_decref(v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct token_body t;
    struct why why = {0};
    if (n == 0)
        return 0;
    enum token_body_type type = data[0] & 1 ? TOKEN_BODY_JSON : TOKEN_BODY_FORM;
    struct view in = VIEW(data + 1, n - 1);
    const uint8_t *line = data[0] & 2 && in.n ? memchr(in.p, '\n', in.n) : NULL;
    if (line) {
        size_t type_n = (size_t)(line - in.p);
        type = token_body_type(VIEW(in.p, type_n));
        HOLD(type == TOKEN_BODY_OTHER || type_n >= strlen("application/json"));
        in = VIEW(line + 1, in.n - type_n - 1);
    }
    if (token_body_read(type, in, "refresh_token", &t, &why) != ERR_OK) {
        HOLD(why.text[0]);
        return 0;
    }
    HOLD(t.token_len > 0 && t.token_len <= TOKEN_BODY_TOKEN && strlen(t.grant_type) < sizeof(t.grant_type));
    for (size_t i = 0; i < t.token_len; i++)
        HOLD(t.token[i] > ' ' && t.token[i] < 0x7f);
    if (type == TOKEN_BODY_JSON)
        agree(in, &t);
    return 0;
}
