/*
 * Read before each source when clang's analyser runs, never when the program is built: tells the analyser, which sees one file at
 * a time, that the two functions that make an error never return ERR_OK. Without it, it walks paths where a step failed and yet "succeeded".
 */
#include <broker/err.h>

#define fail(why, e, ...) ((void)(fail)(why, e, __VA_ARGS__), (e))
#define fail_errno(why, no, ...) ((void)(fail_errno)(why, no, __VA_ARGS__), ERR_IO)
