/* Patterns for names of models: `*` stands for any bytes, also none; every other byte for itself. */
#ifndef BASE_GLOB_H
#define BASE_GLOB_H

#include "base/buf.h"

/* Takes time in proportion to the product of both lengths at most. */
bool glob_match(struct view pattern, struct view text);

#endif
