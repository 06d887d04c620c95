/* offset: signed calendar durations, as RFC 5545 §3.3.6 and ISO 8601 write them: "-P30D", "P1W", "-P6M", "P1Y2M3DT4H", "PT90M".
 *
 * Months and days are nominal: they move the calendar date, whatever the length of the days between (a day of 23 or 25
 * hours is one day). Hours, minutes and seconds are exact elapsed time. A year is 12 months, a week 7 days; a day is never
 * folded into hours, nor a month into days. The sign holds for the whole duration. Fractions and signs on single parts are
 * refused. */
#ifndef COMMON_CORE_OFFSET_H
#define COMMON_CORE_OFFSET_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/str.h"

/* A hundred years in each unit: far above any use, and sums of all three can not overflow. */
#define OFFSET_MONTHS_MAX 1200
#define OFFSET_DAYS_MAX 36525
#define OFFSET_SECONDS_MAX (INT64_C(36525) * 86400)

struct offset {
    int32_t months;
    int32_t days;
    int64_t seconds; /* no two of the three differ in sign */
    bool exact; /* a time part was written: the offset counts from the anchor's instant, not from its date; PT0S is exact */
};

/* The whole text; at most OFFSET_TEXT_MAX bytes. ERR_INVALID when it is no duration, ERR_LIMIT when it is too long a time; the
 * text in `info` says what was found and what is allowed. */
#define OFFSET_TEXT_MAX 48
enum err offset_parse(struct str s, struct offset *out, struct err_info *info) MUST_USE;

/* Canonical text: years from months, no weeks, no leading zeros, "P0D" and "PT0S" for nothing. parse(format(x)) = x. Returns
 * out. The parts must be within the limits and of one sign, as offset_parse makes them (see offset_valid). */
#define OFFSET_TEXT_SIZE 64
const char *offset_format(const struct offset *o, char out[OFFSET_TEXT_SIZE]);

/* The form used in timing keys, all three parts always written, a sign always written, so that SQL can make it from three
 * integers: "-P0M30DT0S", "+P0M0DT5400S". Returns out. */
const char *offset_format_key(const struct offset *o, char out[OFFSET_TEXT_SIZE]);

bool offset_valid(const struct offset *o); /* within the limits, one sign, exact when it has seconds */
bool offset_is_zero(const struct offset *o);
bool offset_is_negative(const struct offset *o);
bool offset_eq(const struct offset *a, const struct offset *b);

/* A total order by approximate length (a month counted as 30.436875 days), for sorting and for "is this after that". */
int offset_cmp(const struct offset *a, const struct offset *b);

#endif
