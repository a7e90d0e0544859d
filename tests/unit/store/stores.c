#include "check.h"

#include "store/stores.h"

TEST(the_file_store_is_in_the_table)
{
    CHECK(store_by_name(view_str("file")) == &store_file);
    CHECK(!store_by_name(view_str("FILE")));
    CHECK(!store_by_name(view_str("files")));
}
