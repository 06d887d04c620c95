/* logic_date: dates and instants in conditions.
 *
 * Strict mode reads "YYYY-MM-DD" and RFC 3339 and keeps the two apart; the date of an instant is the one in the
 * wedding's zone, from the spans PostgreSQL made, else as written in the text. jsonlogic mode reads CertLogic's looser
 * forms, partial dates among them, and knows instants only. Failure: a text that is neither (bad_date), an instant
 * without a zone (zone_missing), a result outside the years 1 to 9999 (not_a_number). */
#include <math.h>
#include <string.h>

#include "common/core/civil.h"
#include "common/core/logic_priv.h"

#define US_PER_S INT64_C(1000000)
#define US_PER_MS INT64_C(1000)
#define US_PER_HOUR (INT64_C(3600) * US_PER_S)
#define US_PER_DAY (INT64_C(24) * US_PER_HOUR)
#define MONTHS_PER_YEAR 12
#define AMOUNT_MAX 100000000.0 /* hours in 11,000 years: beyond every unit's use */
#define DATE_BYTES 10
#define TIME_BYTES 8
#define HOURS_MAX 23
#define MINUTES_MAX 59

static struct value date_value(int64_t days)
{
    return (struct value){.type = VALUE_DATE, .u.i = days};
}

static struct value instant_value(int64_t us)
{
    return (struct value){.type = VALUE_INSTANT, .u.i = us};
}

static bool all_digits(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
    }
    return s.n > 0;
}

/* "YYYY" and "YYYY-MM" mean their last day. */
static bool read_partial_date(struct str s, int64_t *days)
{
    char text[CIVIL_DATE_SIZE] = "0000-12-31";
    struct civil c;

    if (s.n != 4 && s.n != 7 && s.n != DATE_BYTES)
        return false;
    memcpy(text, s.p, s.n);
    if (s.n == 7)
        memcpy(text + 8, "01", 2);
    if (civil_parse_date((struct str){text, DATE_BYTES}, &c) != ERR_OK)
        return false;
    if (s.n == 7)
        c.day = civil_month_days(c.year, c.month);
    *days = civil_to_days(c);
    return true;
}

/* "", "Z", and [+-] with h, hh, hmm, hhmm, h:mm or hh:mm. */
static bool read_zone(struct str s, int64_t *offset_us)
{
    char digits[5] = "";
    size_t n = 0;
    int64_t v;

    *offset_us = 0;
    if (s.n == 0 || str_is(s, "Z"))
        return true;
    if (s.p[0] != '+' && s.p[0] != '-')
        return false;
    for (size_t i = 1; i < s.n; i++) {
        if (s.p[i] == ':' && i + 3 == s.n && i > 1)
            continue;
        if (n == 4 || s.p[i] < '0' || s.p[i] > '9')
            return false;
        digits[n++] = s.p[i];
    }
    if (str_to_i64((struct str){digits, n}, &v) != ERR_OK)
        return false;
    int64_t hours = n > 2 ? v / 100 : v;
    int64_t minutes = n > 2 ? v % 100 : 0;
    if (hours > HOURS_MAX || minutes > MINUTES_MAX)
        return false;
    *offset_us = (hours * 60 + minutes) * 60 * US_PER_S * (s.p[0] == '-' ? -1 : 1);
    return true;
}

/* ".S…": what is finer than a millisecond is dropped. */
static struct str read_fraction(struct str s, int64_t *us)
{
    int64_t unit = 100 * US_PER_MS;
    size_t i = 1;

    *us = 0;
    if (s.n < 2 || s.p[0] != '.' || !all_digits((struct str){s.p + 1, 1}))
        return s;
    for (; i < s.n && s.p[i] >= '0' && s.p[i] <= '9'; i++) {
        *us += (s.p[i] - '0') * (unit / US_PER_MS) * US_PER_MS; /* 0 from the fourth digit on */
        unit /= 10;
    }
    return (struct str){s.p + i, s.n - i};
}

/* The forms of CertLogic's specification (1.3.3, "Offset date-time"). */
static bool read_certlogic(struct str s, int64_t *us)
{
    int64_t days, offset_us, fraction_us;
    int32_t seconds;

    if (s.n <= DATE_BYTES) {
        bool ok = read_partial_date(s, &days);
        *us = ok ? days * US_PER_DAY : 0;
        return ok;
    }
    if (!read_partial_date((struct str){s.p, DATE_BYTES}, &days) || s.p[DATE_BYTES] != 'T' ||
        s.n < DATE_BYTES + 1 + TIME_BYTES)
        return false;
    if (civil_parse_time((struct str){s.p + DATE_BYTES + 1, TIME_BYTES}, &seconds) != ERR_OK)
        return false;
    size_t head = DATE_BYTES + 1 + TIME_BYTES;
    struct str rest = read_fraction((struct str){s.p + head, s.n - head}, &fraction_us);
    if (!read_zone(rest, &offset_us))
        return false;
    *us = days * US_PER_DAY + seconds * US_PER_S + fraction_us - offset_us;
    return true;
}

static bool read_strict(struct str s, struct value *out)
{
    struct civil c;
    int64_t us;

    if (civil_parse_date(s, &c) == ERR_OK) {
        *out = date_value(civil_to_days(c));
        return true;
    }
    if (str_to_time(s, &us) != ERR_OK)
        return false;
    *out = instant_value(us);
    return true;
}

/* A DATE or INSTANT from a value of either kind or a text. */
static enum logic_why date_of(const struct logic_run *r, struct value v, struct value *out)
{
    int64_t us;

    *out = v;
    if (v.type == VALUE_DATE && !r->exact)
        *out = instant_value(v.u.i * US_PER_DAY);
    if (v.type == VALUE_DATE || v.type == VALUE_INSTANT)
        return LOGIC_WHY_NONE;
    if (v.type != VALUE_STRING)
        return LOGIC_WHY_TYPE_MISMATCH;
    if (r->exact)
        return read_strict(v.u.s, out) ? LOGIC_WHY_NONE : LOGIC_WHY_BAD_DATE;
    if (!read_certlogic(v.u.s, &us))
        return LOGIC_WHY_BAD_DATE;
    *out = instant_value(us);
    return LOGIC_WHY_NONE;
}

static int64_t floor_days(int64_t us)
{
    return us / US_PER_DAY - (us % US_PER_DAY < 0);
}

static bool zone_day(const struct logic_env *env, int64_t us, int64_t *days)
{
    size_t i = env->n_zone;

    if (i == 0)
        return false;
    while (i > 1 && env->zone[i - 1].from_us > us)
        i--;
    *days = floor_days(us + env->zone[i - 1].offset_s * US_PER_S);
    return true;
}

/* The local calendar day of a date, an instant or a text of one. */
static enum logic_why local_day(const struct logic_run *r, struct value v, int64_t *days)
{
    struct value date;
    struct civil written;
    enum logic_why why = date_of(r, v, &date);

    if (why != LOGIC_WHY_NONE)
        return why;
    if (v.type == VALUE_DATE || date.type == VALUE_DATE) {
        *days = v.type == VALUE_DATE ? v.u.i : date.u.i;
        return LOGIC_WHY_NONE;
    }
    if (zone_day(&r->facts->env, date.u.i, days))
        return LOGIC_WHY_NONE;
    bool local =
        v.type == VALUE_STRING && v.u.s.n >= DATE_BYTES && v.u.s.p[v.u.s.n - 1] != 'Z' && v.u.s.p[v.u.s.n - 1] != 'z';
    if (!local && !r->exact)
        *days = floor_days(date.u.i); /* CertLogic's days are UTC's */
    else if (!local || civil_parse_date((struct str){v.u.s.p, DATE_BYTES}, &written) != ERR_OK)
        return LOGIC_WHY_ZONE_MISSING;
    else
        *days = civil_to_days(written);
    return LOGIC_WHY_NONE;
}

enum logic_why logic_date_order(const struct logic_run *r, struct value a, struct value b, int *order)
{
    struct value x, y;
    enum logic_why why = date_of(r, a, &x);

    if (why == LOGIC_WHY_NONE)
        why = date_of(r, b, &y);
    if (why == LOGIC_WHY_NONE && x.type != y.type) {
        why = local_day(r, a, &x.u.i);
        if (why == LOGIC_WHY_NONE)
            why = local_day(r, b, &y.u.i);
    }
    if (why == LOGIC_WHY_NONE)
        *order = x.u.i < y.u.i ? -1 : x.u.i > y.u.i;
    return why;
}

/* jsonlogic mode has no unknown: what is no date is an error there, as in CertLogic. */
static struct value no_date(struct logic_run *r, const struct logic_node *n, uint32_t i, enum logic_why why)
{
    if (!r->exact)
        return logic_fail_typed(r, LOGIC_WHY_ARGUMENTS, n, "Invalid Arguments");
    return logic_unknown(r, why, n, i < n->n ? logic_path_of(r, n->first + i) : NULL);
}

static bool take_any(struct logic_run *r, const struct logic_node *n, uint32_t i, struct value *v, struct value *out)
{
    if (r->exact)
        return logic_take(r, n, i, v, out);
    *v = logic_operand(r, n, i);
    *out = *v;
    return !logic_stops(*v);
}

static struct value date_relation(struct logic_run *r, const struct logic_node *n, struct value a, struct value b)
{
    int order = 0;
    struct value unused;

    if (logic_stops(a))
        return a;
    if (logic_stops(b))
        return b;
    enum logic_why why = logic_date_order(r, a, b, &order);
    if (why != LOGIC_WHY_NONE)
        return no_date(r, n, date_of(r, a, &unused) == LOGIC_WHY_NONE ? 1 : 0, why);
    if (n->op == OP_BEFORE)
        return value_bool(order < 0);
    if (n->op == OP_AFTER)
        return value_bool(order > 0);
    return value_bool(n->op == OP_NOT_BEFORE ? order >= 0 : order <= 0);
}

static struct value date_ordered(struct logic_run *r, const struct logic_node *n)
{
    struct value v[3];

    for (uint32_t i = 0; i < 3; i++) {
        struct value out = value_undefined();
        if (i >= n->n || !take_any(r, n, i, &v[i], &out))
            v[i] = out;
        if (v[i].type == VALUE_FAILED)
            return v[i];
    }
    struct value left = date_relation(r, n, v[0], v[1]);
    if (n->n < 3 || left.type == VALUE_FAILED || (left.type == VALUE_BOOL && !left.u.b))
        return left;
    struct value right = date_relation(r, n, v[1], v[2]);
    if (right.type == VALUE_FAILED || (right.type == VALUE_BOOL && !right.u.b))
        return right;
    return left.type == VALUE_UNKNOWN ? left : right;
}

struct value logic_before(struct logic_run *r, const struct logic_node *n)
{
    return date_ordered(r, n);
}

struct value logic_after(struct logic_run *r, const struct logic_node *n)
{
    return date_ordered(r, n);
}

struct value logic_not_before(struct logic_run *r, const struct logic_node *n)
{
    return date_ordered(r, n);
}

struct value logic_not_after(struct logic_run *r, const struct logic_node *n)
{
    return date_ordered(r, n);
}

/* Months roll over, as JavaScript's setUTCMonth does: 31 January + 1 month = 3 March (2 March in leap years). */
static bool add_months(int64_t days, int64_t months, int64_t *out)
{
    struct civil c = civil_of_days((int32_t)days);
    int64_t index = (int64_t)c.year * MONTHS_PER_YEAR + c.month - 1 + months;
    int32_t day = c.day;

    if (index < CIVIL_YEAR_MIN * MONTHS_PER_YEAR || index >= (int64_t)(CIVIL_YEAR_MAX + 1) * MONTHS_PER_YEAR)
        return false;
    c = (struct civil){.year = (int32_t)(index / MONTHS_PER_YEAR),
                       .month = (int32_t)(index % MONTHS_PER_YEAR) + 1,
                       .day = 1};
    *out = (int64_t)civil_to_days(c) + day - 1;
    return true;
}

/* Date-like text may lie outside the years that civil_of_days takes: offsets move an instant by up to a day. */
static bool in_range(int64_t days)
{
    return days >= CIVIL_DAYS_MIN && days <= CIVIL_DAYS_MAX;
}

static enum logic_why shift(struct value date, int64_t amount, struct str unit, struct value *out)
{
    bool instant = date.type == VALUE_INSTANT;
    int64_t days = instant ? floor_days(date.u.i) : date.u.i;
    int64_t rest_us = instant ? date.u.i - days * US_PER_DAY : 0;
    bool ok = in_range(days);

    if (str_is(unit, "hour") && !instant && amount != 0)
        return LOGIC_WHY_TYPE_MISMATCH;
    if (ok && str_is(unit, "year"))
        ok = add_months(days, amount * MONTHS_PER_YEAR, &days);
    else if (ok && str_is(unit, "month"))
        ok = add_months(days, amount, &days);
    else if (str_is(unit, "day"))
        days += amount;
    else if (str_is(unit, "hour"))
        rest_us += amount * US_PER_HOUR;
    else
        return LOGIC_WHY_TYPE_MISMATCH;
    *out = instant ? instant_value(days * US_PER_DAY + rest_us) : date_value(days);
    return ok && in_range(instant ? floor_days(out->u.i) : days) ? LOGIC_WHY_NONE : LOGIC_WHY_NOT_A_NUMBER;
}

struct value logic_plus_time(struct logic_run *r, const struct logic_node *n)
{
    struct value v[3], date, out;

    for (uint32_t i = 0; i < 3; i++) {
        if (!take_any(r, n, i, &v[i], &out))
            return out;
    }
    enum logic_why why = date_of(r, v[0], &date);
    if (why != LOGIC_WHY_NONE)
        return no_date(r, n, 0, why);
    if (!value_is_number(v[1]) || v[2].type != VALUE_STRING)
        return no_date(r, n, value_is_number(v[1]) ? 2 : 1, LOGIC_WHY_TYPE_MISMATCH);
    double amount = value_double(v[1]);
    if (!(fabs(amount) <= AMOUNT_MAX) || amount != trunc(amount))
        return no_date(r, n, 1, LOGIC_WHY_NOT_A_NUMBER);
    why = shift(date, (int64_t)amount, v[2].u.s, &out);
    return why == LOGIC_WHY_NONE ? out : no_date(r, n, 0, why);
}

/* CertLogic's dccDateOfBirth: a date, perhaps partial, to its last day. */
struct value logic_birth(struct logic_run *r, const struct logic_node *n)
{
    struct value v, out;
    int64_t days;

    if (!take_any(r, n, 0, &v, &out))
        return out;
    if (v.type != VALUE_STRING || !read_partial_date(v.u.s, &days))
        return no_date(r, n, 0, v.type == VALUE_STRING ? LOGIC_WHY_BAD_DATE : LOGIC_WHY_TYPE_MISMATCH);
    return r->exact ? date_value(days) : instant_value(days * US_PER_DAY);
}

struct value logic_today(struct logic_run *r, const struct logic_node *n)
{
    struct civil today = r->facts->env.today;

    if (today.year == 0)
        return no_date(r, n, n->n, LOGIC_WHY_ZONE_MISSING);
    return date_value(civil_to_days(today));
}

static struct value days_between(struct logic_run *r, const struct logic_node *n, int sign)
{
    struct value today = logic_today(r, n);
    struct value v, out;
    int64_t days;

    if (!take_any(r, n, 0, &v, &out) || logic_stops(today))
        return logic_stops(out) && !logic_stops(today) ? out : today;
    enum logic_why why = local_day(r, v, &days);
    if (why != LOGIC_WHY_NONE)
        return no_date(r, n, 0, why);
    int64_t between = (days - today.u.i) * sign;
    return r->exact ? value_int(between) : value_real((double)between);
}

struct value logic_days_until(struct logic_run *r, const struct logic_node *n)
{
    return days_between(r, n, 1);
}

struct value logic_days_since(struct logic_run *r, const struct logic_node *n)
{
    return days_between(r, n, -1);
}

static bool months_of(struct logic_run *r, const struct logic_node *n, unsigned *mask, struct value *out)
{
    struct value list;

    *mask = r->facts->env.season_months;
    if (n->n < 2)
        return true;
    if (!take_any(r, n, 1, &list, out))
        return false;
    *mask = 0;
    for (size_t i = 0; value_is_list(list) && i < value_length(list); i++) {
        struct value month = value_at(list, i, r->exact);
        double d = value_is_number(month) ? value_double(month) : 0;
        if (!logic_spend(r, n, out))
            return false;
        if (d >= 1 && d <= MONTHS_PER_YEAR)
            *mask |= 1U << (unsigned)d;
    }
    return true;
}

struct value logic_in_season(struct logic_run *r, const struct logic_node *n)
{
    struct value v, out;
    int64_t days;
    unsigned mask;

    if (!take_any(r, n, 0, &v, &out) || !months_of(r, n, &mask, &out))
        return out;
    enum logic_why why = local_day(r, v, &days);
    if (why != LOGIC_WHY_NONE || !in_range(days))
        return no_date(r, n, 0, why != LOGIC_WHY_NONE ? why : LOGIC_WHY_NOT_A_NUMBER);
    return value_bool((mask >> civil_of_days((int32_t)days).month & 1) != 0);
}
