/*
 * Time. Deadlines inside one boot use CLOCK_BOOTTIME (never steps, counts suspend); wall-clock time is used
 * only where it must cross a restart or meet a provider's expiry, and then through a high-water mark, so that a clock
 * stepped back extends nothing.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include "base/buf.h"

int64_t clock_boot_ms(void); /* CLOCK_BOOTTIME, milliseconds */
int64_t clock_wall_ms(void); /* CLOCK_REALTIME since the epoch, milliseconds */
/* The kernel's boot id (/proc/sys/kernel/random/boot_id), 16 bytes; zeros when unreadable. */
void clock_boot_id(uint8_t out[16]);

enum { CLOCK_RFC3339_LEN = 24 };
/* "2026-11-21T22:08:37.123Z" (RFC 3339), NUL-terminated; `out` has room for 25 bytes. */
void clock_rfc3339(int64_t wall_ms, char out[CLOCK_RFC3339_LEN + 1]);
/* "250ms" "90s" "15m" "8h" "7d", or a bare number of seconds; at most 3650d. */
MUST err_t clock_parse_duration(struct view text, int64_t *ms, struct why *why);
/* the shortest exact form: 900000 → "15m" */
void clock_format_duration(int64_t ms, char out[24]);

#endif
