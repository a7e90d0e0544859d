/*
 * The changed messages of ACP against jansson: what is changed is JSON as before, says what it must, and nothing else in it is another.
 */
#include "fuzz/hold.h"

#include "exec/acp_text.h"

#include <jansson.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static json_t *load(const char *p, size_t n)
{
    json_error_t error;
    return json_loadb(p, n, JSON_REJECT_DUPLICATES, &error);
}

static json_t *capabilities(json_t *message)
{
    json_t *params = json_object_get(message, "params"), *version = json_object_get(params, "protocolVersion");
    return json_object_get(params, json_is_integer(version) && json_integer_value(version) >= 2 ? "capabilities" : "clientCapabilities");
}

static void offers(const char *text, size_t n, const json_t *before)
{
    struct acp_text out = {0};
    bool asked = false;
    if (acp_offer_gateway(text, n, &out, &asked)) {
        json_t *after = load(out.p, out.n);
        json_t *meta = json_object_get(json_object_get(capabilities(after), "auth"), "_meta");
        HOLD(!before || json_is_true(json_object_get(meta, "gateway")));
        HOLD(!before || json_object_size(after) == json_object_size(before));
        HOLD(!asked || (out.n == n && memcmp(out.p, text, n) == 0));
        json_decref(after);
    }
    acp_text_free(&out);
}

static void hides(const char *text, size_t n, const json_t *before)
{
    struct acp_text out = {0};
    if (acp_hide_gateway(text, n, &out)) {
        json_t *after = load(out.p, out.n), *method;
        size_t i;
        HOLD(!before || after);
        json_array_foreach(json_object_get(json_object_get(after, "result"), "authMethods"), i, method)
            HOLD(!json_is_object(json_object_get(json_object_get(method, "_meta"), "gateway")));
        json_decref(after);
    }
    acp_text_free(&out);
}

static void answers(const char *text, size_t n, const json_t *before)
{
    struct acp_text out = {0};
    if (acp_answer_done(text, n, &out)) {
        json_t *answer = load(out.p, out.n);
        HOLD(!before || json_equal(json_object_get(answer, "id"), json_object_get(before, "id")));
        json_decref(answer);
    }
    acp_text_free(&out);
}

/* What we say is JSON, whatever the names and the token are, or is not said. */
static void writes(const char *name)
{
    struct acp_route route = {name, name, name, name};
    struct acp_offer offer = {.version = name[0] & 1 ? ACP_V1 : ACP_V2};
    struct acp_text out[4] = {0};
    (void)snprintf(offer.gateway, sizeof(offer.gateway), "%.*s", 20, name);
    acp_write_list(&out[0], name);
    acp_write_set(&out[1], name, name, &route);
    acp_write_gateway(&out[2], name, &offer, &route);
    (void)acp_answer_refused("{\"id\":1}", 8, name, &out[3]);
    for (int i = 0; i < 4; i++) {
        json_t *said = out[i].failed ? NULL : load(out[i].p, out[i].n);
        if (i != 2 && i != 3) /* a name that is cut may end inside of a character */
            HOLD(out[i].failed || (said && strcmp(json_string_value(json_object_get(said, "id")), name) == 0));
        HOLD(out[i].failed || out[i].p[out[i].n - 1] == '\n');
        json_decref(said);
        acp_text_free(&out[i]);
    }
}

static void is_reflexive(const char *a, const char *b)
{
    HOLD(acp_same_id(a, b) == acp_same_id(b, a));
    HOLD(acp_same_id(a, a) == (a[0] != '\0'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const char *text = (const char *)data;
    char provider[ACP_NAME_ROOM], said[64];
    struct acp_offer offer;
    json_t *before = load(text, n);
    offers(text, n, before);
    hides(text, n, before);
    answers(text, n, before);
    if (acp_read_offer(text, n, "openai", &offer))
        HOLD(memchr(offer.gateway, '\0', sizeof(offer.gateway)) != NULL);
    if (acp_read_provider(text, n, "openai", provider))
        HOLD(provider[0] && memchr(provider, '\0', sizeof(provider)) != NULL);
    acp_read_error(text, n, said, sizeof(said));
    HOLD(memchr(said, '\0', sizeof(said)) != NULL);
    json_decref(before);
    char *copy = strndup(text, n), *colon = copy ? strchr(copy, ':') : NULL;
    if (copy)
        writes(copy);
    if (colon) {
        *colon = '\0';
        is_reflexive(copy, colon + 1);
    }
    free(copy);
    return 0;
}
