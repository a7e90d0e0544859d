/* vault/deliver.c: values and projected files. */
#include "vault_rig.h"

#include <sys/xattr.h>

#define FILE_REL "run/gw/files/claude/.credentials.json"

static mode_t mode_of(struct rig *r, const char *rel)
{
    char path[256];
    struct stat st;
    (void)snprintf(path, sizeof(path), "%s/%s", r->dir, rel);
    CHECK_INT(stat(path, &st), 0);
    return st.st_mode & 07777;
}

static bool has_acl(struct rig *r, const char *rel)
{
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/%s", r->dir, rel);
    return getxattr(path, "system.posix_acl_access", NULL, 0) > 0;
}

static void end_lease(struct rig *r, uint64_t conn, const char *id)
{
    CHECK_OK(ASK(r, MSG_LEASE_END, conn, S(F_LEASE, id)), r->why);
}

TEST(a_projected_file_holds_no_refresh_token_and_is_its_owners)
{
    struct rig r;
    uint64_t admin = rig_begin(&r), gw = rig_conn(&r, "gw");
    rig_enroll(&r, admin);
    CHECK_OK(rig_issue(&r, gw, "claude", "file"), r.why);
    CHECK_HAS(&r, "\"secret\":null,\"file_name\":\".credentials.json\"");
    CHECK_HAS(&r, "\"file\":\"files/claude/.credentials.json\"");
    CHECK(!strstr(rig_body(&r), ACCESS_TOKEN));
    AUTO(buf_free) struct buf b = {0};
    CHECK(rig_file(&r, FILE_REL, &b) && buf_text(&b));
    CHECK(strstr((char *)b.p, ACCESS_TOKEN) && !strstr((char *)b.p, REFRESH_TOKEN));
    CHECK_INT(mode_of(&r, FILE_REL), 0600);
    CHECK_INT(mode_of(&r, "run/gw/files/claude"), 0700);
    CHECK_INT(mode_of(&r, "run/gw/files"), 0700);
    CHECK(!has_acl(&r, FILE_REL));
    CHECK_INT(rig_logged(&r, EVENT("file.project"), "\"consumer\":\"gw\"", NULL), 1);
    rig_end(&r);
}

TEST(the_consumers_uids_may_read_it_by_acl)
{
    struct rig r;
    char yaml[600];
    (void)snprintf(yaml, sizeof(yaml), "consumers:\n  - name: gw\n    peer: { uid: [%u, 4000000] }\n" RIG_GRANTS, getuid());
    rig_make(&r, NULL, yaml);
    uint64_t admin = rig_init(&r), gw = rig_conn(&r, "gw");
    rig_enroll(&r, admin);
    CHECK_OK(rig_issue(&r, gw, "claude", "file"), r.why);
    CHECK(has_acl(&r, FILE_REL) && has_acl(&r, "run/gw/files/claude") && has_acl(&r, "run/gw/files"));
    CHECK_INT(mode_of(&r, FILE_REL) & 07, 0); /* the group bits show the mask; others have nothing */
    CHECK_INT(mode_of(&r, FILE_REL), 0640);
    CHECK_INT(mode_of(&r, "run/gw/files"), 0750);
    /* written anew it is open to them again */
    struct cred fresh = rig_login("sk-ant-oat01-FRESHFRESHFRESHFRESH", 3600000);
    CHECK_OK(rig_put(&r, admin, "claude", &fresh, true), r.why);
    CHECK_INT(mode_of(&r, FILE_REL), 0640);
    rig_end(&r);
}

TEST(leases_share_a_file_and_the_last_one_takes_it_away)
{
    struct rig r;
    char a[40], b[40];
    uint64_t admin = rig_begin(&r), gw = rig_conn(&r, "gw"), other = rig_conn(&r, "other");
    rig_enroll(&r, admin);
    CHECK_OK(rig_issue(&r, gw, "claude", "file"), r.why);
    rig_text(&r, "id", a, sizeof(a));
    CHECK_OK(rig_issue(&r, gw, "claude", "file"), r.why);
    rig_text(&r, "id", b, sizeof(b));
    CHECK_OK(rig_issue(&r, other, "claude", "file"), r.why); /* another consumer's is another file */
    end_lease(&r, gw, a);
    CHECK(rig_exists(&r, FILE_REL));
    end_lease(&r, gw, b);
    CHECK(!rig_exists(&r, "run/gw/files") && rig_exists(&r, "run/other/files/claude/.credentials.json"));
    CHECK(rig_exists(&r, "run/gw/broker.sock"));
    CHECK_INT(rig_logged(&r, EVENT("file.remove"), "\"consumer\":\"gw\"", b), 1);
    CHECK_INT(rig_logged(&r, EVENT("file.remove"), NULL, NULL), 1);
    rig_end(&r);
}

static bool no_leases(struct rig *r)
{
    return leases_live(r->v->leases) == 0;
}

TEST(an_expired_lease_takes_its_file_away)
{
    struct rig r;
    uint64_t admin = rig_begin(&r), gw = rig_conn(&r, "gw");
    rig_enroll(&r, admin);
    CHECK_OK(ASK(&r, MSG_LEASE_ISSUE, gw, S(F_CREDENTIAL, "claude"), S(F_DELIVER, "file"), N(F_TTL_MS, 1000)), r.why);
    CHECK(rig_exists(&r, FILE_REL));
    CHECK(rig_until(&r, no_leases, 3000));
    CHECK(!rig_exists(&r, "run/gw/files"));
    CHECK_INT(rig_logged(&r, EVENT("lease.expired"), NULL, NULL), 1);
    rig_end(&r);
}

TEST(a_replaced_credential_is_projected_anew)
{
    struct rig r;
    uint64_t admin = rig_begin(&r), gw = rig_conn(&r, "gw");
    rig_enroll(&r, admin);
    CHECK_OK(rig_issue(&r, gw, "claude", "file"), r.why);
    struct cred fresh = rig_login("sk-ant-oat01-FRESHFRESHFRESHFRESH", 3600000);
    CHECK_OK(rig_put(&r, admin, "claude", &fresh, true), r.why);
    AUTO(buf_free) struct buf b = {0};
    CHECK(rig_file(&r, FILE_REL, &b) && buf_text(&b));
    CHECK(strstr((char *)b.p, "FRESHFRESH") && !strstr((char *)b.p, ACCESS_TOKEN));
    rig_end(&r);
}

/* A lease whose record is not durable yet has no file, and a replacement meanwhile must not give it one. */
TEST(a_replacement_projects_nothing_for_a_lease_that_waits)
{
    struct rig r;
    AUTO(buf_free) struct buf canonical = {0};
    uint64_t admin = rig_begin(&r), gw = rig_conn(&r, "gw");
    rig_enroll(&r, admin);
    rig_hang_disk(&r);
    uint64_t id = POST(&r, MSG_LEASE_ISSUE, gw, S(F_CREDENTIAL, "claude"), S(F_DELIVER, "file"));
    rig_turns(&r, 20);
    deliver_refresh(r.v, "claude");
    deliver_restore(r.v);
    CHECK(!rig_exists(&r, "run/gw/files"));
    CHECK_INT(rig_store.record_reads, 0);
    rig_free_disk(&r);
    CHECK_OK(REPLY(&r, MSG_LEASE_ISSUE, id), r.why);
    CHECK(rig_exists(&r, FILE_REL));
    rig_end(&r);
}

TEST(a_file_outside_tmpfs_is_refused_unless_allowed)
{
    struct rig r;
    AUTO(auto_close) int tmp = open("/var/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (tmp < 0 || file_is_memory_fs(tmp))
        SKIP("/var/tmp is a tmpfs here");
    rig_make(&r, "/var/tmp", RIG_CONFIG);
    uint64_t admin = rig_init(&r), gw = rig_conn(&r, "gw");
    rig_enroll(&r, admin);
    CHECK_INT(rig_issue(&r, gw, "claude", "file"), ERR_UNAVAILABLE);
    CHECK_WHY(&r, "files_on_disk: true");
    CHECK(!rig_exists(&r, "run/gw/files"));
    CHECK_INT(leases_live(r.v->leases), 0); /* and the lease was undone */
    CHECK_INT(rig_logged(&r, EVENT("lease.undo"), NULL, NULL), 1);
    CHECK_OK(rig_issue(&r, gw, "claude", "access_token"), r.why); /* values are not files */
    rig_write_config(&r, "files_on_disk: true\n" RIG_CONFIG);
    CHECK_OK(ASK(&r, MSG_RELOAD, admin), r.why);
    CHECK_OK(rig_issue(&r, gw, "claude", "file"), r.why);
    CHECK(rig_exists(&r, FILE_REL));
    rig_end(&r);
}

TEST(a_file_that_cannot_be_written_undoes_the_lease_and_leaves_nothing)
{
    struct rig r;
    uint64_t admin = rig_begin(&r), gw = rig_conn(&r, "gw");
    char path[160];
    rig_enroll(&r, admin);
    (void)snprintf(path, sizeof(path), "%s/gw/files", r.run);
    CHECK_INT(mkdir(path, 0700), 0);
    (void)snprintf(path, sizeof(path), "%s/gw/files/claude", r.run);
    CHECK_INT(symlink("/dev/shm", path), 0); /* somebody put a link there */
    CHECK(rig_issue(&r, gw, "claude", "file") != ERR_OK);
    CHECK_INT(leases_live(r.v->leases), 0);
    CHECK(access("/dev/shm/.credentials.json", F_OK) != 0);
    rig_end(&r);
}

TEST(files_outlive_a_restart_and_come_back_when_they_are_lost)
{
    struct rig r;
    char path[160];
    uint64_t admin = rig_begin(&r), gw = rig_conn(&r, "gw");
    rig_enroll(&r, admin);
    CHECK_OK(rig_issue(&r, gw, "claude", "file"), r.why);
    rig_stop(&r);
    CHECK(rig_exists(&r, FILE_REL));
    (void)snprintf(path, sizeof(path), "%s/" FILE_REL, r.dir);
    CHECK_INT(unlink(path), 0); /* a reboot */
    rig_start(&r);
    CHECK_INT(r.v->state, VAULT_READY);
    CHECK(rig_exists(&r, FILE_REL));
    rig_end(&r);
}

TEST(what_can_be_delivered_at_all)
{
    struct credential c = {.provider = provider_by_name(view_str("claude")), .ceiling = ~0u};
    struct why why = {0};
    (void)view_copy(view_str("login"), c.kind, sizeof(c.kind));
    CHECK_INT(deliver_possible(&c), 1u << DELIVER_PROXY | 1u << DELIVER_ACCESS_TOKEN | 1u << DELIVER_FILE | 1u << DELIVER_HELPER);
    c.ceiling = 1u << DELIVER_FILE | 1u << DELIVER_SECRET;
    CHECK_INT(deliver_possible(&c), 1u << DELIVER_FILE);
    (void)view_copy(view_str("nonsense"), c.kind, sizeof(c.kind));
    CHECK_INT(deliver_possible(&c), 0);
    c.expires_ms = 1000000;
    CHECK_INT(deliver_usable(&c, DELIVER_FILE, 940000, &why), ERR_OK);
    CHECK_INT(deliver_usable(&c, DELIVER_FILE, 940001, &why), ERR_NEEDS_LOGIN);
    CHECK_INT(deliver_usable(&c, DELIVER_HELPER, 2000000, &why), ERR_NEEDS_LOGIN);
    CHECK_INT(deliver_usable(&c, DELIVER_SECRET, 2000000, &why), ERR_OK);
    c.needs_login = true;
    CHECK_INT(deliver_usable(&c, DELIVER_SECRET, 0, &why), ERR_NEEDS_LOGIN);
}
