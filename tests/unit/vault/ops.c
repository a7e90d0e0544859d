/* vault/ops.c: lists of deliveries. The table itself: tests/contract/op.c. */
#include "check.h"
#include "vault/ops.h"

#include "base/auto.h"

static const char *written(unsigned mask)
{
    static char out[128];
    AUTO(buf_free) struct buf b = {0};
    struct jsonw w = jsonw_to(&b);
    jsonw_open(&w, NULL, '{');
    write_deliveries(&w, "d", mask);
    jsonw_close(&w, '}');
    CHECK(view_copy(buf_view(&b), out, sizeof(out)));
    return out;
}

TEST(a_mask_is_written_least_exposed_first)
{
    CHECK_STR(written(0), "{\"d\":[]}");
    CHECK_STR(written(1u << DELIVER_SECRET | 1u << DELIVER_FILE), "{\"d\":[\"file\",\"secret\"]}");
    CHECK_STR(written(~0u), "{\"d\":[\"proxy\",\"access_token\",\"file\",\"helper\",\"secret\"]}");
}

TEST(a_list_is_read_strictly)
{
    static const struct {
        const char *list;
        err_t e;
        unsigned mask;
    } row[] = {
        {"", ERR_OK, 0},
        {"file", ERR_OK, 1u << DELIVER_FILE},
        {"secret,proxy,secret", ERR_OK, 1u << DELIVER_PROXY | 1u << DELIVER_SECRET},
        {"proxy,access_token,file,helper,secret", ERR_OK, (1u << DELIVER__COUNT) - 1},
        {",file", ERR_INVALID, 0},
        {"file,", ERR_INVALID, 0},
        {"file,,helper", ERR_INVALID, 0},
        {"file, helper", ERR_INVALID, 0},
        {"File", ERR_INVALID, 0},
        {"filee", ERR_INVALID, 0},
        {"fil", ERR_INVALID, 0},
        {",", ERR_INVALID, 0},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        unsigned mask = 77;
        struct why why = {0};
        CHECK_INT(read_deliveries(view_str(row[i].list), &mask, &why), row[i].e);
        CHECK_INT(mask, row[i].e == ERR_OK ? row[i].mask : 77); /* untouched on failure */
    }
}
