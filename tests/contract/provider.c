/*
 * The contract of include/broker/provider.h, over every row of `providers` and every sample login.
 * A new kind without a sample fails here.
 */
#include "fake/logins.h"
#include "base/json.h"
#include "provider/inject.h"

static const struct provider_kind *kind_row(const struct login *l)
{
    for (const struct provider_kind *k = l->provider->kinds; k->name; k++)
        if (view_is(l->cred.f[CF_KIND], k->name))
            return k;
    return NULL;
}

static void load(struct login *l, const struct sample *s)
{
    login_load(l, s->provider, s->file);
}

TEST(every_row_is_complete)
{
    for (const struct provider *const *at = providers; *at; at++) {
        const struct provider *p = *at;
        unsigned all = 0;
        CHECK(p->name && p->title && p->expects && p->parse && p->validate && p->release);
        CHECK(p->token_prefix && p->kinds && p->kinds[0].name);
        CHECK(strlen(p->expects) < 120); /* it shares a sentence of 255 bytes */
        for (const struct provider_kind *k = p->kinds; k->name; k++) {
            all |= k->deliveries;
            CHECK(k->token_prefix && strlen(k->token_prefix) < 33 && strlen(k->name) < 33);
            CHECK(k->required & (1u << k->value));
            CHECK((k->required & k->optional) == 0);
            CHECK(k->deliveries != 0);
        }
        CHECK_INT(p->deliveries, all);
        bool has_file = all & (1u << DELIVER_FILE);
        CHECK(has_file == (p->project != NULL) && has_file == (p->file_name != NULL));
    }
}

/* What the proxy needs is there exactly where the proxy can serve, and every row makes a route. */
TEST(every_kind_that_the_proxy_serves_goes_upstream)
{
    for (const struct sample *s = samples; s->provider; s++) {
        AUTO(login_free) struct login l = {0};
        AUTO(buf_free) struct buf scratch = {0}, bytes = {0};
        struct why why = {0};
        struct route r;
        load(&l, s);
        const struct provider_upstream *up = provider_upstream(l.provider, l.cred.f[CF_KIND]);
        CHECK((up != NULL) == ((kind_row(&l)->deliveries & (1u << DELIVER_PROXY)) != 0));
        if (!up)
            continue;
        CHECK((up->header != NULL) == (up->origin != NULL) && (up->header != NULL) == (up->form != NULL));
        CHECK(up->dialect < ROUTE_DIALECTS && (up->merge_header != NULL) == (up->merge_value != NULL));
        CHECK(!up->form || strstr(up->form, "{}"));
        for (const char *const *rule = up->allow; rule && *rule; rule++) {
            size_t n = strspn(*rule, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
            CHECK(n > 0 && (*rule)[n] == ' ' && (*rule)[n + 1] == '/' && !strpbrk(*rule + n + 1, " ?#%\\"));
        }
        if (!up->origin) {
            l.cred.f[CF_ORIGIN] = view_str("https://api.example");
            l.cred.f[CF_HEADER] = view_str("X-Key: {}");
            l.cred.f[CF_SECRET] = view_str("one line");
        }
        CHECK_OK(inject_route(l.provider, &l.cred, &(struct inject_upstream){0}, &scratch, &r, &why), why);
        CHECK_OK(route_encode(&r, &bytes, &why), why);
        CHECK((r.flags & ~(unsigned)ROUTE_RENEWS) == ROUTE_TLS && r.n_headers > 0 && r.n_secrets > 0);
        if (cred_has(&l.cred, CF_REFRESH_TOKEN)) /* never on its way to anybody */
            CHECK(!memmem(bytes.p, bytes.len, l.cred.f[CF_REFRESH_TOKEN].p, l.cred.f[CF_REFRESH_TOKEN].n));
    }
}

TEST(every_kind_has_a_sample)
{
    for (const struct provider *const *at = providers; *at; at++)
        for (const struct provider_kind *k = (*at)->kinds; k->name; k++) {
            bool found = false;
            for (const struct sample *s = samples; s->provider; s++)
                found |= !strcmp(s->provider, (*at)->name) && !strcmp(s->kind, k->name);
            CHECK(found);
        }
}

TEST(samples_parse_to_their_kind_and_encode_back)
{
    for (const struct sample *s = samples; s->provider; s++) {
        AUTO(login_free) struct login l = {0};
        AUTO(buf_free) struct buf again = {0};
        struct why why = {0};
        load(&l, s);
        CHECK(view_is(l.cred.f[CF_KIND], s->kind));
        CHECK_OK(cred_encode(&l.cred, &again, &why), why);
        CHECK(view_eq(buf_view(&again), buf_view(&l.bytes)));
        CHECK_STR(l.provider->token_prefix(&l.cred), kind_row(&l)->token_prefix);
        CHECK_INT(provider_deliveries(l.provider, l.cred.f[CF_KIND]), kind_row(&l)->deliveries);
    }
}

static bool hands_out_a_value(enum delivery d)
{
    return d == DELIVER_ACCESS_TOKEN || d == DELIVER_HELPER || d == DELIVER_SECRET;
}

TEST(releases_follow_the_mask_and_give_the_value)
{
    for (const struct sample *s = samples; s->provider; s++) {
        AUTO(login_free) struct login l = {0};
        load(&l, s);
        for (unsigned d = 0; d <= DELIVER__COUNT; d++) {
            AUTO(buf_free) struct buf out = {0};
            struct why why = {0};
            bool may = (kind_row(&l)->deliveries & (1u << d)) && hands_out_a_value(d);
            CHECK_INT(l.provider->release(&l.cred, d, FAKE_NOW, &out, &why),
                      may ? ERR_OK : ERR_CONFLICT);
            CHECK_INT(out.len > 0, may);
            if (may)
                CHECK(view_eq(buf_view(&out), l.cred.f[kind_row(&l)->value]));
            else
                CHECK(why.text[0]);
        }
    }
}

static err_t project(const struct login *l, int64_t now, struct buf *out, struct why *why)
{
    return l->provider->project(&l->cred, now, out, why);
}

TEST(projected_files_follow_the_mask_and_hold_no_refresh_token)
{
    unsigned with_refresh = 0;
    for (const struct sample *s = samples; s->provider; s++) {
        AUTO(login_free) struct login l = {0};
        AUTO(buf_free) struct buf out = {0};
        AUTO(auto_json) json_t *file = NULL;
        struct why why = {0};
        load(&l, s);
        if (!l.provider->project)
            continue;
        if (!(kind_row(&l)->deliveries & (1u << DELIVER_FILE))) {
            CHECK_INT(project(&l, FAKE_NOW, &out, &why), ERR_CONFLICT);
            CHECK_INT(out.len, 0);
            continue;
        }
        CHECK_OK(project(&l, FAKE_NOW, &out, &why), why);
        CHECK_OK(json_parse(buf_view(&out), &file, &why), why);
        CHECK(view_contains(buf_view(&out), l.cred.f[CF_ACCESS_TOKEN]));
        CHECK(!leaks(buf_view(&out), l.cred.f[CF_REFRESH_TOKEN]));
        CHECK(!view_contains(buf_view(&out), view_str("FAKE-mcp-")));
        with_refresh += cred_has(&l.cred, CF_REFRESH_TOKEN);
    }
    CHECK_INT(with_refresh, 2);
}

TEST(nothing_with_less_than_a_minute_left_is_handed_out)
{
    unsigned seen = 0;
    for (const struct sample *s = samples; s->provider; s++) {
        AUTO(login_free) struct login l = {0};
        AUTO(buf_free) struct buf out = {0};
        struct why why = {0};
        load(&l, s);
        int64_t end = cred_ms(&l.cred, CF_EXPIRES_AT);
        if (!end)
            continue;
        seen++;
        CHECK_INT(end, FAKE_END);
        CHECK_OK(l.provider->release(&l.cred, DELIVER_HELPER, end - 60000, &out, &why), why);
        if (l.provider->project)
            CHECK_OK(project(&l, end - 60000, &out, &why), why);
        buf_reset(&out);
        static const int64_t late[] = {FAKE_END - 59999, FAKE_END, FAKE_END + 1, INT64_MAX};
        for (size_t i = 0; i < COUNT(late); i++) {
            CHECK_INT(l.provider->release(&l.cred, DELIVER_ACCESS_TOKEN, late[i], &out, &why),
                      ERR_NEEDS_LOGIN);
            CHECK_INT(l.provider->release(&l.cred, DELIVER_HELPER, late[i], &out, &why),
                      ERR_NEEDS_LOGIN);
            if (l.provider->project)
                CHECK_INT(project(&l, late[i], &out, &why), ERR_NEEDS_LOGIN);
            CHECK(strstr(why.text, "enroll"));
            CHECK_INT(out.len, 0);
        }
    }
    CHECK_INT(seen, 4);
}

/* REST names members that sentences and pictures name too: of it only its secret is looked for */
static bool leaks_any(struct view text, const struct cred *c)
{
    for (unsigned f = 1; f < CF__COUNT; f++)
        if (f != CF_REST && cred_field_is_secret(f) && leaks(text, c->f[f]))
            return true;
    return leaks(text, view_str("FAKE-mcp-"));
}

TEST(pictures_are_json_and_show_no_secret)
{
    for (const struct sample *s = samples; s->provider; s++) {
        AUTO(login_free) struct login l = {0};
        AUTO(buf_free) struct buf out = {0};
        AUTO(auto_json) json_t *o = NULL;
        struct why why = {0};
        load(&l, s);
        cred_describe(l.provider, &l.cred, &out);
        CHECK_OK(json_parse(buf_view(&out), &o, &why), why);
        CHECK_STR(json_string_value(json_object_get(o, "kind")), s->kind);
        CHECK(!leaks_any(buf_view(&out), &l.cred));
        CHECK(!leaks(buf_view(&out), l.cred.f[CF_ACCOUNT]));
        CHECK(!leaks(buf_view(&out), l.cred.f[CF_EMAIL]));
    }
}

/* Whatever comes in: taken and then valid in every later step, or refused with a sentence and no
 * output and no secret. */
static bool total(const struct login *l, struct view input)
{
    AUTO(buf_free) struct buf out = {0};
    AUTO(buf_free) struct buf used = {0};
    struct why why = {0};
    struct cred c = {0};
    if (l->provider->parse(input, NULL, &out, &why) != ERR_OK)
        return out.len == 0 && why.text[0] && !leaks_any(view_str(why.text), &l->cred);
    bool good = cred_decode(buf_view(&out), &c, &why) == ERR_OK &&
                l->provider->validate(&c, &why) == ERR_OK;
    for (unsigned d = 0; d < DELIVER__COUNT; d++)
        (void)!l->provider->release(&c, d, FAKE_NOW, &used, NULL);
    if (l->provider->project)
        (void)!l->provider->project(&c, FAKE_NOW, &used, NULL);
    cred_describe(l->provider, &c, &used);
    return good && buf_ok(&used, &why) == ERR_OK;
}

TEST(every_truncation_is_refused_or_valid)
{
    for (const struct sample *s = samples; s->provider; s++) {
        AUTO(login_free) struct login l = {0};
        load(&l, s);
        for (size_t n = 0; n <= l.input.len; n++) {
            /* a block of just that size, so that a sanitizer sees a read past its end */
            AUTO(auto_free) uint8_t *exact = malloc(n ? n : 1);
            memcpy(exact, l.input.p, n);
            CHECK(total(&l, VIEW(exact, n)));
        }
    }
}

TEST(every_changed_byte_is_refused_or_valid)
{
    static const uint8_t change[] = {0x01, 0x20, 0x80, 0xff};
    for (const struct sample *s = samples; s->provider; s++) {
        AUTO(login_free) struct login l = {0};
        load(&l, s);
        AUTO(buf_free) struct buf copy = {0};
        buf_add_view(&copy, buf_view(&l.input));
        for (size_t i = 0; i < copy.len; i++)
            for (size_t k = 0; k < sizeof change; k++) {
                copy.p[i] ^= change[k];
                CHECK(total(&l, buf_view(&copy)));
                copy.p[i] ^= change[k];
            }
    }
}

TEST(every_truncation_and_bit_flip_of_the_canonical_form_is_total)
{
    for (const struct sample *s = samples; s->provider; s++) {
        AUTO(login_free) struct login l = {0};
        load(&l, s);
        for (size_t n = 0; n < l.bytes.len; n++) {
            struct cred c = {0};
            struct why why = {0};
            bool whole_fields = cred_decode(VIEW(l.bytes.p, n), &c, &why) == ERR_OK;
            CHECK(whole_fields || why.text[0]);
        }
        for (size_t bit = 0; bit < l.bytes.len * 8; bit++) {
            AUTO(buf_free) struct buf again = {0};
            struct cred c = {0};
            l.bytes.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
            if (cred_decode(buf_view(&l.bytes), &c, NULL) == ERR_OK) {
                CHECK(cred_encode(&c, &again, NULL) == ERR_OK);
                CHECK(view_eq(buf_view(&again), buf_view(&l.bytes)));
                (void)!l.provider->validate(&c, NULL);
            }
            l.bytes.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
}

/* "… (provider claude); expected …" */
TEST(a_login_of_another_provider_is_refused_by_its_name)
{
    for (const struct provider *const *at = providers; *at; at++) {
        if (!strcmp((*at)->name, "generic")) /* takes any text */
            continue;
        for (const struct sample *s = samples; s->provider; s++) {
            AUTO(login_free) struct login l = {0};
            AUTO(buf_free) struct buf out = {0};
            struct why why = {0};
            load(&l, s);
            if ((*at) == l.provider || !strcmp(s->file, "generic.txt"))
                continue;
            char hint[64];
            snprintf(hint, sizeof hint, "(provider %s); expected %.20s", s->provider,
                     (*at)->expects);
            CHECK_INT((*at)->parse(buf_view(&l.input), NULL, &out, &why), ERR_INVALID);
            CHECK(strstr(why.text, hint));
            CHECK(strstr(why.text, (*at)->expects));
        }
    }
}

TEST(a_credential_of_another_provider_does_not_validate)
{
    for (const struct provider *const *at = providers; *at; at++)
        for (const struct sample *s = samples; s->provider; s++) {
            AUTO(login_free) struct login l = {0};
            load(&l, s);
            bool same_kind = false;
            for (const struct provider_kind *k = (*at)->kinds; k->name; k++)
                same_kind |= !strcmp(k->name, s->kind);
            if (!same_kind)
                CHECK_INT((*at)->validate(&l.cred, NULL), ERR_INVALID);
        }
}

TEST(a_missing_required_field_does_not_validate)
{
    for (const struct sample *s = samples; s->provider; s++) {
        AUTO(login_free) struct login l = {0};
        load(&l, s);
        for (unsigned f = 1; f < CF__COUNT; f++) {
            struct cred c = l.cred;
            struct why why = {0};
            bool must = f == CF_KIND || (kind_row(&l)->required & (1u << f));
            c.f[f] = (struct view){0};
            CHECK_INT(l.provider->validate(&c, &why), must ? ERR_INVALID : ERR_OK);
        }
    }
}

TEST(a_value_that_would_end_a_header_does_not_validate)
{
    for (const struct sample *s = samples; s->provider; s++) {
        AUTO(login_free) struct login l = {0};
        load(&l, s);
        struct cred c = l.cred;
        struct why why = {0};
        c.f[kind_row(&l)->value] = view_str("value\r\nX-Injected: 1");
        CHECK_INT(l.provider->validate(&c, &why), kind_row(&l)->free_text ? ERR_OK : ERR_INVALID);
    }
}

TEST(a_full_output_is_an_error)
{
    for (const struct sample *s = samples; s->provider; s++) {
        AUTO(login_free) struct login l = {0};
        load(&l, s);
        struct buf small = {.max = 8};
        CHECK_INT(l.provider->parse(buf_view(&l.input), NULL, &small, NULL), ERR_TOO_LARGE);
        small.bad = false;
        CHECK_INT(l.provider->release(&l.cred, DELIVER_HELPER, FAKE_NOW, &small, NULL),
                  ERR_TOO_LARGE);
        buf_free(&small);
    }
}
