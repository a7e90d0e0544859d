/*
 * Which bytes may stand where: the few classes of text that credentials are made of.
 */
#ifndef PROVIDER_TEXT_H
#define PROVIDER_TEXT_H

#include "base/buf.h"

bool text_line(struct view v); /* UTF-8 without C0 controls, DEL and C1 controls */
bool text_visible(
    struct view v); /* one or more of 0x21..0x7e: what may stand in a header as a token */
bool text_no_nul(struct view v); /* UTF-8, any number of lines, no NUL */
bool text_starts(struct view v, const char *prefix);
bool text_env_name(struct view v);    /* [A-Z_][A-Z0-9_]* */
bool text_millis(struct view v);      /* canonical decimal, up to the end of the year 9999 */
struct view text_trim(struct view v); /* without leading and trailing ASCII white space */

#define TEXT_MILLIS_MAX INT64_C(253402300799999)

#endif
