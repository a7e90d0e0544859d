/*
 * Which credential goes in which slot of a profile, and by which way: pure, over the table and the
 * consumer's grants. It never guesses: two grants that fit alike are an error that names both, and
 * what was asked for by name is met or refused, never replaced.
 */
#include "exec/profile.h"

#include "base/auto.h"
#include "base/options.h"

#include <string.h>

/* A list of words for a sentence, cut where the room ends. */
struct words {
    char text[200];
    size_t len;
};

static void words_add(struct words *w, const char *separator, const char *word)
{
    int n = snprintf(w->text + w->len, sizeof(w->text) - w->len, "%s%s",
                     w->len > 0 ? separator : "", word);
    w->len += n > 0 ? (size_t)n : 0;
    if (w->len >= sizeof(w->text))
        w->len = sizeof(w->text) - 1;
}

/* ---- profiles by name */

err_t profile_find(const char *name, const struct profile **out, struct why *why)
{
    const struct profile *meant = NULL;
    struct words known = {.len = 0};
    for (const struct profile *p = profiles; p->name; p++) {
        if (strcmp(p->name, name) == 0) {
            *out = p;
            return ERR_OK;
        }
        if (!meant && options_near(name, p->name))
            meant = p;
        words_add(&known, ", ", p->name);
    }
    if (meant)
        return fail(why, ERR_USAGE, "there is no profile %.40s: did you mean %s?", name,
                    meant->name);
    return fail(why, ERR_USAGE, "there is no profile %.40s: there are %s", name, known.text);
}

static const char *base_name(const char *command)
{
    const char *slash = strrchr(command, '/');
    return slash ? slash + 1 : command;
}

bool profile_takes_args(const struct profile *p, const char *command)
{
    const char *base = base_name(command);
    for (const char *const *c = p->command; c && *c; c++)
        if (strncmp(base, *c, strlen(*c)) == 0)
            return true;
    const struct profile_way *way = p->slot->way;
    return !p->command && way->args_for && strncmp(base, way->args_for, strlen(way->args_for)) == 0;
}

const struct profile *profile_for_command(const char *command)
{
    const char *base = base_name(command);
    const struct profile *p = profiles;
    for (; p->name; p++) {
        for (const char *const *c = p->command; c && *c; c++)
            if (strcmp(*c, base) == 0)
                return p;
        if (strcmp(p->name, "env") == 0)
            return p;
    }
    return p - 1;
}

/* ---- which way fits */

static bool matches(const char *want, const char *have)
{
    return !want || strcmp(want, have) == 0;
}

static bool any_names(const char *const *form, const char *placeholder)
{
    for (; form && *form; form++)
        if (strstr(*form, placeholder))
            return true;
    return false;
}

bool profile_way_names(const struct profile_way *way, const char *placeholder)
{
    return any_names(way->set, placeholder) || any_names(way->args, placeholder);
}

static bool way_fits(const struct profile_way *way, const struct broker_grant *g,
                     const char *delivery)
{
    return matches(way->provider, g->provider) && matches(way->kind, g->kind) &&
           matches(delivery, way->delivery) && broker_grant_delivers(g, way->delivery);
}

static const struct profile_way *first_way(const struct profile_slot *slot,
                                           const struct broker_grant *g, const char *delivery)
{
    for (const struct profile_way *way = slot->way; way->delivery; way++)
        if (way_fits(way, g, delivery))
            return way;
    return NULL;
}

static MUST err_t add_use(struct profile_plan *plan, struct profile_use use, struct why *why)
{
    if (plan->n == PROFILE_USES)
        return fail(why, ERR_LIMIT, "one program takes %d credentials at most", PROFILE_USES);
    plan->use[plan->n++] = use;
    return ERR_OK;
}

/* "claude by file or access_token, anthropic by secret" */
static void describe_ways(const struct profile *p, struct words *out)
{
    for (const struct profile_slot *slot = p->slot; slot->name; slot++)
        for (const struct profile_way *way = slot->way; way->delivery; way++) {
            const char *provider = way->provider ? way->provider : "any";
            bool same = way > slot->way && (way - 1)->provider &&
                        strcmp((way - 1)->provider, provider) == 0;
            if (same) {
                words_add(out, " or ", way->delivery);
                continue;
            }
            words_add(out, ", ", provider);
            words_add(out, " by ", way->delivery);
        }
}

/* ---- no wishes */

static MUST err_t every_grant(const struct profile_slot *slot, struct profile_grants grants,
                              struct profile_plan *plan, struct why *why)
{
    for (size_t i = 0; i < grants.n; i++) {
        const struct broker_grant *g = &grants.grant[i];
        const struct profile_way *way = first_way(slot, g, NULL);
        if (!way)
            continue;
        if (!g->provider[0])
            return fail(why, ERR_NEEDS_LOGIN,
                        "the credential %s is granted here but not enrolled yet", g->credential);
        TRY(add_use(plan, (struct profile_use){slot, way, g->credential}, why));
    }
    return ERR_OK;
}

/* The one grant for `way`: a usable one before one that is not. */
static MUST err_t one_grant(const struct profile_slot *slot, const struct profile_way *way,
                            struct profile_grants grants, struct profile_plan *plan,
                            struct why *why)
{
    const struct broker_grant *best = NULL;
    struct words alike = {.len = 0};
    size_t n = 0;
    for (size_t i = 0; i < grants.n; i++) {
        const struct broker_grant *g = &grants.grant[i];
        if (!way_fits(way, g, NULL) || (best && best->available && !g->available))
            continue;
        if (best && g->available && !best->available) {
            alike.len = 0;
            n = 0;
        }
        best = g;
        n++;
        words_add(&alike, ", ", g->credential);
    }
    if (n > 1)
        return fail(why, ERR_CONFLICT,
                    "several credentials fit %s (%s): choose one with --credential", slot->name,
                    alike.text);
    return best ? add_use(plan, (struct profile_use){slot, way, best->credential}, why) : ERR_OK;
}

static MUST err_t fill_slot(const struct profile_slot *slot, struct profile_grants grants,
                            struct profile_plan *plan, struct why *why)
{
    size_t before = plan->n;
    if (slot->every)
        return every_grant(slot, grants, plan, why);
    for (const struct profile_way *way = slot->way; way->delivery && plan->n == before; way++)
        TRY(one_grant(slot, way, grants, plan, why));
    return ERR_OK;
}

static MUST err_t nothing_fits(const struct profile *p, struct profile_grants grants,
                               struct why *why)
{
    struct words have = {.len = 0}, want = {.len = 0};
    describe_ways(p, &want);
    for (size_t i = 0; i < grants.n; i++) {
        const struct broker_grant *g = &grants.grant[i];
        words_add(&have, ", ", g->credential);
        words_add(&have, " ", g->provider[0] ? g->deliver : "(not enrolled)");
    }
    return fail(why, ERR_DENIED, "no grant fits profile %s; it takes %.100s; granted here: %.60s",
                p->name, want.text, grants.n > 0 ? have.text : "nothing");
}

err_t profile_choose(const struct profile *p, struct profile_grants grants,
                     struct profile_plan *out, struct why *why)
{
    struct profile_plan plan = {.n = 0};
    for (const struct profile_slot *slot = p->slot; slot->name; slot++)
        TRY(fill_slot(slot, grants, &plan, why));
    if (plan.n == 0)
        return nothing_fits(p, grants, why);
    *out = plan;
    return ERR_OK;
}

/* ---- wishes */

static const struct broker_grant *grant_named(struct profile_grants grants, const char *name,
                                              size_t n)
{
    for (size_t i = 0; i < grants.n; i++)
        if (strlen(grants.grant[i].credential) == n &&
            memcmp(grants.grant[i].credential, name, n) == 0)
            return grants.grant + i;
    return NULL;
}

static const struct profile_use *slot_taken(const struct profile_plan *plan,
                                            const struct profile_slot *slot)
{
    for (size_t i = 0; i < plan->n && !slot->every; i++)
        if (plan->use[i].slot == slot)
            return &plan->use[i];
    return NULL;
}

static MUST err_t place(const struct profile *p, const struct broker_grant *g, const char *delivery,
                        struct profile_plan *plan, struct why *why)
{
    const struct profile_use *taken = NULL;
    struct words want = {.len = 0};
    for (const struct profile_slot *slot = p->slot; slot->name; slot++) {
        const struct profile_way *way = first_way(slot, g, delivery);
        const struct profile_use *other = way ? slot_taken(plan, slot) : NULL;
        if (way && !other)
            return add_use(plan, (struct profile_use){slot, way, g->credential}, why);
        taken = other ? other : taken;
    }
    if (taken)
        return fail(why, ERR_CONFLICT, "%s and %s are both for %s, which takes one credential",
                    taken->credential, g->credential, taken->slot->name);
    describe_ways(p, &want);
    return fail(why, ERR_CONFLICT,
                "profile %s has no use for %.64s (%s %s, granted %.60s)%s%s; it takes %.90s",
                p->name, g->credential, g->provider, g->kind, g->deliver, delivery ? " by " : "",
                delivery ? delivery : "", want.text);
}

static MUST err_t grant_wish(const struct profile *p, struct profile_grants grants,
                             const char *wish, struct profile_plan *plan, struct why *why)
{
    size_t n = strcspn(wish, "=");
    const char *delivery = wish[n] == '=' ? wish + n + 1 : NULL;
    if (n == 0 || (delivery && !delivery[0]))
        return fail(why, ERR_USAGE, "--credential wants NAME or NAME=DELIVERY, not \"%.80s\"",
                    wish);
    const struct broker_grant *g = grant_named(grants, wish, n);
    if (!g)
        return fail(why, ERR_DENIED,
                    "this consumer has no grant for %.*s: broker-cli grant gives one",
                    (int)(n < 64 ? n : 64), wish);
    if (!g->provider[0])
        return fail(why, ERR_NEEDS_LOGIN, "the credential %s is granted here but not enrolled yet",
                    g->credential);
    return place(p, g, delivery, plan, why);
}

err_t profile_choose_named(const struct profile *p, struct profile_grants grants,
                           const char *const *wish, struct profile_plan *out, struct why *why)
{
    struct profile_plan plan = {.n = 0};
    for (; *wish; wish++)
        TRY(grant_wish(p, grants, *wish, &plan, why));
    *out = plan;
    return ERR_OK;
}

/* ---- for people */

static void print_list(FILE *out, const char *title, const char *const *item)
{
    for (; item && *item; item++)
        (void)fprintf(out, "%s %s\n", title, *item);
}

static void print_way(FILE *out, const struct profile_way *way)
{
    (void)fprintf(out, "    %s%s%s by %s:", way->provider ? way->provider : "any credential",
                  way->kind ? " " : "", way->kind ? way->kind : "", way->delivery);
    for (const char *const *set = way->set; set && *set; set++)
        (void)fprintf(out, "%s %s", set == way->set ? " sets" : ",", *set);
    if (way->link_file)
        (void)fprintf(out, " %s $%s/%s (else ~/%s/%s)", way->text ? "writes" : "links",
                      way->link_env, way->link_file, way->link_home, way->link_file);
    for (const char *const *arg = way->args; arg && *arg; arg++)
        (void)fprintf(out, "%s %s", arg == way->args ? " with the arguments" : "", *arg);
    if (way->acp)
        (void)fprintf(out, ", over ACP %s at {base}%s by %s", way->acp->protocol, way->acp->path,
                      way->acp->header);
    (void)fputc('\n', out);
}

void profile_print(const struct profile *p, FILE *out)
{
    (void)fprintf(out, "%s: %s\n", p->name, p->title);
    print_list(out, "  taken by itself for the command", p->command);
    for (const struct profile_slot *slot = p->slot; slot->name; slot++) {
        (void)fprintf(out, "  %s, %s\n", slot->name,
                      slot->every ? "every grant that fits:"
                                  : "one credential, the first that fits of:");
        for (const struct profile_way *way = slot->way; way->delivery; way++)
            print_way(out, way);
        print_list(out, "    unsets", slot->conflicts);
    }
    print_list(out, "  sets, where it is not set,", p->constants);
}

void profile_list(FILE *out)
{
    for (const struct profile *p = profiles; p->name; p++)
        (void)fprintf(out, "%-18s %s\n", p->name, p->title);
}
