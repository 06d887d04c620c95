/* civil: calendar dates without a time zone, in the proleptic Gregorian calendar (the one PostgreSQL's `date` uses). Zone
 * arithmetic is PostgreSQL's alone; this is for "how many days until" and for checking what people write. */
#ifndef COMMON_CORE_CIVIL_H
#define COMMON_CORE_CIVIL_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/str.h"

/* Years that parsing accepts: four digits, as written in "YYYY-MM-DD". Day numbers passed to civil_of_days must lie in
 * CIVIL_DAYS_MIN..MAX. */
#define CIVIL_YEAR_MIN 1
#define CIVIL_YEAR_MAX 9999
#define CIVIL_DAYS_MIN (-719162) /* 0001-01-01 */
#define CIVIL_DAYS_MAX 2932896   /* 9999-12-31 */
#define CIVIL_SECONDS_PER_DAY 86400

struct civil {
    int32_t year;
    int32_t month; /* 1..12 */
    int32_t day;   /* 1..31 */
};

/* "YYYY-MM-DD", the whole text: ERR_INVALID for any other shape and for days that do not exist (2026-02-29). */
enum err civil_parse_date(struct str s, struct civil *out) MUST_USE;

/* "HH:MM" or "HH:MM:SS", the whole text, to seconds since midnight. 24:00 and leap seconds are ERR_INVALID. */
enum err civil_parse_time(struct str s, int32_t *second_of_day) MUST_USE;

/* Days since 1970-01-01, negative before. The date must exist. Algorithm: H. Hinnant, "chrono-Compatible Low-Level Date
 * Algorithms", days_from_civil. */
int32_t civil_to_days(struct civil c);
struct civil civil_of_days(int32_t days);

bool civil_is_leap(int32_t year);
int32_t civil_month_days(int32_t year, int32_t month); /* 28..31 */

/* 1 = Monday … 7 = Sunday (ISO 8601) of days since 1970-01-01. */
int32_t civil_weekday(int32_t days);

/* Adds months, then clamps the day to the end of the month, as PostgreSQL's interval does (31 March minus one month is
 * 28 or 29 February), then adds days. ERR_LIMIT when the result leaves CIVIL_YEAR_MIN..MAX. */
enum err civil_add(struct civil c, int32_t months, int32_t days, struct civil *out) MUST_USE;

#define CIVIL_DATE_SIZE 11                                                /* "YYYY-MM-DD" and NUL */
const char *civil_format_date(struct civil c, char out[CIVIL_DATE_SIZE]); /* returns out */

#endif
