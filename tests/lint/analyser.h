/*
 * Read before each source by the analysers (make lint), never by a build. They see one file at a time, so they would walk
 * paths on which fail() gives ERR_OK and a step that failed "succeeds" with nothing in its outputs. This tells them otherwise.
 */
#include <broker/err.h>

#define fail(why, e, ...) ((void)(fail)(why, e, __VA_ARGS__), (e))
#define fail_errno(why, no, ...) ((fail_errno)(why, no, __VA_ARGS__) == ERR_NOT_FOUND ? ERR_NOT_FOUND : ERR_IO)
