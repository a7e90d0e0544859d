/*
 * What ps and /proc show of a process that stays behind a program.
 */
#ifndef EXEC_LOOKS_H
#define EXEC_LOOKS_H

/* Wipes the environment that was inherited, which may hold others' secrets: getenv finds nothing afterwards. `name`, where it is not
 * NULL, is shown as the command line and the process's name. */
void looks_change(const char *name);

#endif
