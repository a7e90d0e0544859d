/*
 * broker-cli: picks the verb, nothing else. Called under the name that git or docker give their
 * helpers, it is that helper.
 */
#include "base/auto.h"
#include "base/json.h"
#include "cli/verbs.h"

#include <string.h>

enum { EXIT_USAGE_CODE = 2 };

/* Names by which other programs look for their helper. */
static const struct {
    const char *called, *protocol;
} helpers[] = {
    {"docker-credential-broker", "docker"},
    {"git-credential-broker", "git"},
};

static void print_verbs(FILE *out)
{
    (void)fputs("Usage: broker-cli VERB [OPTIONS]\n\nVerbs:\n", out);
    for (const struct verb *v = verbs; v->name; v++)
        (void)fprintf(out, "  %-12s %s\n", v->name, v->summary);
    (void)fputs("\nbroker-cli help VERB says more about one. Exit status: 0 done, 2 the command "
                "line is not usable,\n"
                "else one number per kind of failure (broker-cli help exit).\n",
                out);
}

static int print_exits(void)
{
    for (int e = 0; e < ERR__COUNT; e++)
        (void)printf("%3d  %-18s %s\n", err_exit((err_t)e), err_wire((err_t)e), err_text((err_t)e));
    return 0;
}

static int unknown(const char *name)
{
    const struct verb *meant = verb_meant(name);
    if (meant)
        (void)fprintf(stderr, "broker-cli: there is no verb %.40s: did you mean %s?\n", name,
                      meant->name);
    else
        (void)fprintf(stderr, "broker-cli: there is no verb %.40s: broker-cli help lists them\n",
                      name);
    return EXIT_USAGE_CODE;
}

static int help(char *name)
{
    char option[] = "--help";
    const struct verb *v = name ? verb_find(name) : NULL;
    if (v) {
        char *argv[] = {name, option, NULL};
        return v->run(2, argv);
    }
    if (name && strcmp(name, "exit") == 0)
        return print_exits();
    if (name)
        return unknown(name);
    print_verbs(stdout);
    return 0;
}

static int run_helper(const char *protocol, int argc, char **argv)
{
    AUTO(auto_free) char **line = calloc((size_t)argc + 2, sizeof(*line));
    char verb[] = "helper", name[16] = "";
    (void)snprintf(name, sizeof(name), "%s", protocol);
    if (!line)
        return err_exit(ERR_INTERNAL);
    line[0] = verb;
    line[1] = name;
    for (int i = 1; i < argc; i++)
        line[i + 1] = argv[i];
    return verb_helper(argc + 1, line);
}

int main(int argc, char **argv)
{
    const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
    const char *called = argc > 0 ? (slash ? slash + 1 : argv[0]) : "";
    const char *word = argc > 1 ? argv[1] : NULL;
    json_wiping_allocators();
    for (size_t i = 0; i < COUNT(helpers); i++)
        if (strcmp(called, helpers[i].called) == 0)
            return run_helper(helpers[i].protocol, argc, argv);
    if (!word) {
        print_verbs(stderr);
        return EXIT_USAGE_CODE;
    }
    if (strcmp(word, "help") == 0 || strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
        return help(argc > 2 ? argv[2] : NULL);
    if (strcmp(word, "--version") == 0 || strcmp(word, "version") == 0)
        return puts("broker-cli " BROKER_VERSION) < 0;
    const struct verb *v = verb_find(word);
    return v ? v->run(argc - 1, argv + 1) : unknown(word);
}
