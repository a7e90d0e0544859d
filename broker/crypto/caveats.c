/*
 * Caveats. A row says what is well-formed and how it narrows. Invariant: apply never makes anything
 * allowed that was not before, in any order of caveats: the smallest end, the common deliveries,
 * one uid, and every path and model pattern.
 */
#include "crypto/caveats.h"

#include "base/auto.h"

enum { METHOD_MAX = 16 };

static uint64_t number(struct view v)
{
    uint64_t n = 0;
    for (size_t i = 0; i < v.n; i++)
        n = n << 8 | v.p[i];
    return n;
}

/* 0 means "no end" in struct token_caveats: as a caveat it would widen */
static bool valid_expires(struct view v)
{
    return v.n == 8 && number(v) > 0 && number(v) <= INT64_MAX;
}

static bool valid_u32(struct view v)
{
    return v.n == 4;
}

static bool visible(struct view v)
{
    for (size_t i = 0; i < v.n; i++)
        if (v.p[i] <= ' ' || v.p[i] > '~')
            return false;
    return v.n > 0 && v.n <= TOKEN_MAX_CAVEAT;
}

/* "POST /v1/messages" */
static bool valid_path(struct view v)
{
    size_t method = 0;
    while (method < v.n && v.p[method] >= 'A' && v.p[method] <= 'Z')
        method++;
    if (method == 0 || method > METHOD_MAX || v.n > TOKEN_MAX_CAVEAT || v.n < method + 2)
        return false;
    return v.p[method] == ' ' && v.p[method + 1] == '/' &&
           visible(VIEW(v.p + method + 1, v.n - method - 1));
}

static bool apply_expires(struct view v, struct token_caveats *all)
{
    int64_t end = (int64_t)number(v);
    if (all->expires_ms == 0 || end < all->expires_ms)
        all->expires_ms = end;
    return true;
}

static bool apply_deliver(struct view v, struct token_caveats *all)
{
    uint32_t mask = (uint32_t)number(v);
    all->deliver = all->has_deliver ? all->deliver & mask : mask;
    all->has_deliver = true;
    return true;
}

static bool apply_uid(struct view v, struct token_caveats *all)
{
    uint32_t uid = (uint32_t)number(v);
    all->never |= all->has_uid && all->uid != uid;
    if (!all->has_uid)
        all->uid = uid;
    all->has_uid = true;
    return true;
}

static bool apply_path(struct view v, struct token_caveats *all)
{
    if (all->n_paths == TOKEN_MAX_CAVEATS)
        return false;
    all->path[all->n_paths++] = v;
    return true;
}

static bool apply_model(struct view v, struct token_caveats *all)
{
    if (all->n_models == TOKEN_MAX_CAVEATS)
        return false;
    all->model[all->n_models++] = v;
    return true;
}

static const struct rule {
    bool (*valid)(struct view);
    bool (*apply)(struct view, struct token_caveats *);
} rules[] = {
    [CAVEAT_EXPIRES] = {valid_expires, apply_expires},
    [CAVEAT_DELIVER] = {valid_u32, apply_deliver},
    [CAVEAT_METHOD_PATH] = {valid_path, apply_path},
    [CAVEAT_MODEL] = {visible, apply_model},
    [CAVEAT_PEER_UID] = {valid_u32, apply_uid},
};

bool caveat_valid(unsigned type, struct view value)
{
    return type < COUNT(rules) && rules[type].valid && rules[type].valid(value);
}

bool caveat_apply(unsigned type, struct view value, struct token_caveats *all)
{
    return caveat_valid(type, value) && rules[type].apply(value, all);
}
