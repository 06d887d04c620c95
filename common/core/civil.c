/* civil: see civil.h. Pure arithmetic; the only failures are texts that are no date or time and results outside the four-digit
 * years. */
#include "common/core/civil.h"

enum {
    DAYS_PER_ERA = 146097,  /* 400 Gregorian years */
    DAYS_TO_EPOCH = 719468, /* 0000-03-01 to 1970-01-01 */
    MONTHS_PER_YEAR = 12,
    EPOCH_WEEKDAY = 4, /* 1970-01-01 was a Thursday */
    DAYS_PER_WEEK = 7
};

/* Reads exactly `n` digits at `at`; false when one of them is none. */
static bool digits(struct str s, size_t at, size_t n, int32_t *out)
{
    int32_t v = 0;

    if (at + n > s.n)
        return false;
    for (size_t i = at; i < at + n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
        v = v * 10 + (s.p[i] - '0');
    }
    *out = v;
    return true;
}

bool civil_is_leap(int32_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

int32_t civil_month_days(int32_t year, int32_t month)
{
    static const int32_t days[MONTHS_PER_YEAR] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    return month == 2 && civil_is_leap(year) ? 29 : days[month - 1];
}

enum err civil_parse_date(struct str s, struct civil *out)
{
    struct civil c;

    if (s.n != 10 || s.p[4] != '-' || s.p[7] != '-')
        return ERR_INVALID;
    if (!digits(s, 0, 4, &c.year) || !digits(s, 5, 2, &c.month) || !digits(s, 8, 2, &c.day))
        return ERR_INVALID;
    if (c.year < CIVIL_YEAR_MIN || c.month < 1 || c.month > MONTHS_PER_YEAR)
        return ERR_INVALID;
    if (c.day < 1 || c.day > civil_month_days(c.year, c.month))
        return ERR_INVALID;
    *out = c;
    return ERR_OK;
}

enum err civil_parse_time(struct str s, int32_t *second_of_day)
{
    int32_t hour, minute, second = 0;

    if ((s.n != 5 && s.n != 8) || s.p[2] != ':' || !digits(s, 0, 2, &hour) || !digits(s, 3, 2, &minute))
        return ERR_INVALID;
    if (s.n == 8 && (s.p[5] != ':' || !digits(s, 6, 2, &second)))
        return ERR_INVALID;
    if (hour > 23 || minute > 59 || second > 59)
        return ERR_INVALID;
    *second_of_day = (hour * 60 + minute) * 60 + second;
    return ERR_OK;
}

int32_t civil_to_days(struct civil c)
{
    int32_t y = c.month <= 2 ? c.year - 1 : c.year;
    int32_t era = (y >= 0 ? y : y - 399) / 400;
    int32_t yoe = y - era * 400;
    int32_t doy = (153 * (c.month + (c.month > 2 ? -3 : 9)) + 2) / 5 + c.day - 1;
    int32_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;

    return era * DAYS_PER_ERA + doe - DAYS_TO_EPOCH;
}

struct civil civil_of_days(int32_t days)
{
    int32_t z = days + DAYS_TO_EPOCH;
    int32_t era = (z >= 0 ? z : z - (DAYS_PER_ERA - 1)) / DAYS_PER_ERA;
    int32_t doe = z - era * DAYS_PER_ERA;
    int32_t yoe = (doe - doe / 1460 + doe / 36524 - doe / (DAYS_PER_ERA - 1)) / 365;
    int32_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int32_t mp = (5 * doy + 2) / 153;
    int32_t month = mp < 10 ? mp + 3 : mp - 9;

    return (struct civil){.year = yoe + era * 400 + (month <= 2 ? 1 : 0),
                          .month = month,
                          .day = doy - (153 * mp + 2) / 5 + 1};
}

int32_t civil_weekday(int32_t days)
{
    int32_t w = (days + EPOCH_WEEKDAY - 1) % DAYS_PER_WEEK;

    return (w < 0 ? w + DAYS_PER_WEEK : w) + 1;
}

enum err civil_add(struct civil c, int32_t months, int32_t days, struct civil *out)
{
    int64_t index = (int64_t)c.year * MONTHS_PER_YEAR + (c.month - 1) + months;
    int64_t n;
    int32_t last;

    if (index < CIVIL_YEAR_MIN * MONTHS_PER_YEAR || index >= (CIVIL_YEAR_MAX + 1) * (int64_t)MONTHS_PER_YEAR)
        return ERR_LIMIT;
    c.year = (int32_t)(index / MONTHS_PER_YEAR);
    c.month = (int32_t)(index % MONTHS_PER_YEAR) + 1;
    last = civil_month_days(c.year, c.month);
    if (c.day > last)
        c.day = last;
    n = (int64_t)civil_to_days(c) + days;
    if (n < CIVIL_DAYS_MIN || n > CIVIL_DAYS_MAX)
        return ERR_LIMIT;
    *out = civil_of_days((int32_t)n);
    return ERR_OK;
}

static char *put_digits(char *p, int32_t v, int width)
{
    for (int i = width - 1; i >= 0; i--, v /= 10)
        p[i] = (char)('0' + v % 10);
    return p + width;
}

const char *civil_format_date(struct civil c, char out[CIVIL_DATE_SIZE])
{
    char *p = put_digits(out, c.year, 4);

    *p++ = '-';
    p = put_digits(p, c.month, 2);
    *p++ = '-';
    p = put_digits(p, c.day, 2);
    *p = '\0';
    return out;
}
