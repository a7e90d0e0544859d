#include "check.h"

#include "base/auto.h"
#include "keysource/keysources.h"

TEST(the_keyring_has_no_functions_in_the_daemon)
{
    const struct keysource *k = keysource_by_name(view_str("keyring"));
    CHECK(k == &keysource_keyring);
    CHECK(!k->create && !k->open && !k->remove);
    CHECK_STR(k->helper, "keyring");
}

TEST(only_the_passphrase_needs_a_person_and_it_blocks_in_a_helper)
{
    for (const struct keysource *const *row = keysources; *row; row++)
        CHECK_INT((*row)->interactive, *row == &keysource_passphrase);
    CHECK_STR(keysource_passphrase.helper, "kdf");
    CHECK(!keysource_keyfile.helper && !keysource_systemd.helper);
}

TEST(params_text_takes_printable_text_only)
{
    char out[KEYSOURCE_PARAMS_MAX + 1] = "unchanged";
    struct why why = {0};
    char big[KEYSOURCE_PARAMS_MAX + 1];
    memset(big, 'a', sizeof(big));
    CHECK_INT(params_text(view_str(""), "it", out, &why), ERR_INVALID);
    CHECK_INT(params_text(VIEW("a\0b", 3), "it", out, &why), ERR_INVALID);
    CHECK_INT(params_text(view_str("a\nb"), "it", out, &why), ERR_INVALID);
    CHECK_INT(params_text(view_str("a\x7f"), "it", out, &why), ERR_INVALID);
    CHECK_INT(params_text(VIEW(big, sizeof(big)), "it", out, &why), ERR_INVALID);
    CHECK_STR(out, "unchanged");
    CHECK_OK(params_text(VIEW(big, sizeof(big) - 1), "it", out, &why), why);
    CHECK_INT(strlen(out), KEYSOURCE_PARAMS_MAX);
}

TEST(describe_cuts_and_cleans)
{
    char out[160], big[500];
    memset(big, 'a', sizeof(big));
    params_describe(VIEW(big, sizeof(big)), out);
    CHECK_INT(strlen(out), 159);
    params_describe(view_str("/etc/key\033[2J"), out);
    CHECK_STR(out, "/etc/key?[2J");
    params_describe(VIEW(NULL, 0), out);
    CHECK_STR(out, "");
}
