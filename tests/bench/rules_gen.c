/* rules_gen: see rules_gen.h. xorshift64; nothing fails but for want of memory. */
#include "tests/bench/rules_gen.h"

#include <stdio.h>

enum field_type { FIELD_TEXT, FIELD_NUMBER, FIELD_FLAG, FIELD_TAGS };

struct field {
    const char *object, *name;
    enum field_type type;
    unsigned most;         /* numbers: 0 … most in steps of `step` */
    unsigned step;         /* of the numbers written in rules */
    const char *words[10]; /* texts and tags */
};

static const struct field fields[] = {
    {"wedding", "status", FIELD_TEXT, 0, 0, {"inquiry", "booked", "planning", "final", "done", "canceled"}},
    {"wedding", "venue_type", FIELD_TEXT, 0, 0, {"barn", "hotel", "garden", "beach", "castle", "church", "winery"}},
    {"wedding", "package", FIELD_TEXT, 0, 0, {"basic", "silver", "gold", "platinum", "custom"}},
    {"wedding", "country", FIELD_TEXT, 0, 0, {"DE", "FR", "IT", "US", "GB", "ES", "PT", "GR", "AT", "CH"}},
    {"project", "stage", FIELD_TEXT, 0, 0, {"lead", "proposal", "contract", "design", "logistics", "week", "after"}},
    {"contact", "language", FIELD_TEXT, 0, 0, {"en", "de", "fr", "es", "it"}},
    {"contact", "source", FIELD_TEXT, 0, 0, {"web", "fair", "referral", "venue", "ads", "social"}},
    {"wedding", "guest_count", FIELD_NUMBER, 400, 10, {0}},
    {"wedding", "budget", FIELD_NUMBER, 100000, 2500, {0}},
    {"wedding", "days_left", FIELD_NUMBER, 500, 5, {0}},
    {"wedding", "vendor_count", FIELD_NUMBER, 25, 1, {0}},
    {"invoice", "open_amount", FIELD_NUMBER, 20000, 500, {0}},
    {"invoice", "days_overdue", FIELD_NUMBER, 60, 1, {0}},
    {"wedding", "outdoor", FIELD_FLAG, 0, 0, {0}},
    {"wedding", "contract_signed", FIELD_FLAG, 0, 0, {0}},
    {"invoice", "deposit_paid", FIELD_FLAG, 0, 0, {0}},
    {"contact", "opted_in", FIELD_FLAG, 0, 0, {0}},
    {"wedding", "tags", FIELD_TAGS, 0, 0, {"vip", "lgbtq", "destination", "kids", "vegan", "live_band", "fireworks"}},
};
enum { FIELDS = sizeof(fields) / sizeof(fields[0]) };

struct dice {
    uint64_t state;
};

static unsigned roll(struct dice *d, unsigned n)
{
    d->state ^= d->state << 13;
    d->state ^= d->state >> 7;
    d->state ^= d->state << 17;
    return (unsigned)(d->state >> 33) % n;
}

static const char *word(struct dice *d, const struct field *f)
{
    unsigned n = 0;

    while (n < 10 && f->words[n] != NULL)
        n++;
    return f->words[roll(d, n)];
}

static json_t *var(const struct field *f)
{
    return json_pack("{s:o}", "var", json_sprintf("%s.%s", f->object, f->name));
}

static json_t *text_leaf(struct dice *d, const struct field *f)
{
    json_t *list;

    switch (roll(d, 4)) {
    case 0: return json_pack("{s:[o,s]}", "!=", var(f), word(d, f));
    case 1:
        list = json_array();
        for (unsigned i = 0, n = 2 + roll(d, 2); i < n; i++)
            json_array_append_new(list, json_string(word(d, f)));
        return json_pack("{s:[o,o]}", "in", var(f), list);
    default: return json_pack("{s:[o,s]}", "==", var(f), word(d, f));
    }
}

static json_t *leaf(struct dice *d)
{
    static const char *const orders[] = {"<", "<=", ">", ">="};
    const struct field *f = &fields[roll(d, FIELDS)];
    const char *op;

    switch (f->type) {
    case FIELD_TEXT: return text_leaf(d, f);
    case FIELD_NUMBER:
        op = orders[roll(d, 4)];
        return json_pack("{s:[o,i]}", op, var(f), (int)(roll(d, f->most / f->step + 1) * f->step));
    case FIELD_FLAG: return json_pack("{s:[o,b]}", "==", var(f), (int)roll(d, 2));
    case FIELD_TAGS: return json_pack("{s:[s,o]}", "in", word(d, f), var(f));
    }
    return NULL;
}

/* `n` comparisons; a group of two or three of them is nested inside, sometimes under a `!`. */
static json_t *group(struct dice *d, const char *op, unsigned n)
{
    json_t *operands = json_array();
    unsigned inner = n > 2 ? 2 + roll(d, n > 3 ? 2 : 1) : 0;
    unsigned place = inner > 0 ? roll(d, n - inner + 1) : 0;

    for (unsigned i = 0; i <= n - inner; i++) {
        json_t *nested = i == place && inner > 0 ? group(d, op[0] == 'a' ? "or" : "and", inner) : NULL;

        if (nested != NULL)
            json_array_append_new(operands, roll(d, 8) == 0 ? json_pack("{s:[o]}", "!", nested) : nested);
        if (i < n - inner)
            json_array_append_new(operands, leaf(d));
    }
    return json_pack("{s:o}", op, operands);
}

json_t *rules_gen_rules(uint64_t seed, unsigned n, unsigned n_types)
{
    struct dice d = {seed};
    json_t *rules = json_array();

    for (unsigned i = 0; i < n; i++) {
        json_t *rule = json_pack("{s:i, s:o, s:{s:s, s:o}, s:o, s:[{s:s}]}", "schema_version", 1, "name",
                                 json_sprintf("rule %u", i), "trigger", "type", "event", "event",
                                 json_sprintf("bench.event_%u", i % n_types), "conditions",
                                 group(&d, "and", 3 + roll(&d, 4)), "actions", "type", "stop");
        json_array_append_new(rules, rule);
    }
    return rules;
}

static json_t *fact(struct dice *d, const struct field *f)
{
    json_t *tags;

    switch (f->type) {
    case FIELD_TEXT: return json_string(word(d, f));
    case FIELD_NUMBER: return json_integer((json_int_t)roll(d, f->most + 1));
    case FIELD_FLAG: return json_boolean(roll(d, 2));
    case FIELD_TAGS:
        tags = json_array();
        for (unsigned i = 0, n = roll(d, 4); i < n; i++)
            json_array_append_new(tags, json_string(word(d, f)));
        return tags;
    }
    return NULL;
}

json_t *rules_gen_events(uint64_t seed, unsigned n, unsigned n_types)
{
    struct dice d = {seed};
    json_t *events = json_array();

    for (unsigned i = 0; i < n; i++) {
        json_t *context = json_pack("{s:{}, s:{}, s:{}, s:{}}", "wedding", "project", "contact", "invoice");

        for (size_t k = 0; k < FIELDS; k++)
            json_object_set_new(json_object_get(context, fields[k].object), fields[k].name, fact(&d, &fields[k]));
        json_array_append_new(events, json_pack("{s:o, s:o}", "type", json_sprintf("bench.event_%u", i % n_types),
                                                "context", context));
    }
    return events;
}
