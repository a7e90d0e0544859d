/*
 * The rows of broker-exec's options, and what must hold between them. Everything behind the first
 * operand belongs to the program.
 */
#include "exec/options.h"

#include "base/auto.h"

#include <string.h>

#define AT(member) offsetof(struct exec_options, member)
static const struct option_row rows[] = {
    {"credential", OPTION_LIST, AT(credential), "NAME[=DELIVERY]",
     "lease this one (may be repeated); else those that fit the profile"},
    {"profile", OPTION_TEXT, AT(profile), "PROFILE",
     "how the program takes its login; else by its name, else env"},
    {"socket", OPTION_TEXT, AT(socket), "PATH",
     "the consumer's socket, or its directory; else CREDENTIAL_BROKER_SOCKET"},
    {"wait", OPTION_TIME, AT(wait_ms), "TIME", "go on trying while the broker is away or locked"},
    {"ttl", OPTION_TIME, AT(ttl_ms), "TIME", "how long the leases live; else as granted"},
    {"owner", OPTION_TEXT, AT(owner), "process|none",
     "leases end with the program (process, as it is by default) or not"},
    {"acp", OPTION_FLAG, AT(acp), NULL,
     "COMMAND is an ACP adapter: stay before it, and give it its login over the protocol"},
    {"print-profile", OPTION_TEXT, AT(print_profile), "PROFILE", "show what a profile does"},
    {"list-profiles", OPTION_FLAG, AT(list_profiles), NULL, "show the names of the profiles"},
    {"help", OPTION_FLAG, AT(help), NULL, "show this"},
    {"version", OPTION_FLAG, AT(version), NULL, "show the version"},
};
static const struct options options = {.rows = rows, .n = COUNT(rows), .operand_ends = true};

static MUST err_t check_owner(struct exec_options *o, struct why *why)
{
    o->owner_process = !o->owner || strcmp(o->owner, "process") == 0;
    if (!o->owner_process && strcmp(o->owner, "none") != 0)
        return fail(why, ERR_USAGE, "--owner is process or none, not \"%.40s\"", o->owner);
    return ERR_OK;
}

err_t exec_options_read(char **argv, struct exec_options *out, struct why *why)
{
    struct exec_options o = {0};
    struct operands command;
    TRY(options_parse(&options, argv, &o, &command, why));
    TRY(check_owner(&o, why));
    o.prints = o.help || o.version || o.list_profiles || o.print_profile;
    if (command.n == 0 && !o.prints)
        return fail(why, ERR_USAGE, "which program? broker-exec [OPTIONS] -- COMMAND [ARGUMENTS]");
    o.command = command.at;
    *out = o;
    return ERR_OK;
}

void exec_options_help(FILE *out)
{
    (void)fputs(
        "Usage: broker-exec [OPTIONS] -- COMMAND [ARGUMENTS]\n\n"
        "Leases credentials from the broker and becomes COMMAND with them in its environment.\n"
        "Prints nothing on standard output; without its credentials, COMMAND is not started.\n"
        "With --acp it passes COMMAND's input and output on, every message as it is, and changes\n"
        "its token while it runs.\n\n",
        out);
    options_help(&options, out);
    (void)fputs("\nExit status, unless it is COMMAND's own: 124 the command line is not usable,\n"
                "125 no credential (the line on standard error ends with the reason in brackets),\n"
                "126 COMMAND cannot be run, 127 there is no COMMAND.\n",
                out);
}
