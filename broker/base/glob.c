/*
 * Pattern matching without recursion: on a mismatch the last star takes one byte more. An earlier star never has to be gone back to,
 * since the last one can take whatever that one could.
 */
#include "base/glob.h"

bool glob_match(struct view pattern, struct view text)
{
    size_t p = 0, t = 0, star = SIZE_MAX, taken = 0;
    while (t < text.n) {
        if (p < pattern.n && pattern.p[p] == '*') {
            star = p++;
            taken = t;
        } else if (p < pattern.n && pattern.p[p] == text.p[t]) {
            p++;
            t++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            t = ++taken;
        } else {
            return false;
        }
    }
    while (p < pattern.n && pattern.p[p] == '*')
        p++;
    return p == pattern.n;
}
