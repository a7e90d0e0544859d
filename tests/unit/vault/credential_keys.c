#include "credential_rig.h"

/* The header begins a rekey, as the vault does it. */
static void begin(struct rig *r)
{
    struct secret *fresh = NULL;
    CHECK_OK(keyheader_rekey_begin(&r->header, r->master, &fresh, &r->why), r->why);
    secret_free(r->previous);
    r->previous = r->master;
    r->master = fresh;
}

static void end(struct rig *r)
{
    CHECK_OK(keyheader_rekey_end(&r->header, r->master, &r->why), r->why);
    secret_free(r->previous);
    r->previous = NULL;
    CHECK_OK(credentials_set_keys(r->cs, r->master, NULL, &r->why), r->why);
}

static void fill(struct rig *r, unsigned n)
{
    char name[16];
    for (unsigned i = 0; i < n; i++) {
        (void)snprintf(name, sizeof(name), "k%u", i);
        (void)rig_put(r, name, name);
    }
}

static void all_hold(struct rig *r, unsigned n)
{
    char name[16];
    CHECK_INT(credentials_count(r->cs), n);
    for (unsigned i = 0; i < n; i++) {
        (void)snprintf(name, sizeof(name), "k%u", i);
        rig_holds(r, name, name);
    }
}

TEST(a_rekey_in_steps_reseals_everything)
{
    AUTO(rig_free) struct rig r;
    unsigned left = 99, steps = 0;
    rig_new(&r);
    fill(&r, 25);
    begin(&r);
    CHECK_OK(credentials_set_keys(r.cs, r.master, r.previous, &r.why), r.why);
    for (; left; steps++) {
        CHECK_OK(credentials_rekey_step(r.cs, 4, &left, &r.why), r.why);
        all_hold(&r, 25);
    }
    CHECK_INT(steps, 7);
    end(&r);
    rig_reopen(&r);
    all_hold(&r, 25);
    CHECK_INT(rig_records(&r), 25);
    CHECK_INT(credential_find(r.cs, view_str("k7"))->epoch, 2);
    CHECK_INT(credential_find(r.cs, view_str("k7"))->version, 1);
}

TEST(a_rekey_goes_on_after_a_restart_at_any_step)
{
    AUTO(rig_free) struct rig r;
    unsigned left = 99;
    rig_new(&r);
    fill(&r, 9);
    begin(&r);
    rig_reopen(&r); /* killed before the manifest was under the new key */
    all_hold(&r, 9);
    while (left) {
        CHECK_OK(credentials_rekey_step(r.cs, 2, &left, &r.why), r.why);
        rig_reopen(&r);
        all_hold(&r, 9);
    }
    end(&r);
    rig_reopen(&r);
    all_hold(&r, 9);
}

TEST(changes_between_the_steps_are_taken_along)
{
    AUTO(rig_free) struct rig r;
    unsigned left = 99;
    rig_new(&r);
    fill(&r, 10);
    begin(&r);
    CHECK_OK(credentials_set_keys(r.cs, r.master, r.previous, &r.why), r.why);
    CHECK_OK(credentials_rekey_step(r.cs, 5, &left, &r.why), r.why);
    CHECK_INT(left, 5);
    CHECK_OK(credential_remove(r.cs, view_str("k0"), &r.why), r.why);
    CHECK_OK(credential_remove(r.cs, view_str("k9"), &r.why), r.why);
    (void)rig_put(&r, "k8", "changed");
    (void)rig_put(&r, "a-new-one", "new");
    while (left)
        CHECK_OK(credentials_rekey_step(r.cs, 1, &left, &r.why), r.why);
    end(&r);
    rig_reopen(&r);
    CHECK_INT(credentials_count(r.cs), 9);
    rig_holds(&r, "k8", "changed");
    rig_holds(&r, "a-new-one", "new");
    rig_holds(&r, "k5", "k5");
}

TEST(the_old_key_is_not_given_up_while_it_is_needed)
{
    AUTO(rig_free) struct rig r;
    unsigned left = 0;
    rig_new(&r);
    fill(&r, 3);
    begin(&r);
    CHECK_INT(credentials_set_keys(r.cs, r.master, NULL, &r.why), ERR_CONFLICT);
    all_hold(&r, 3);
    CHECK_OK(credentials_set_keys(r.cs, r.master, r.previous, &r.why), r.why);
    CHECK_OK(credentials_rekey_step(r.cs, 1, &left, &r.why), r.why);
    CHECK_INT(credentials_set_keys(r.cs, r.master, NULL, &r.why), ERR_CONFLICT);
    all_hold(&r, 3);
}

TEST(a_wrong_master_key_opens_nothing)
{
    AUTO(rig_free) struct rig r;
    rig_new(&r);
    fill(&r, 2);
    rig_close(&r);
    struct secret *right = r.master;
    r.master = secret_from("0123456789abcdef0123456789abcdef", 32);
    err_t e = rig_try_open(&r);
    rig_close(&r);
    secret_free(r.master);
    r.master = right;
    CHECK_INT(e, ERR_CORRUPT);
    CHECK_OK(rig_try_open(&r), r.why);
    all_hold(&r, 2);
}

TEST(a_failed_step_can_be_repeated)
{
    AUTO(rig_free) struct rig r;
    unsigned left = 0;
    rig_new(&r);
    const struct store_ops *good = store_by_name(view_str("file"));
    fill(&r, 3);
    begin(&r);
    r.ops.manifest_replace = rig_no_replace;
    CHECK_INT(credentials_set_keys(r.cs, r.master, r.previous, &r.why), ERR_NO_SPACE);
    all_hold(&r, 3);
    r.ops.manifest_replace = good->manifest_replace;
    CHECK_OK(credentials_set_keys(r.cs, r.master, r.previous, &r.why), r.why);
    r.ops.manifest_append = rig_no_append;
    CHECK_INT(credentials_rekey_step(r.cs, 3, &left, &r.why), ERR_IO);
    all_hold(&r, 3);
    r.ops.manifest_append = good->manifest_append;
    CHECK_OK(credentials_rekey_step(r.cs, 3, &left, &r.why), r.why);
    CHECK_INT(left, 0);
    end(&r);
    rig_reopen(&r);
    all_hold(&r, 3);
}

TEST(the_sweep_removes_orphans_and_nothing_else)
{
    AUTO(rig_free) struct rig r;
    unsigned removed = 0;
    rig_new(&r);
    const struct store_ops *good = store_by_name(view_str("file"));
    fill(&r, 5);
    r.ops.record_remove = rig_no_remove;
    (void)rig_put(&r, "k0", "k0"); /* leaves version 1 behind */
    CHECK_OK(credential_remove(r.cs, view_str("k4"), &r.why), r.why);
    r.ops.record_remove = good->record_remove;
    CHECK_OK(
        r.ops.record_write(r.store, "ffffffffffffffffffffffffffffffff-1-1", view_str("x"), &r.why),
        r.why);
    CHECK_OK(r.ops.record_write(r.store, "not-ours", view_str("x"), &r.why), r.why);
    CHECK_INT(rig_records(&r), 8);
    CHECK_OK(credentials_sweep(r.cs, 2, &removed, &r.why), r.why);
    CHECK_INT(removed, 2);
    CHECK_OK(credentials_sweep(r.cs, 2, &removed, &r.why), r.why);
    CHECK_INT(removed, 1);
    CHECK_OK(credentials_sweep(r.cs, 2, &removed, &r.why), r.why);
    CHECK_INT(removed, 0);
    CHECK_INT(rig_records(&r), 5);
    all_hold(&r, 4);
    rig_reopen(&r);
    all_hold(&r, 4);
}
