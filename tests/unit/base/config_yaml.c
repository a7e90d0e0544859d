/* base/config_yaml.c: the schema as libcyaml reads and writes it, before anything is understood. */
#include "check.h"

#include "base/auto.h"
#include "base/config_yaml.h"
#include <broker/provider.h>

static struct why why;

TEST(texts_are_kept_as_they_are_written)
{
    struct yaml_root *y = NULL;
    CHECK_OK(yaml_read_root(view_str("store: 0x10\nkey: [1, \"\", ~]\nadmin: {uid: [-1, 1e3]}\naudit: {max_bytes: 1.5}\n"), "f", &y, &why),
             why);
    CHECK_STR(y->store, "0x10");
    CHECK_INT(y->key_count, 3);
    CHECK_STR(y->key[1], "");
    CHECK_STR(y->key[2], "~");
    CHECK_STR(y->admin->uid[1], "1e3");
    CHECK_STR(y->audit->max_bytes, "1.5");
    CHECK(y->audit->sync == AUDIT_SYNC_RELEASE && !y->anchor && !y->consumers && y->files_on_disk == 0);
    yaml_free_root(y);
}

TEST(deliveries_are_a_mask_of_the_contracts_bits)
{
    struct yaml_consumer *y = NULL;
    CHECK_OK(yaml_read_consumer(view_str("name: a\ngrants:\n- {credential: b, deliver: [secret, proxy, file, file]}\n"), "f", &y, &why),
             why);
    CHECK_INT(y->grants[0].deliver, 1 << DELIVER_SECRET | 1 << DELIVER_PROXY | 1 << DELIVER_FILE);
    yaml_free_consumer(y);
}

TEST(words_are_exact)
{
    static const char *const wrong[] = {"once: True", "once: 1", "once: on", "once: \"\"", "once: [true]", "once: {a: b}"};
    for (size_t i = 0; i < COUNT(wrong); i++) {
        struct yaml_consumer *y = NULL;
        char text[64];
        snprintf(text, sizeof(text), "name: a\n%s\n", wrong[i]);
        CHECK_INT(yaml_read_consumer(view_str(text), "f", &y, &why), ERR_INVALID);
        CHECK(!y && strncmp(why.text, "f:2: once: ", 11) == 0);
    }
}

TEST(no_content_is_no_error_here)
{
    struct yaml_root *y = (struct yaml_root *)1;
    CHECK_OK(yaml_read_root(view_str("# only a comment\n"), "f", &y, &why), why);
    CHECK(!y);
    yaml_free_root(NULL);
    yaml_free_consumer(NULL);
}

TEST(a_long_text_is_refused_with_its_key)
{
    struct yaml_consumer *y = NULL;
    AUTO(buf_free) struct buf b = {0};
    buf_add_str(&b, "name: a\n\nnote: ");
    for (int i = 0; i < 1025; i++)
        buf_add_str(&b, "x");
    CHECK_INT(yaml_read_consumer(buf_view(&b), "f", &y, &why), ERR_INVALID);
    CHECK_STR(why.text, "f:3: note: over 1024 bytes");
    b.len--;
    CHECK_OK(yaml_read_consumer(buf_view(&b), "f", &y, &why), why);
    yaml_free_consumer(y);
}

TEST(long_and_odd_keys_do_not_spoil_the_sentence)
{
    struct yaml_root *y = NULL;
    AUTO(buf_free) struct buf b = {0};
    buf_add_str(&b, "store: file\n'a: \"b\" %s %n '");
    buf_add_str(&b, ": 1\n");
    CHECK_INT(yaml_read_root(buf_view(&b), "f", &y, &why), ERR_INVALID);
    CHECK(strncmp(why.text, "f:2: a: \"b\" %s %n : unknown key", 31) == 0);
    buf_reset(&b);
    for (int i = 0; i < 600; i++)
        buf_add_str(&b, "k");
    buf_add_str(&b, ": 1\n");
    CHECK_INT(yaml_read_root(buf_view(&b), "f", &y, &why), ERR_INVALID);
    CHECK(strncmp(why.text, "f:1: kkkk", 9) == 0);
    CHECK(!y);
}

TEST(what_is_written_is_read_again)
{
    char name[] = "a", note[] = "x: y", uid[] = "7", *uids[] = {uid};
    struct yaml_peer peer = {.uid = uids, .uid_count = 1};
    struct yaml_consumer in = {.name = name, .note = note, .once = 1, .peer = &peer}, *out = NULL;
    AUTO(buf_free) struct buf b = {0};
    CHECK_OK(yaml_write_consumer(&in, &b, &why), why);
    CHECK_OK(yaml_read_consumer(buf_view(&b), "f", &out, &why), why);
    CHECK_STR(out->name, "a");
    CHECK_STR(out->note, "x: y");
    CHECK(out->once == 1 && out->grants_count == 0 && !out->max_leases);
    CHECK(out->peer->uid_count == 1 && strcmp(out->peer->uid[0], "7") == 0 && out->peer->gid_count == 0 && !out->peer->cgroup);
    yaml_free_consumer(out);
}
