/* str: parsing never allocates and never looks past the length; on any error the output is left as it was. */
#include "common/base/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define US_PER_S INT64_C(1000000)
#define S_PER_DAY INT64_C(86400)

struct str str_of(const char *s)
{
    return s == NULL ? (struct str){"", 0} : (struct str){s, strlen(s)};
}

bool str_eq(struct str a, struct str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool str_is(struct str a, const char *b)
{
    return str_eq(a, str_of(b));
}

bool str_starts(struct str s, const char *prefix)
{
    size_t n = strlen(prefix);

    return s.n >= n && (n == 0 || memcmp(s.p, prefix, n) == 0);
}

bool str_copy_n(char *dst, size_t size, const char *src, size_t n)
{
    if (size == 0)
        return false;
    size_t take = n < size ? n : size - 1;

    if (take > 0)
        memcpy(dst, src, take);
    dst[take] = '\0';
    return take == n;
}

bool str_copy(char *dst, size_t size, const char *src)
{
    return str_copy_n(dst, size, src, strlen(src));
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

enum err str_to_u64(struct str s, uint64_t *out)
{
    uint64_t v = 0;

    if (s.n == 0)
        return ERR_INVALID;
    for (size_t i = 0; i < s.n; i++) {
        if (!is_digit(s.p[i]))
            return ERR_INVALID;
        uint64_t digit = (uint64_t)(s.p[i] - '0');
        if (v > (UINT64_MAX - digit) / 10)
            return ERR_INVALID;
        v = v * 10 + digit;
    }
    *out = v;
    return ERR_OK;
}

enum err str_to_i64(struct str s, int64_t *out)
{
    bool negative = s.n > 0 && s.p[0] == '-';
    uint64_t limit = (uint64_t)INT64_MAX + (negative ? 1 : 0);
    uint64_t v = 0;

    if (negative)
        s = (struct str){s.p + 1, s.n - 1};
    if (str_to_u64(s, &v) != ERR_OK || v > limit)
        return ERR_INVALID;
    *out = negative ? (int64_t)(0 - v) : (int64_t)v;
    return ERR_OK;
}

/* The grammar of a JSON number, so that "inf", "0x1p3" and the blanks that strtod takes are refused. */
static bool is_decimal(const char *p)
{
    if (*p == '-')
        p++;
    size_t digits = strspn(p, "0123456789");
    if (digits == 0)
        return false;
    p += digits;
    if (*p == '.') {
        p++;
        digits = strspn(p, "0123456789");
        if (digits == 0)
            return false;
        p += digits;
    }
    if (*p == 'e' || *p == 'E') {
        p++;
        if (*p == '+' || *p == '-')
            p++;
        digits = strspn(p, "0123456789");
        if (digits == 0)
            return false;
        p += digits;
    }
    return *p == '\0';
}

enum err str_to_double(struct str s, double *out)
{
    char text[400]; /* longer than any shortest decimal form of a double written out without exponent */

    if (!str_copy_n(text, sizeof(text), s.p, s.n) || strlen(text) != s.n || !is_decimal(text))
        return ERR_INVALID;
    double v = strtod(text, NULL);
    if (v - v != 0) /* infinite: the exponent was too large */
        return ERR_INVALID;
    *out = v;
    return ERR_OK;
}

struct unit {
    const char *name;
    int64_t factor;
};

static enum err parse_scaled(struct str s, const struct unit *units, int64_t *out)
{
    size_t digits = 0;
    uint64_t v = 0;

    while (digits < s.n && is_digit(s.p[digits]))
        digits++;
    if (str_to_u64((struct str){s.p, digits}, &v) != ERR_OK)
        return ERR_INVALID;
    struct str rest = {s.p + digits, s.n - digits};
    for (const struct unit *u = units; u->name != NULL; u++) {
        if (!str_is(rest, u->name))
            continue;
        if (v > (uint64_t)(INT64_MAX / u->factor))
            return ERR_INVALID;
        *out = (int64_t)v * u->factor;
        return ERR_OK;
    }
    return ERR_INVALID;
}

enum err str_to_ms(struct str s, int64_t *out)
{
    static const struct unit units[] = {{"", 1},        {"ms", 1},       {"s", 1000}, {"m", 60 * 1000},
                                        {"h", 3600000}, {"d", 86400000}, {NULL, 0}};

    return parse_scaled(s, units, out);
}

enum err str_to_bytes(struct str s, int64_t *out)
{
    static const struct unit units[] = {{"", 1},          {"B", 1},           {"kB", 1000},
                                        {"MB", 1000000},  {"GB", 1000000000}, {"KiB", 1 << 10},
                                        {"MiB", 1 << 20}, {"GiB", 1 << 30},   {NULL, 0}};

    return parse_scaled(s, units, out);
}

static bool is_continuation(unsigned char c)
{
    return (c & 0xc0) == 0x80;
}

size_t str_utf8_len(struct str s)
{
    const unsigned char *p = (const unsigned char *)s.p;

    if (s.n == 0)
        return 0;
    if (p[0] < 0x80)
        return 1;
    if (s.n < 2 || !is_continuation(p[1]))
        return 0;
    if (p[0] >= 0xc2 && p[0] <= 0xdf)
        return 2;
    if (s.n < 3 || !is_continuation(p[2]))
        return 0;
    /* The second byte's range excludes overlong forms and surrogates (RFC 3629 §4). */
    if (p[0] >= 0xe0 && p[0] <= 0xef)
        return (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ? 0 : 3;
    if (s.n < 4 || !is_continuation(p[3]))
        return 0;
    if (p[0] >= 0xf0 && p[0] <= 0xf4)
        return (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f) ? 0 : 4;
    return 0;
}

/* Eight bytes of ASCII without NUL: nearly all text, eight times as fast. */
static bool is_plain_word(const char *p)
{
    uint64_t w;

    memcpy(&w, p, sizeof(w));
    return ((w | ((w - UINT64_C(0x0101010101010101)) & ~w)) & UINT64_C(0x8080808080808080)) == 0;
}

bool str_is_utf8(struct str s)
{
    size_t at = 0;

    while (at < s.n) {
        if (s.n - at >= sizeof(uint64_t) && is_plain_word(s.p + at)) {
            at += sizeof(uint64_t);
            continue;
        }
        size_t len = str_utf8_len((struct str){s.p + at, s.n - at});
        if (len == 0 || s.p[at] == '\0')
            return false;
        at += len;
    }
    return true;
}

/* Days since 1970-01-01 of a date of the proleptic Gregorian calendar. Years are counted from March, which puts the leap day
 * last and makes the length of the months before a given one linear in its number; 400 years are 146,097 days. */
static int64_t days_from_date(int64_t year, int64_t month, int64_t day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;

    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

static void date_from_days(int64_t days, int64_t *year, int64_t *month, int64_t *day)
{
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t m = (5 * doy + 2) / 153;

    *day = doy - (153 * m + 2) / 5 + 1;
    *month = m < 10 ? m + 3 : m - 9;
    *year = yoe + era * 400 + (*month <= 2 ? 1 : 0);
}

void str_from_time(char out[STR_TIME_SIZE], int64_t us)
{
    int64_t s = us / US_PER_S - (us % US_PER_S < 0 ? 1 : 0);
    int64_t ms = (us % US_PER_S + US_PER_S) % US_PER_S / 1000;
    int64_t days = s / S_PER_DAY - (s % S_PER_DAY < 0 ? 1 : 0);
    int64_t second = s - days * S_PER_DAY;
    int64_t year = 0;
    int64_t month = 0;
    int64_t day = 0;
    char text[96]; /* what the compiler thinks seven ints could need; years past 9999 still fit into `out` */

    date_from_days(days, &year, &month, &day);
    (void)snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", (int)year, (int)month, (int)day,
                   (int)(second / 3600), (int)(second / 60 % 60), (int)(second % 60), (int)ms);
    (void)str_copy(out, STR_TIME_SIZE, text);
}

/* Takes exactly n digits from the front of *s. */
static bool take_number(struct str *s, size_t n, int64_t *out)
{
    uint64_t v = 0;

    if (s->n < n || str_to_u64((struct str){s->p, n}, &v) != ERR_OK)
        return false;
    *s = (struct str){s->p + n, s->n - n};
    *out = (int64_t)v;
    return true;
}

static bool take_char(struct str *s, const char *any)
{
    if (s->n == 0 || s->p[0] == '\0' || strchr(any, s->p[0]) == NULL)
        return false;
    *s = (struct str){s->p + 1, s->n - 1};
    return true;
}

static bool take_date(struct str *s, int64_t *days)
{
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t y = 0;
    int64_t m = 0;
    int64_t d = 0;

    if (!take_number(s, 4, &y) || !take_char(s, "-") || !take_number(s, 2, &m) || !take_char(s, "-") ||
        !take_number(s, 2, &d))
        return false;
    if (m < 1 || m > 12)
        return false;
    bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
    if (d < 1 || d > lengths[m - 1] + (m == 2 && leap ? 1 : 0))
        return false;
    *days = days_from_date(y, m, d);
    return true;
}

static bool take_clock(struct str *s, int64_t *us)
{
    int64_t hour = 0;
    int64_t minute = 0;
    int64_t second = 0;
    int64_t fraction = 0;

    if (!take_number(s, 2, &hour) || !take_char(s, ":") || !take_number(s, 2, &minute) || !take_char(s, ":") ||
        !take_number(s, 2, &second) || hour > 23 || minute > 59 || second > 59)
        return false;
    if (take_char(s, ".")) {
        int digits = 0;
        int64_t digit = 0;
        for (; digits < 6 && take_number(s, 1, &digit); digits++)
            fraction = fraction * 10 + digit;
        if (digits == 0)
            return false;
        for (; digits < 6; digits++)
            fraction *= 10;
    }
    *us = (hour * 3600 + minute * 60 + second) * US_PER_S + fraction;
    return true;
}

static bool take_offset(struct str *s, int64_t *seconds)
{
    int64_t hour = 0;
    int64_t minute = 0;

    *seconds = 0;
    if (take_char(s, "Zz"))
        return true;
    bool west = s->n > 0 && s->p[0] == '-';
    if (!take_char(s, "+-") || !take_number(s, 2, &hour) || !take_char(s, ":") || !take_number(s, 2, &minute) ||
        hour > 23 || minute > 59)
        return false;
    *seconds = (hour * 3600 + minute * 60) * (west ? -1 : 1);
    return true;
}

enum err str_to_time(struct str s, int64_t *us)
{
    int64_t days = 0;
    int64_t clock_us = 0;
    int64_t offset_s = 0;

    if (!take_date(&s, &days) || !take_char(&s, "Tt") || !take_clock(&s, &clock_us) || !take_offset(&s, &offset_s) ||
        s.n != 0)
        return ERR_INVALID;
    *us = (days * S_PER_DAY - offset_s) * US_PER_S + clock_us;
    return ERR_OK;
}
