/*
 * What a program needs to find its login, as data (profiles.c), and the choice of grants for it
 * (profile.c). A profile has slots: one slot takes one credential, in the first of its ways that a
 * grant fits. Facts about the programs: each row says what was measured.
 */
#ifndef EXEC_PROFILE_H
#define EXEC_PROFILE_H

#include <broker/client.h>
#include <stdio.h>

/* Placeholders in `set` and `args`: {secret} {file} {dir} {account} {token} {username} {env}, each from the
 * lease (`dir` holds `file`), {proxy_socket}, the absolute path of the data plane's socket, and {base}, the URL of a
 * relay to it, "http://127.0.0.1:PORT", which is started only for a way that names it. */
/* How an ACP adapter is told of the relay in a session (acp_login.h). */
struct profile_acp {
    const char *protocol; /* "anthropic", "openai": the API that it is to speak */
    const char *path;     /* behind {base} */
    const char *header;   /* that the token goes in */
};
struct profile_way {
    const char *provider;   /* NULL: any */
    const char *kind;       /* "login", "api_key" …; NULL: any */
    const char *delivery;   /* NULL ends a list of ways */
    const char *const *set; /* "NAME={secret}"; NULL: no variable */
    /* Where the program looks for the file, a symlink to the projected one: $link_env, else
     * $HOME/link_home, and link_file in it. */
    const char *link_env, *link_home, *link_file;
    /* What is written there instead of a link, for a program that writes its login file itself; with {token}. */
    const char *text;
    /* Put between the program's name and its own arguments; no secrets, others see them. NULL: none. Only a program
     * that bears a name of `command` (or one that begins so) takes them, not one that starts it, as node or npx do. */
    const char *const *args;
    const char *args_for; /* the program that takes them, where the profile has no `command` */
    bool args_can_lack;   /* what starts the program so is well without them; else it is refused */
    const struct profile_acp *acp; /* with --acp, where the adapter takes it; NULL: never */
};
/* Does a value of this way have the placeholder in it? */
bool profile_way_names(const struct profile_way *way, const char *placeholder);
enum { PROFILE_USES = 32, PROFILE_GRANTS = 256 };
struct profile_slot {
    const char *name;              /* "claude"; NULL ends a list of slots */
    const struct profile_way *way; /* in order of preference */
    const char *const *conflicts;  /* variables that would win over, or leak beside, what we set;
                                      NULL:  the family of what is set */
    bool every;                    /* takes each grant that fits, not one */
};
struct profile {
    const char *name, *title;
    const struct profile_slot *slot;
    const char *const
        *command; /* programs that this profile is taken for without --profile; or NULL */
    const char *const *constants; /* "NAME=value", set where the environment has no NAME; or NULL */
};

extern const struct profile profiles[]; /* ends with a NULL name */
/* Other variables that name the same login as `variable` does (NULL-terminated, `variable` may be
 * among them); NULL: none known. */
const char *const *profile_family(const char *variable);

/* ERR_USAGE, with the name that was meant, if it looks like one. */
MUST err_t profile_find(const char *name, const struct profile **out, struct why *why);
/* By the last part of the command's path; `env` for all that have no profile of their own. */
const struct profile *profile_for_command(const char *command);

/* Is this command one that takes the profile's arguments? */
bool profile_takes_args(const struct profile *p, const char *command);

struct profile_use {
    const struct profile_slot *slot;
    const struct profile_way *way;
    const char *credential; /* views into the grants, or the command line */
};
struct profile_plan {
    struct profile_use use[PROFILE_USES];
    size_t n;
};
struct profile_grants {
    const struct broker_grant *grant;
    size_t n;
};
/* Without a wish: per slot the grant that fits its first way; ERR_DENIED when none does for any
 * slot, ERR_CONFLICT when two fit alike: names them. */
MUST err_t profile_choose(const struct profile *p, struct profile_grants grants,
                          struct profile_plan *out, struct why *why);
/* With wishes ("NAME" or "NAME=DELIVERY", all of them are met): ERR_DENIED no such grant,
 * ERR_NEEDS_LOGIN not enrolled, ERR_CONFLICT two for one slot or no way for it, ERR_USAGE a
 * malformed one. */
MUST err_t profile_choose_named(const struct profile *p, struct profile_grants grants,
                                const char *const *wish, struct profile_plan *out, struct why *why);

void profile_print(const struct profile *p, FILE *out);
void profile_list(FILE *out);

#endif
