/*
 * The configuration from any bytes: as a whole file and as a drop-in. What is accepted must survive being written and read again,
 * and what is refused must say where.
 */
#include "base/auto.h"
#include "base/config_yaml.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void whole_file(struct view text)
{
    struct why why = {0};
    struct yaml_root *y = NULL;
    if (yaml_read_root(text, "f", &y, &why) == ERR_OK && y) {
        struct config *c = calloc(1, sizeof(*c));
        err_t e = c ? build_config(&(struct build){.text = text, .label = "f", .why = &why}, y, c) : ERR_INTERNAL;
        if (e != ERR_OK && strncmp(why.text, "f:", 2) != 0)
            abort();
        config_free(c);
    }
    yaml_free_root(y);
}

static void drop_in(struct view text)
{
    struct why why = {0};
    struct config_consumer *first = NULL, *second = NULL;
    AUTO(buf_free) struct buf one = {0}, two = {0};
    if (config_parse_consumer(text, "f", &first, &why) != ERR_OK) {
        if (first || why.text[0] == '\0')
            abort();
        return;
    }
    if (config_write_consumer(first, &one, &why) != ERR_OK || config_parse_consumer(buf_view(&one), "f", &second, &why) != ERR_OK ||
        config_write_consumer(second, &two, &why) != ERR_OK || !view_eq(buf_view(&one), buf_view(&two)))
        abort();
    config_consumer_free(first);
    config_consumer_free(second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config_ids ids = {0};
    struct why why = {0};
    whole_file(VIEW(data, size));
    drop_in(VIEW(data, size));
    if (config_parse_ids(VIEW(data, size), &ids, &why) == ERR_OK)
        free(ids.id);
    return 0;
}
