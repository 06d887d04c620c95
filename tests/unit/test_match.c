/* match: timing texts, adding, replacing and removing rules, order, reports, accounting; and a property test that compares every
 * answer with brute force over random rules and documents. */
#include <stdio.h>
#include <string.h>

#include <criterion/criterion.h>
#include <jansson.h>

#include "common/core/key.h"
#include "common/core/match.h"

#define ACTIONS "'actions': [{'type': 'stop'}]"
#define EVENT "'trigger': {'type': 'event', 'event': 'form.submitted'}"

static struct id rule_id(unsigned n)
{
    struct id id = ID_ZERO;

    id.b[14] = (uint8_t)(n >> 8);
    id.b[15] = (uint8_t)n;
    return id;
}

static unsigned number_of(const struct id *id)
{
    return (unsigned)id->b[14] << 8 | id->b[15];
}

/* A rule from the members besides version and name; with ' for ". */
static struct rule *make(struct match *m, const char *members)
{
    struct rule_errors errors = {0};
    struct buf text = {0};
    struct rule *r;

    buf_printf(&text, "{'schema_version': 1, 'name': 'n', %s}", members);
    for (size_t i = 0; i < text.len; i++)
        text.data[i] = text.data[i] == '\'' ? '"' : text.data[i];
    r = rule_parse_text((struct str){text.data, text.len}, match_fields(m), &errors);
    for (size_t i = 0; i < errors.n; i++)
        fprintf(stderr, "  %s: %s\n", errors.items[i].pointer, errors.items[i].message);
    cr_assert_not_null(r, "%s", buf_text(&text));
    rule_errors_free(&errors);
    buf_free(&text);
    return r;
}

static void put(struct match *m, unsigned n, int64_t revision, const char *members)
{
    struct id id = rule_id(n);

    cr_assert_eq(match_put(m, &id, revision, make(m, members)), ERR_OK);
}

/* What a question reported, as text: "3:true 5:unknown(missing_field:x) ". */
struct log {
    struct buf text;
    size_t stop_after; /* 0: never */
    size_t n;
    struct match *m;
};

static bool write_hit(const struct match_hit *hit, void *ctx)
{
    static const char *const truths[] = {"false", "true", "unknown"};
    struct log *log = ctx;

    buf_printf(&log->text, "%u:%s", number_of(&hit->rule_id), truths[hit->truth]);
    if (hit->reason[0] != '\0')
        buf_printf(&log->text, "(%s)", hit->reason);
    buf_put_char(&log->text, ' ');
    log->n++;
    return log->stop_after == 0 || log->n < log->stop_after;
}

static void expect_event(struct match *m, const char *document, bool all, const char *want, struct match_stats *stats)
{
    json_t *context = json_loads(document, 0, NULL);
    struct log log = {0};

    cr_assert_not_null(context);
    cr_assert_eq(match_event(m, STR("form.submitted"), &(struct match_question){.context = context, .all = all},
                             write_hit, &log, stats),
                 ERR_OK);
    cr_assert_str_eq(buf_text(&log.text), want);
    buf_free(&log.text);
    json_decref(context);
}

Test(match, timing_texts_are_as_the_header_says)
{
    static const struct {
        const char *trigger;
        const char *text;
    } rows[] = {
        {"'milestone': 'ceremony', 'offset': '-P30D'", "ceremony|-P0M30DT0S|09:00|wedding"},
        {"'milestone': 'wedding.ceremony', 'offset': '-P30D', 'at': '09:00'", "ceremony|-P0M30DT0S|09:00|wedding"},
        {"'milestone': 'anniversary', 'at': '00:05', 'time_zone': 'tenant'", "anniversary|+P0M0DT0S|00:05|tenant"},
        {"'milestone': 'ceremony', 'offset': 'P1Y2W', 'time_zone': 'America/New_York'",
         "ceremony|+P12M14DT0S|09:00|America/New_York"},
        {"'milestone': 'reception', 'offset': '-P1DT90M'", "reception|-P0M1DT5400S|--:--|wedding"},
        {"'milestone': 'reception', 'offset': 'PT0S'", "reception|+P0M0DT0S|--:--|wedding"},
    };
    struct match *m = match_new();

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char members[256], text[MATCH_TIMING_TEXT_SIZE];
        struct rule *r;
        struct id id, derived;
        struct str part = str_of(rows[i].text);

        snprintf(members, sizeof(members), "'trigger': {'type': 'milestone', %s}, " ACTIONS, rows[i].trigger);
        r = make(m, members);
        cr_assert_str_eq(match_timing_text(&r->trigger, text), rows[i].text);
        match_timing_id(&r->trigger, &id);
        key_derive(&derived, "timing", &part, 1);
        cr_assert(id_eq(&id, &derived));
        rule_free(r);
    }
    match_free(m);
}

Test(match, reports_true_and_unknown_in_order_of_priority_and_id)
{
    struct match *m = match_new();
    struct match_stats stats;

    put(m, 9, 1, EVENT ", " ACTIONS);
    put(m, 5, 1, EVENT ", " ACTIONS ", 'conditions': {'==': [{'var': 'event.slug'}, 'timeline']}");
    put(m, 6, 1, EVENT ", " ACTIONS ", 'conditions': {'==': [{'var': 'event.slug'}, 'menu']}");
    put(m, 7, 1, EVENT ", " ACTIONS ", 'settings': {'priority': 3}");
    put(m, 8, 1, EVENT ", " ACTIONS ", 'conditions': {'>': [{'var': 'wedding.guest_count'}, 50]}");
    put(m, 4, 1, "'trigger': {'type': 'event', 'event': 'form.sent'}, " ACTIONS);
    put(m, 3, 1, "'trigger': {'type': 'event', 'event': 'form.opened'}, " ACTIONS);
    expect_event(m, "{\"event\": {\"slug\": \"timeline\"}, \"wedding\": {}}", false,
                 "7:true 5:true 8:unknown(missing_field:wedding.guest_count) 9:true ", &stats);
    cr_assert_eq(stats.candidates, 5);
    cr_assert_eq(stats.evaluated, 4, "the rule for another form is passed over");
    cr_assert_eq(stats.matched, 3);
    cr_assert_eq(stats.unknown, 1);
    expect_event(m, "{\"event\": {\"slug\": \"timeline\"}, \"wedding\": {\"guest_count\": 20}}", true,
                 "7:true 5:true 6:false 8:false 9:true ", &stats);
    cr_assert_eq(stats.evaluated, 5);
    expect_event(m, "{\"event\": {}, \"wedding\": {\"guest_count\": 60}}", false,
                 "7:true 5:unknown(missing_field:event.slug) 6:unknown(missing_field:event.slug) 8:true 9:true ", NULL);
    cr_assert(match_has_event(m, STR("form.sent")));
    cr_assert_not(match_has_event(m, STR("form.sen")));
    cr_assert_eq(match_count(m), 7);
    match_free(m);
}

Test(match, keeps_the_newest_revision)
{
    struct match *m = match_new();
    struct id id = rule_id(1), other = rule_id(2);
    struct rule *old;
    int64_t revision = 0;

    put(m, 1, 3, EVENT ", " ACTIONS);
    old = make(m, EVENT ", " ACTIONS);
    cr_assert_eq(match_put(m, &id, 3, old), ERR_EXISTS);
    cr_assert_eq(match_put(m, &id, 2, old), ERR_EXISTS);
    rule_free(old);
    put(m, 1, 4, "'trigger': {'type': 'event', 'event': 'form.sent'}, " ACTIONS);
    cr_assert_not_null(match_get(m, &id, &revision));
    cr_assert_eq(revision, 4);
    cr_assert_null(match_get(m, &other, NULL));
    cr_assert_not(match_has_event(m, STR("form.submitted")), "the old trigger is gone");
    cr_assert(match_has_event(m, STR("form.sent")));
    expect_event(m, "{}", false, "", NULL);
    cr_assert(match_remove(m, &id));
    cr_assert_not(match_remove(m, &id));
    cr_assert_not(match_has_event(m, STR("form.sent")));
    cr_assert_eq(match_count(m), 0);
    match_free(m);
    match_free(NULL);
}

Test(match, finds_rules_by_timing_and_lists_timings)
{
    struct match *m = match_new();
    struct id id, seen;
    const struct rule_trigger *t;
    size_t at = 0, n = 0;
    struct log log = {0};
    struct rule *r = make(m, "'trigger': {'type': 'milestone', 'milestone': 'ceremony', 'offset': '-P7D'}, " ACTIONS);

    match_timing_id(&r->trigger, &id);
    rule_free(r);
    cr_assert_not(match_has_timing(m, &id));
    put(m, 1, 1, "'trigger': {'type': 'milestone', 'milestone': 'ceremony', 'offset': '-P1W'}, " ACTIONS);
    put(m, 2, 1, "'trigger': {'type': 'milestone', 'milestone': 'ceremony', 'offset': '-P7D', 'at': '09:00'}, " ACTIONS);
    put(m, 3, 1, "'trigger': {'type': 'milestone', 'milestone': 'ceremony', 'offset': '-P7D', 'at': '10:00'}, " ACTIONS);
    cr_assert(match_has_timing(m, &id));
    cr_assert_eq(match_timing(m, &id, &(struct match_question){0}, write_hit, &log, NULL), ERR_OK);
    cr_assert_str_eq(buf_text(&log.text), "1:true 2:true ");
    while (match_next_timing(m, &at, &seen, &t)) {
        struct id derived;

        match_timing_id(t, &derived);
        cr_assert(id_eq(&derived, &seen));
        n++;
    }
    cr_assert_eq(n, 2);
    buf_free(&log.text);
    match_free(m);
}

static bool ask_again(const struct match_hit *hit, void *ctx)
{
    struct log *log = ctx;

    (void)hit;
    cr_assert_eq(match_event(log->m, STR("form.submitted"), &(struct match_question){0}, write_hit, log, NULL),
                 ERR_STATE);
    log->n++;
    return true;
}

Test(match, a_callback_may_stop_but_not_ask_again)
{
    struct match *m = match_new();
    struct log log = {.stop_after = 2}, nested = {.m = m};

    for (unsigned i = 1; i <= 5; i++)
        put(m, i, 1, EVENT ", " ACTIONS);
    cr_assert_eq(match_event(m, STR("form.submitted"), &(struct match_question){0}, write_hit, &log, NULL), ERR_OK);
    cr_assert_str_eq(buf_text(&log.text), "1:true 2:true ");
    cr_assert_eq(match_event(m, STR("form.submitted"), &(struct match_question){0}, ask_again, &nested, NULL), ERR_OK);
    cr_assert_eq(nested.n, 5);
    buf_free(&log.text);
    match_free(m);
}

Test(match, memory_is_given_back_when_rules_go)
{
    struct match *m = match_new();
    size_t empty = match_bytes(m), full;

    for (unsigned i = 0; i < 200; i++)
        put(m, i, 1, EVENT ", " ACTIONS ", 'conditions': {'==': [{'var': 'event.slug'}, 'a']}");
    expect_event(m, "{\"event\": {\"slug\": \"b\"}}", false, "", NULL);
    full = match_bytes(m);
    cr_assert_gt(full, empty + 200 * sizeof(struct rule));
    for (unsigned i = 0; i < 200; i++) {
        struct id id = rule_id(i);

        cr_assert(match_remove(m, &id));
    }
    cr_assert_lt(match_bytes(m), empty + 512 * 64 + 2048, "only the hash map and one field remain: %zu", match_bytes(m));
    match_free(m);
}

/* ---- against brute force ---- */

static uint64_t seed;

static unsigned pick(unsigned n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned)(seed >> 33) % n;
}

#define FIELDS 5

static const char *const fields[FIELDS] = {"wedding.status", "event.slug", "event.n", "project.stage", "event.flag"};
static const char *const literals[] = {"'a'", "'b'", "'c'", "1", "2", "1.0", "'1'", "true", "false"};
#define LITERALS (sizeof(literals) / sizeof(literals[0]))

static void put_condition(struct buf *b, int depth)
{
    static const char *const groups[] = {"and", "and", "or"};
    const char *field = fields[pick(FIELDS)];

    switch (pick(depth > 0 ? 7 : 4)) {
    case 0:
    case 1: buf_printf(b, "{'==': [{'var': '%s'}, %s]}", field, literals[pick(LITERALS)]); break;
    case 2:
        buf_printf(b, "{'in': [{'var': '%s'}, [%s, %s]]}", field, literals[pick(LITERALS)], literals[pick(LITERALS)]);
        break;
    case 3: buf_printf(b, "{'!=': [{'var': '%s'}, null]}", field); break;
    case 6:
        buf_put_str(b, "{'!': [");
        put_condition(b, depth - 1);
        buf_put_str(b, "]}");
        break;
    default:
        buf_printf(b, "{'%s': [", groups[pick(3)]);
        for (unsigned i = 0, n = 1 + pick(3); i < n; i++) {
            buf_put_str(b, i == 0 ? "" : ", ");
            put_condition(b, depth - 1);
        }
        buf_put_str(b, "]}");
    }
}

/* A value for a field: mostly of the literals, sometimes missing, null or a list. */
static json_t *random_value(void)
{
    switch (pick(12)) {
    case 0: return json_null();
    case 1: return NULL;
    case 2: return json_pack("[s]", "a");
    case 3: return json_string("1");
    case 4: return json_integer(1 + (json_int_t)pick(3));
    case 5: return json_real(1.0);
    case 6: return json_boolean(pick(2));
    default: return json_stringn(&"abcd"[pick(4)], 1);
    }
}

static json_t *random_document(void)
{
    json_t *document = json_pack("{s:{}, s:{}, s:{}}", "wedding", "event", "project");

    for (int i = 0; i < FIELDS; i++) {
        const char *dot = strchr(fields[i], '.');
        json_t *value = random_value();

        if (value != NULL)
            json_object_set_new(json_object_getn(document, fields[i], (size_t)(dot - fields[i])), dot + 1, value);
    }
    return document;
}

enum { RULES = 150, ROUNDS = 12, QUESTIONS = 40 };

/* Answers of one question, by rule; 3 = not reported. */
struct answers {
    unsigned truth[RULES];
    int last_priority;
    unsigned last_number;
};

static bool take_answer(const struct match_hit *hit, void *ctx)
{
    struct answers *a = ctx;
    unsigned n = number_of(&hit->rule_id);
    int priority = hit->rule->settings.priority;

    cr_assert_eq(a->truth[n], 3, "rule %u is reported twice", n);
    cr_assert(priority > a->last_priority || (priority == a->last_priority && n > a->last_number), "order");
    a->truth[n] = hit->truth;
    a->last_priority = priority;
    a->last_number = n;
    return true;
}

static void put_random_rule(struct match *m, unsigned n, int64_t revision)
{
    struct buf members = {0};

    buf_printf(&members, "%s, " ACTIONS ", 'settings': {'priority': %u}", EVENT, pick(4));
    if (pick(10) > 0) {
        buf_put_str(&members, ", 'conditions': ");
        put_condition(&members, 3);
    }
    put(m, n, revision, buf_text(&members));
    buf_free(&members);
}

static void compare_question(struct match *m, bool all, size_t *passed_over)
{
    json_t *document = random_document();
    struct logic_facts *facts = logic_facts_new(match_fields(m));
    struct answers a = {.last_priority = -1};
    struct match_stats stats;

    for (unsigned i = 0; i < RULES; i++)
        a.truth[i] = 3;
    cr_assert_eq(match_event(m, STR("form.submitted"), &(struct match_question){.context = document, .all = all},
                             take_answer, &a, &stats),
                 ERR_OK);
    logic_facts_set(facts, document, NULL);
    for (unsigned i = 0; i < RULES; i++) {
        struct id id = rule_id(i);
        const struct rule *r = match_get(m, &id, NULL);
        unsigned want = 3;

        if (r != NULL && strcmp(r->trigger.event_type, "form.submitted") == 0)
            want = r->conditions == NULL ? LOGIC_TRUE : logic_eval(r->conditions, facts, NULL);
        if (want == LOGIC_FALSE && !all)
            want = 3;
        if (a.truth[i] != want) {
            char *text = json_dumps(document, 0);

            cr_assert_fail("rule %u: %u instead of %u for %s", i, a.truth[i], want, text);
        }
    }
    *passed_over += stats.candidates - stats.evaluated;
    logic_facts_free(facts);
    json_decref(document);
}

Test(match, answers_are_those_of_brute_force)
{
    struct match *m = match_new();
    size_t passed_over = 0, ignored = 0;

    seed = 88172645463325252ULL;
    for (int round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < RULES; i++) {
            struct id id = rule_id(i);

            if (pick(4) == 0)
                match_remove(m, &id);
            else if (round == 0 || pick(3) == 0)
                put_random_rule(m, i, round + 1);
        }
        for (int q = 0; q < QUESTIONS; q++) {
            compare_question(m, false, &passed_over);
            compare_question(m, true, &ignored);
        }
    }
    cr_assert_gt(passed_over, (size_t)ROUNDS * QUESTIONS * RULES / 20, "the lists are of use: %zu", passed_over);
    cr_assert_eq(ignored, 0);
    match_free(m);
}

/* A third of all rules go, more than lists are patched for; a few come back at once. */
static void remove_many(struct match *m, int64_t revision)
{
    for (unsigned i = 0; i < RULES; i++) {
        struct id id = rule_id(i);

        if (pick(3) == 0)
            match_remove(m, &id);
    }
    for (unsigned i = 0; i < RULES; i += 10)
        put_random_rule(m, i, revision);
}

/* Adds, replaces (on this trigger or another) or removes one rule. */
static void edit_one(struct match *m, int64_t revision)
{
    unsigned n = pick(RULES);
    struct id id = rule_id(n);

    switch (pick(8)) {
    case 0:
    case 1: match_remove(m, &id); break;
    case 2: put(m, n, revision, "'trigger': {'type': 'event', 'event': 'form.sent'}, " ACTIONS); break;
    default: put_random_rule(m, n, revision);
    }
}

Test(match, answers_stay_those_of_brute_force_after_each_edit)
{
    enum { EDITS = 3000, PAUSE = 200 };
    struct match *m = match_new();
    size_t passed_over = 0, ignored = 0;
    int64_t revision = 0;

    seed = 2463534242ULL;
    for (unsigned i = 0; i < RULES; i++)
        put_random_rule(m, i, ++revision);
    for (unsigned edit = 0; edit < EDITS; edit++) {
        if (edit % PAUSE == PAUSE - 1)
            remove_many(m, ++revision);
        for (unsigned n = pick(10) == 0 ? 3 : 1; n > 0; n--)
            edit_one(m, ++revision);
        compare_question(m, false, &passed_over);
        compare_question(m, true, &ignored);
    }
    cr_assert_gt(passed_over, (size_t)EDITS * RULES / 20, "the lists are of use: %zu", passed_over);
    match_free(m);
}

Test(match, many_edits_do_not_grow_it)
{
    struct match *m = match_new();
    size_t before, after;

    for (unsigned i = 0; i < RULES; i++)
        put(m, i, 1, EVENT ", " ACTIONS ", 'conditions': {'==': [{'var': 'event.n'}, 0]}");
    expect_event(m, "{\"event\": {\"n\": 1}}", false, "", NULL);
    before = match_bytes(m);
    for (int i = 0; i < 5000; i++) {
        char members[256];

        snprintf(members, sizeof(members), EVENT ", " ACTIONS ", 'conditions': {'==': [{'var': 'event.n'}, %d]}", i);
        put(m, (unsigned)i % RULES, i + 2, members);
        expect_event(m, "{\"event\": {\"n\": -1}}", false, "", NULL);
    }
    after = match_bytes(m);
    cr_assert_lt(after, before * 2, "%zu bytes after %zu", after, before);
    match_free(m);
}
