/* offset: see offset.h. A single pass over the text; every refusal says which part was wrong. */
#include "common/core/offset.h"

#include <inttypes.h>
#include <stdio.h>

enum {
    MONTHS_PER_YEAR = 12,
    DAYS_PER_WEEK = 7,
    SECONDS_PER_MINUTE = 60,
    SECONDS_PER_HOUR = 3600,
    /* 9 digits fit an int64_t whatever the unit, and more are beyond every limit. */
    DIGITS_MAX = 9,
    /* 146,097 days in 4,800 months, in seconds: the Gregorian mean month. */
    MEAN_MONTH_SECONDS = 2629746
};

struct unit {
    char letter;
    bool in_time;
    int64_t months;
    int64_t days;
    int64_t seconds;
};

/* In the order in which they may appear. */
static const struct unit units[] = {
    {'Y', false, MONTHS_PER_YEAR, 0, 0},
    {'M', false, 1, 0, 0},
    {'W', false, 0, DAYS_PER_WEEK, 0},
    {'D', false, 0, 1, 0},
    {'H', true, 0, 0, SECONDS_PER_HOUR},
    {'M', true, 0, 0, SECONDS_PER_MINUTE},
    {'S', true, 0, 0, 1},
};
enum { UNITS = sizeof(units) / sizeof(units[0]) };

struct scan {
    struct str s;
    size_t at;
    size_t unit; /* next one allowed */
    bool in_time;
    int64_t months;
    int64_t days;
    int64_t seconds;
};

static enum err bad(const struct scan *sc, struct err_info *info, const char *why)
{
    return err_set(info, ERR_INVALID,
                   "\"%.*s\" is not a duration: %s; write it like \"-P30D\", \"P1W\", \"-P6M\" or \"PT90M\"",
                   (int)sc->s.n, sc->s.p, why);
}

static enum err read_number(struct scan *sc, int64_t *n, struct err_info *info)
{
    size_t begin = sc->at;

    *n = 0;
    while (sc->at < sc->s.n && sc->s.p[sc->at] >= '0' && sc->s.p[sc->at] <= '9') {
        if (sc->at - begin == DIGITS_MAX)
            return bad(sc, info, "a number has too many digits");
        *n = *n * 10 + (sc->s.p[sc->at] - '0');
        sc->at++;
    }
    if (sc->at == begin)
        return bad(sc, info, "a whole number is missing before a unit");
    return ERR_OK;
}

static enum err read_part(struct scan *sc, struct err_info *info)
{
    int64_t n;
    enum err e = read_number(sc, &n, info);

    if (e != ERR_OK)
        return e;
    if (sc->at == sc->s.n)
        return bad(sc, info, "a number has no unit");
    for (size_t i = sc->unit; i < UNITS; i++) {
        if (units[i].in_time != sc->in_time || units[i].letter != sc->s.p[sc->at])
            continue;
        sc->months += n * units[i].months;
        sc->days += n * units[i].days;
        sc->seconds += n * units[i].seconds;
        sc->unit = i + 1;
        sc->at++;
        return ERR_OK;
    }
    return bad(sc, info, "units are Y M W D, then T, then H M S, each once and in this order");
}

static enum err read_parts(struct scan *sc, struct err_info *info)
{
    size_t parts = 0;

    while (sc->at < sc->s.n) {
        enum err e;

        if (sc->s.p[sc->at] == 'T' && !sc->in_time) {
            sc->in_time = true;
            sc->at++;
            parts = 0;
            continue;
        }
        e = read_part(sc, info);
        if (e != ERR_OK)
            return e;
        parts++;
    }
    return parts > 0 ? ERR_OK : bad(sc, info, sc->in_time ? "nothing follows the T" : "nothing follows the P");
}

enum err offset_parse(struct str s, struct offset *out, struct err_info *info)
{
    struct scan sc = {.s = s};
    bool negative;
    int sign;
    enum err e;

    if (s.n == 0 || s.n > OFFSET_TEXT_MAX)
        return err_set(info, ERR_INVALID, "a duration has 1 to %d characters, found %zu", OFFSET_TEXT_MAX, s.n);
    negative = s.p[0] == '-';
    sc.at = negative || s.p[0] == '+' ? 1 : 0;
    if (sc.at >= s.n || s.p[sc.at] != 'P')
        return bad(&sc, info, "a P is missing at its start");
    sc.at++;
    e = read_parts(&sc, info);
    if (e != ERR_OK)
        return e;
    if (sc.months > OFFSET_MONTHS_MAX || sc.days > OFFSET_DAYS_MAX || sc.seconds > OFFSET_SECONDS_MAX)
        return err_set(info, ERR_LIMIT, "duration \"%.*s\" is longer than 100 years", (int)s.n, s.p);
    sign = negative ? -1 : 1;
    *out = (struct offset){.months = (int32_t)sc.months * sign,
                           .days = (int32_t)sc.days * sign,
                           .seconds = sc.seconds * sign,
                           .exact = sc.in_time};
    return ERR_OK;
}

bool offset_is_negative(const struct offset *o)
{
    return o->months < 0 || o->days < 0 || o->seconds < 0;
}

bool offset_is_zero(const struct offset *o)
{
    return o->months == 0 && o->days == 0 && o->seconds == 0;
}

static bool within(int64_t v, int64_t max)
{
    return v >= -max && v <= max;
}

bool offset_valid(const struct offset *o)
{
    bool positive = o->months > 0 || o->days > 0 || o->seconds > 0;

    return within(o->months, OFFSET_MONTHS_MAX) && within(o->days, OFFSET_DAYS_MAX) &&
           within(o->seconds, OFFSET_SECONDS_MAX) && !(positive && offset_is_negative(o)) &&
           (o->exact || o->seconds == 0);
}

struct writer {
    char *out;
    size_t at;
};

static void put_char(struct writer *w, char c)
{
    w->out[w->at++] = c;
    w->out[w->at] = '\0';
}

static void put_part(struct writer *w, int64_t n, char unit)
{
    if (n != 0)
        w->at += (size_t)snprintf(w->out + w->at, OFFSET_TEXT_SIZE - w->at, "%" PRId64 "%c", n, unit);
}

const char *offset_format(const struct offset *o, char out[OFFSET_TEXT_SIZE])
{
    struct writer w = {.out = out};
    int64_t sign = offset_is_negative(o) ? -1 : 1;
    int64_t months = o->months * sign, seconds = o->seconds * sign;

    if (sign < 0)
        put_char(&w, '-');
    put_char(&w, 'P');
    put_part(&w, months / MONTHS_PER_YEAR, 'Y');
    put_part(&w, months % MONTHS_PER_YEAR, 'M');
    put_part(&w, o->days * sign, 'D');
    if (o->exact)
        put_char(&w, 'T');
    put_part(&w, seconds / SECONDS_PER_HOUR, 'H');
    put_part(&w, seconds % SECONDS_PER_HOUR / SECONDS_PER_MINUTE, 'M');
    put_part(&w, seconds % SECONDS_PER_MINUTE, 'S');
    if (o->exact && seconds == 0) {
        put_char(&w, '0');
        put_char(&w, 'S');
    } else if (offset_is_zero(o)) {
        put_char(&w, '0');
        put_char(&w, 'D');
    }
    return out;
}

const char *offset_format_key(const struct offset *o, char out[OFFSET_TEXT_SIZE])
{
    int64_t sign = offset_is_negative(o) ? -1 : 1;

    snprintf(out, OFFSET_TEXT_SIZE, "%cP%" PRId64 "M%" PRId64 "DT%" PRId64 "S", sign < 0 ? '-' : '+', o->months * sign,
             o->days * sign, o->seconds * sign);
    return out;
}

bool offset_eq(const struct offset *a, const struct offset *b)
{
    return a->months == b->months && a->days == b->days && a->seconds == b->seconds && a->exact == b->exact;
}

static int64_t mean_seconds(const struct offset *o)
{
    return o->months * INT64_C(1) * MEAN_MONTH_SECONDS + o->days * INT64_C(86400) + o->seconds;
}

int offset_cmp(const struct offset *a, const struct offset *b)
{
    int64_t x = mean_seconds(a), y = mean_seconds(b);

    return (x > y) - (x < y);
}
