/*
 * Changes one member of a JSON text in place: every other byte stays as it was.
 */
#ifndef CLI_JSON_EDIT_H
#define CLI_JSON_EDIT_H

#include "base/buf.h"

/* Looks up object.key, or key where `object` is NULL: the value's bytes, in `text`. False: it is not there, or the text is no object. */
bool json_edit_find(struct view text, const char *object, const char *key, struct view *out);
/* Sets it to the JSON text `raw`; the member, and the object, are made where they are not. An empty text counts as {}. ERR_INVALID: the text is
 * no object, `object` is something else, or the member stands there twice; what is in `text` then is not to be used. */
MUST err_t json_edit_set(struct buf *text, const char *object, const char *key, struct view raw,
                         struct why *why);

#endif
