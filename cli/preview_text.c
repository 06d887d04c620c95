/* preview_text: see preview_text.h. */
#include "cli/preview_text.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define TRUE_MARK "\xe2\x9c\x93"  /* ✓ */
#define FALSE_MARK "\xe2\x9c\x97" /* ✗ */

static const char *text(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));

    return s != NULL ? s : "-";
}

static long long number(const json_t *object, const char *key)
{
    return (long long)json_integer_value(json_object_get(object, key));
}

static bool is(const json_t *object, const char *key, const char *word)
{
    return strcmp(text(object, key), word) == 0;
}

/* ---- the condition tree ------------------------------------------------------------------------------------------------- */

static const char *mark(const json_t *node)
{
    if (is(node, "truth", "true"))
        return TRUE_MARK;
    return is(node, "truth", "false") ? FALSE_MARK : "?";
}

static void print_value(const json_t *value, FILE *f)
{
    char *shown = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);

    (void)fprintf(f, "%s", shown != NULL ? shown : "?");
    free(shown);
}

static bool is_group(const json_t *node)
{
    return is(node, "op", "and") || is(node, "op", "or") || is(node, "op", "!") || is(node, "op", "if");
}

static void print_operands(const json_t *node, FILE *f)
{
    const json_t *operands = json_object_get(node, "operands");

    for (size_t i = 0; i < json_array_size(operands); i++) {
        (void)fputs(i == 0 ? "  " : ", ", f);
        print_value(json_array_get(operands, i), f);
    }
}

static void print_node(const json_t *node, int indent, FILE *f)
{
    const char *field = json_string_value(json_object_get(node, "field"));
    const char *reason = text(node, "reason");
    int depth = (int)json_integer_value(json_object_get(node, "depth"));

    (void)fprintf(f, "%*s%s %s", indent + 2 * depth, "",
                  json_is_true(json_object_get(node, "condition")) ? mark(node) : "\xc2\xb7",
                  field != NULL ? field : text(node, "op"));
    if (field != NULL) {
        (void)fputs(" = ", f);
        print_value(json_object_get(node, "value"), f);
    } else if (!is_group(node)) {
        print_operands(node, f);
    }
    if (reason[0] != '\0')
        (void)fprintf(f, "  (%s)", reason);
    (void)fputc('\n', f);
}

void preview_text_conditions(const json_t *conditions, int indent, FILE *f)
{
    const json_t *nodes = json_object_get(conditions, "nodes");

    for (size_t i = 0; i < json_array_size(nodes); i++)
        print_node(json_array_get(nodes, i), indent, f);
    if (json_array_size(nodes) == 0)
        (void)fprintf(f, "%*s" TRUE_MARK " no conditions\n", indent, "");
}

/* ---- head --------------------------------------------------------------------------------------------------------------- */

static void print_window(const json_t *window, int indent, FILE *f)
{
    if (json_is_object(window))
        (void)fprintf(f, "%*ssend window %s: %s -> %s (%s, %s)\n", indent, "", text(window, "open"),
                      text(window, "from_local"), text(window, "to_local"), text(window, "why"), text(window, "moved"));
}

static void print_occurrences(const json_t *fire, FILE *f)
{
    const json_t *list = json_object_get(fire, "occurrences");

    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *o = json_array_get(list, i);
        (void)fprintf(f, "  firing %lld of %zu: %s %s\n", number(o, "occurrence"), json_array_size(list),
                      text(o, "due_local"), text(o, "state"));
    }
}

static void print_fire(const json_t *fire, FILE *f)
{
    const json_t *d = json_object_get(fire, "derivation");

    (void)fprintf(f, "fires: %s\n", text(fire, "state"));
    if (json_is_string(json_object_get(fire, "due_utc")))
        (void)fprintf(f, "  %s %s  =  %s\n", text(fire, "due_local"), text(fire, "zone"), text(fire, "due_utc"));
    print_window(json_object_get(fire, "window"), 2, f);
    if (!json_is_object(d))
        return;
    (void)fprintf(f, "  %s %s, offset %s", text(d, "milestone"), text(d, "local_date"), text(d, "offset"));
    if (json_is_string(json_object_get(d, "at")))
        (void)fprintf(f, ", at %s (%s time) on %s", text(d, "at"), text(d, "zone_mode"), text(d, "fire_date"));
    (void)fputc('\n', f);
    print_occurrences(fire, f);
}

static void print_head(const json_t *p, FILE *f)
{
    const json_t *rule = json_object_get(p, "rule"), *wedding = json_object_get(p, "wedding");
    const json_t *verdict = json_object_get(p, "verdict");
    json_int_t revision = json_integer_value(json_object_get(rule, "revision"));

    (void)fprintf(f, "rule: %s", text(rule, "name"));
    if (revision > 0)
        (void)fprintf(f, " (%s, revision %lld, %s)", text(rule, "id"), (long long)revision, text(rule, "status"));
    (void)fprintf(f, "\nwedding: %s, %s, %s %s\nas of: %s\n", text(wedding, "title"), text(wedding, "status"),
                  text(wedding, "date"), text(wedding, "time_zone"), text(p, "as_of"));
    print_fire(json_object_get(p, "fire"), f);
    if (json_is_true(json_object_get(verdict, "starts")))
        (void)fprintf(f, "verdict: a run starts\n");
    else
        (void)fprintf(f, "verdict: no run starts (%s)\n", text(verdict, "reason"));
}

/* ---- what stands beside it ----------------------------------------------------------------------------------------------- */

static void print_live(const json_t *s, FILE *f)
{
    if (!json_is_boolean(json_object_get(s, "live")))
        return;
    (void)fprintf(f, "live: %s (%s)", json_is_true(json_object_get(s, "live")) ? "yes" : "no", text(s, "live_reason"));
    if (json_is_string(json_object_get(s, "activated_at")))
        (void)fprintf(f, ", since %s", text(s, "activated_at"));
    if (json_is_string(json_object_get(s, "live_changes")))
        (void)fprintf(f, ", may change at %s", text(s, "live_changes"));
    (void)fputc('\n', f);
}

static void print_standing(const json_t *s, FILE *f)
{
    const json_t *needs = json_object_get(s, "dependencies");

    print_live(s, f);
    (void)fprintf(f, "mode: %s, %lld running: a start %s\nruns: %lld", text(s, "mode"), number(s, "running"),
                  text(s, "mode_effect"), number(s, "runs"));
    if (json_is_integer(json_object_get(s, "max_runs")))
        (void)fprintf(f, " of at most %lld", number(s, "max_runs"));
    (void)fprintf(f, ", %lld within an hour (loop guard: %lld)\n", number(s, "runs_last_hour"), number(s, "loop_guard"));
    for (size_t i = 0; i < json_array_size(needs); i++) {
        const json_t *d = json_array_get(needs, i);
        (void)fprintf(f, "needs: %s %s (%s)\n", json_is_true(json_object_get(d, "met")) ? TRUE_MARK : FALSE_MARK,
                      text(d, "name"), text(d, "rule_id"));
    }
    if (json_is_string(json_object_get(s, "after_move")))
        (void)fprintf(f, "when the date changes: %s (%s)\n", text(s, "after_move"), text(s, "on_date_change"));
}

/* ---- steps -------------------------------------------------------------------------------------------------------------- */

static void print_params(const json_t *params, FILE *f)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)params, key, value)
    {
        (void)fprintf(f, "      %s: ", key);
        if (json_is_string(value))
            (void)fputs(json_string_value(value), f);
        else
            print_value(value, f);
        (void)fputc('\n', f);
    }
}

static void print_approval(const json_t *approval, FILE *f)
{
    if (!json_is_object(approval))
        return;
    if (json_is_string(json_object_get(approval, "approved_by")))
        (void)fprintf(f, "      approved ahead by %s\n", text(approval, "approved_by"));
    else
        (void)fprintf(f, "      waits for approval, until %s\n", text(approval, "expires_utc"));
}

static void print_step(const json_t *step, FILE *f)
{
    const json_t *when = json_object_get(step, "when"), *ways = json_object_get(step, "ways");
    const json_t *errors = json_object_get(step, "errors");
    const char *path = is(step, "path", "taken")       ? ""
                       : is(step, "path", "not_taken") ? "  [not taken]"
                                                       : "  [undecided]";

    (void)fprintf(f, "  %s %s%s", text(step, "id"), text(step, "type"), path);
    if (json_is_object(when))
        (void)fprintf(f, "  %s %s", text(when, "due_local"), text(when, "note"));
    (void)fputc('\n', f);
    print_window(json_object_get(step, "window"), 6, f);
    print_approval(json_object_get(step, "approval"), f);
    if (json_is_object(ways)) {
        (void)fprintf(f, "      then: %s, else: %s\n", text(ways, "then"), text(ways, "else"));
        preview_text_conditions(json_object_get(step, "condition"), 6, f);
    }
    print_params(json_object_get(step, "params"), f);
    for (size_t i = 0; i < json_array_size(errors); i++) {
        const json_t *e = json_array_get(errors, i);
        (void)fprintf(f, "      " FALSE_MARK " %s: %s (%s)\n", text(e, "param"), text(e, "message"), text(e, "reason"));
    }
}

/* ---- the rest ----------------------------------------------------------------------------------------------------------- */

static void print_conflicts(const json_t *list, FILE *f)
{
    if (json_array_size(list) > 0)
        (void)fprintf(f, "other rules within 24 hours:\n");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *c = json_array_get(list, i);
        (void)fprintf(f, "  %s  %s (%s, %s)\n", text(c, "due_local"), text(c, "name"), text(c, "rule_id"),
                      text(c, "state"));
    }
}

static void print_matches(const json_t *m, FILE *f)
{
    (void)fprintf(f, "next 12 months: %lld of %lld weddings match", number(m, "matches"), number(m, "examined"));
    (void)fprintf(f, ", %lld unknown, %lld without the milestone%s\n", number(m, "unknown"), number(m, "unscheduled"),
                  json_is_true(json_object_get(m, "cut")) ? "; more were not examined" : "");
}

static void print_warnings(const json_t *list, FILE *f)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *w = json_array_get(list, i);
        (void)fprintf(f, "warning: %s (%s)\n", text(w, "text"), text(w, "code"));
    }
}

void preview_text_print(const json_t *preview, FILE *f)
{
    const json_t *conditions = json_object_get(preview, "conditions"), *steps = json_object_get(preview, "steps");

    print_head(preview, f);
    print_standing(json_object_get(preview, "standing"), f);
    (void)fprintf(f, "conditions at %s: %s %s\n", text(conditions, "evaluated_at"), text(conditions, "truth"),
                  text(conditions, "reason"));
    preview_text_conditions(conditions, 2, f);
    (void)fprintf(f, "steps:\n");
    for (size_t i = 0; i < json_array_size(steps); i++)
        print_step(json_array_get(steps, i), f);
    print_conflicts(json_object_get(preview, "conflicts"), f);
    print_matches(json_object_get(preview, "matches_next_12_months"), f);
    print_warnings(json_object_get(preview, "warnings"), f);
}

void preview_text_errors(const json_t *preview, FILE *f)
{
    const json_t *errors = json_object_get(preview, "errors");

    for (size_t i = 0; i < json_array_size(errors); i++) {
        const json_t *e = json_array_get(errors, i);
        (void)fprintf(f, "%s: %s\n", text(e, "pointer"), text(e, "message"));
    }
}
