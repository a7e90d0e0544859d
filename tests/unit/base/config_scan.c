/* base/config_scan.c: what never reaches libcyaml, and how the line of a value is found again. */
#include "check.h"

#include "base/auto.h"
#include "base/config_yaml.h"

#include <time.h>

static struct why why;

static const char text[] = "store: file\n"                /* 1 */
                           "audit:\n"                      /* 2 */
                           "  sync: every\n"               /* 3 */
                           "consumers:\n"                  /* 4 */
                           "  - name: a\n"                 /* 5 */
                           "    grants:\n"                 /* 6 */
                           "      - credential: x\n"       /* 7 */
                           "        ttl:\n"                /* 8 */
                           "          5m\n"                /* 9 */
                           "      - { credential: y,\n"    /* 10 */
                           "          ttl: 6m }\n"         /* 11 */
                           "  - name: b\n";                /* 12 */

TEST(lines_of_keys_and_entries)
{
    CHECK_INT(config_scan_line(view_str("a: 1\nb: 2\na: 3\n"), "a"), 3);
    static const struct {
        const char *path;
        unsigned line;
    } at[] = {{"store", 1}, {"audit", 2}, {"audit.sync", 3}, {"consumers", 4}, {"consumers[0]", 5}, {"consumers[0].name", 5},
              {"consumers[0].grants[0].credential", 7}, {"consumers[0].grants[0].ttl", 8}, {"consumers[0].grants[1]", 10},
              {"consumers[0].grants[1].ttl", 11}, {"consumers[1].name", 12}, {"consumers[2]", 0}, {"consumers[1].grants", 0},
              {"sync", 0}, {"consumers[0].grants[0].ttl.x", 0}};
    for (size_t i = 0; i < COUNT(at); i++)
        CHECK_INT(config_scan_line(view_str(text), at[i].path), at[i].line);
}

TEST(empty_texts_are_told_apart)
{
    static const char *const empty[] = {"", "\n", "# x\n", "---\n", "--- # x\n...\n"};
    bool is = false;
    for (size_t i = 0; i < COUNT(empty); i++) {
        CHECK_OK(config_scan(view_str(empty[i]), "f", &is, &why), why);
        CHECK(is);
    }
    CHECK_OK(config_scan(VIEW(NULL, 0), "f", &is, &why), why);
    CHECK(is);
    CHECK_OK(config_scan(view_str("a: b\n"), "f", &is, &why), why);
    CHECK(!is);
    CHECK_OK(config_scan(view_str("''\n"), "f", &is, &why), why);
    CHECK(!is);
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Each of these is a known way to make a YAML parser recurse, multiply or crawl. */
TEST(hostile_texts_cost_no_more_than_their_length)
{
    static const char *const unit[] = {"[", "{", "{a: ", "- ", "? ", "[a,", "&a ", "!", "- - - - -\n", "a:\n", "\"", "|\n", " ", "'", "#",
                                       "\xef\xbb\xbf", "\x00", "a: *b\n", "%TAG\n", "%YAML 1.1\n", "[a: b, ", "[? "};
    for (size_t i = 0; i < COUNT(unit); i++) {
        AUTO(buf_free) struct buf b = {.max = CONFIG_MAX_BYTES};
        size_t n = unit[i][0] ? strlen(unit[i]) : 1;
        while (b.len + n <= CONFIG_MAX_BYTES)
            buf_add(&b, unit[i], n);
        bool empty;
        double from = seconds();
        err_t e = config_scan(buf_view(&b), "f", &empty, &why);
        double took = seconds() - from;
        if (took > 3)
            printf("    \"%s\" takes %.1f s\n", unit[i], took);
        CHECK(took < 3); /* no figure: what is quadratic takes minutes */
            /* comments, blanks and one long plain text are YAML; everything else is refused */
        CHECK(e == ERR_INVALID || (e == ERR_OK && strchr(" #a'-\xef", unit[i][0])));
    }
}

TEST(every_refusal_names_the_line)
{
    static const struct {
        const char *text, *sentence;
    } bad[] = {
        {"a: b\nc: &x d\n", "f:2: anchors and tags"},   {"a: b\nc: &x [d]\n", "f:2: anchors and tags"},
        {"a: !!map {b: c}\n", "f:1: anchors and tags"}, {"a: b\nc: *x\n", "f:2: aliases"},
        {"a: b\n---\nc: d\n", "f:2: a second document"}, {"a: \"\\x07\"\n", "f:1: a value has a control"},
        {"a: |\n  b\n  c\n", "f:1: a value has a control"}, {"a: \"\\0\"\n", "f:1: a value has a control"},
        {"\n\n? [a]\n: b\n", "f:3: a list or a mapping cannot be a key"},
        {"[[[[[[[[[\n", "f:1: nested deeper"},          {"a: 'b\n", "f:"},
        {"a: \xff\n", "f:1: "},
    };
    bool empty;
    for (size_t i = 0; i < COUNT(bad); i++) {
        CHECK_INT(config_scan(view_str(bad[i].text), "f", &empty, &why), ERR_INVALID);
        if (strncmp(why.text, bad[i].sentence, strlen(bad[i].sentence)) != 0)
            printf("    case %zu: %s\n", i, why.text);
        CHECK(strncmp(why.text, bad[i].sentence, strlen(bad[i].sentence)) == 0);
    }
    CHECK_OK(config_scan(view_str("[[[[[[[[1]]]]]]]]"), "f", &empty, &why), why);
}
