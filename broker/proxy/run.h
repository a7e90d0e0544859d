/*
 * How far plain text runs: the two inner loops of everything here that reads a reply as it streams past. Sixteen bytes at a time where
 * the machine has SSE2 (every x86-64), else one.
 */
#ifndef PROXY_RUN_H
#define PROXY_RUN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* Bytes before the first `"`, `\` or control character (under 0x20); n: there is none. */
static inline size_t run_of_string(const uint8_t *p, size_t n)
{
    size_t i = 0;
#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\');
    const __m128i last = _mm_set1_epi8(0x1f);
    for (; n - i >= 16; i += 16) {
        __m128i v = _mm_loadu_si128((const __m128i_u *)(p + i));
        __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(v, last), v);
        __m128i stop = _mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, slash));
        unsigned mask = (unsigned)_mm_movemask_epi8(_mm_or_si128(stop, control));
        if (mask)
            return i + (unsigned)__builtin_ctz(mask);
    }
#endif
    while (i < n && p[i] != '"' && p[i] != '\\' && p[i] >= 0x20)
        i++;
    return i;
}

/* Bytes before the first CR or LF; n: there is none. */
static inline size_t run_of_line(const uint8_t *p, size_t n)
{
    size_t i = 0;
#ifdef __SSE2__
    const __m128i cr = _mm_set1_epi8('\r'), lf = _mm_set1_epi8('\n');
    for (; n - i >= 16; i += 16) {
        __m128i v = _mm_loadu_si128((const __m128i_u *)(p + i));
        unsigned mask =
            (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_cmpeq_epi8(v, cr), _mm_cmpeq_epi8(v, lf)));
        if (mask)
            return i + (unsigned)__builtin_ctz(mask);
    }
#endif
    while (i < n && p[i] != '\r' && p[i] != '\n')
        i++;
    return i;
}

#endif
