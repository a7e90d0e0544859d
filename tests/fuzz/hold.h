/*
 * A property that must hold for every input: anything else is a finding.
 */
#ifndef FUZZ_HOLD_H
#define FUZZ_HOLD_H

#include <stdio.h>
#include <stdlib.h>

#define HOLD(cond)                                                                                 \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            (void)fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #cond);        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

#endif
