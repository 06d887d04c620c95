/* program: flattening of nested branches, ids, waits, reachability and limits. */
#include <stdio.h>
#include <string.h>

#include <criterion/criterion.h>
#include <jansson.h>

#include "common/core/program.h"
#include "common/core/rule.h"

struct fixture {
    struct logic_fields *fields;
    struct rule_errors errors;
    struct rule *rule;
};

/* Wraps the actions into a rule; with ' for ". */
static void read_actions(struct fixture *f, const char *actions)
{
    struct buf text = {0};

    *f = (struct fixture){.fields = logic_fields_new()};
    buf_printf(
        &text,
        "{'schema_version': 1, 'name': 'n', 'trigger': {'type': 'event', 'event': 'form.submitted'}, 'actions': %s}",
        actions);
    for (size_t i = 0; i < text.len; i++)
        text.data[i] = text.data[i] == '\'' ? '"' : text.data[i];
    f->rule = rule_parse_text((struct str){text.data, text.len}, f->fields, &f->errors);
    buf_free(&text);
}

static void end(struct fixture *f)
{
    rule_free(f->rule);
    rule_errors_free(&f->errors);
    logic_fields_free(f->fields);
}

static const struct program *good(const struct fixture *f)
{
    for (size_t i = 0; i < f->errors.n; i++)
        fprintf(stderr, "  %s: %s\n", f->errors.items[i].pointer, f->errors.items[i].message);
    cr_assert_not_null(f->rule);
    return &f->rule->program;
}

static void refused(const struct fixture *f, const char *pointer, const char *part)
{
    cr_assert_null(f->rule);
    cr_assert_geq(f->errors.n, 1);
    cr_assert_str_eq(f->errors.items[0].pointer, pointer, "%s: %s", f->errors.items[0].pointer,
                     f->errors.items[0].message);
    cr_assert_not_null(strstr(f->errors.items[0].message, part), "%s", f->errors.items[0].message);
}

#define NOTE "{'type': 'create_note', 'params': {'text': 'x'}}"
#define STOP "{'type': 'stop'}"
#define IF "'if': {'==': [{'var': 'wedding.status'}, 'booked']}"

struct want {
    const char *id;
    int depth;
    int next;
    int next_true;
    int next_false;
};

static void check_steps(const struct program *p, const struct want *want, int n)
{
    cr_assert_eq(p->n, n);
    for (int i = 0; i < n; i++) {
        const struct step *s = &p->steps[i];

        cr_assert_eq(s->index, i);
        cr_assert_str_eq(s->id, want[i].id);
        cr_assert_eq(s->depth, want[i].depth, "depth of %s", s->id);
        cr_assert_eq(s->next, want[i].next, "next of %s: %d", s->id, s->next);
        cr_assert_eq(s->next_true, want[i].next_true, "next_true of %s: %d", s->id, s->next_true);
        cr_assert_eq(s->next_false, want[i].next_false, "next_false of %s: %d", s->id, s->next_false);
        cr_assert_eq(program_step(p, i), s);
        cr_assert_eq(program_find(p, str_of(s->id)), s);
    }
}

Test(program, flattens_nested_branches_in_document_order)
{
    static const struct want want[] = {
        {"s1", 0, 1, -1, -1}, {"b1", 0, 7, 2, 6},   {"s3", 1, 3, -1, -1}, {"b2", 1, 7, 4, 5},   {"s5", 2, 7, -1, -1},
        {"s6", 2, 7, -1, -1}, {"s7", 1, 7, -1, -1}, {"s8", 0, 8, -1, -1}, {"b3", 0, -1, -1, 9}, {"s10", 1, -1, -1, -1},
    };
    struct fixture f;

    read_actions(&f, "[" NOTE ", {'id': 'b1', 'type': 'branch', " IF ", 'then': [" NOTE
                     ", {'id': 'b2', 'type': 'branch', " IF ", 'then': [" NOTE "], 'else': [" NOTE "]}], 'else': [" NOTE
                     "]}, " NOTE ", {'id': 'b3', 'type': 'branch', " IF ", 'then': [], 'else': [" NOTE "]}]");
    check_steps(good(&f), want, 10);
    cr_assert_eq(f.rule->program.depth, 2);
    cr_assert_str_eq(f.rule->program.steps[4].pointer, "/actions/1/then/1/then/0");
    cr_assert_not_null(f.rule->program.steps[1].condition);
    cr_assert_null(f.rule->program.steps[0].condition);
    cr_assert_gt(program_bytes(&f.rule->program), 0);
    end(&f);
}

Test(program, a_branch_without_else_goes_on_behind_it)
{
    static const struct want want[] = {{"s1", 0, 2, 1, 2}, {"s2", 1, 2, -1, -1}, {"s3", 0, -1, -1, -1}};
    struct fixture f;

    read_actions(&f, "[{'type': 'branch', " IF ", 'then': [" NOTE "]}, " NOTE "]");
    check_steps(good(&f), want, 3);
    cr_assert_eq(program_next(&f.rule->program.steps[0], LOGIC_TRUE), 1);
    cr_assert_eq(program_next(&f.rule->program.steps[0], LOGIC_FALSE), 2);
    cr_assert_eq(program_next(&f.rule->program.steps[0], LOGIC_UNKNOWN), 2);
    cr_assert_eq(program_next(&f.rule->program.steps[1], LOGIC_TRUE), 2);
    cr_assert_eq(program_next(&f.rule->program.steps[2], LOGIC_TRUE), PROGRAM_END);
    cr_assert_null(program_step(&f.rule->program, PROGRAM_END));
    cr_assert_null(program_step(&f.rule->program, 3));
    cr_assert_null(program_find(&f.rule->program, STR("s4")));
    end(&f);
}

Test(program, branch_and_stop_may_have_params)
{
    static const struct want want[] = {{"s1", 0, -1, 1, -1}, {"s2", 1, -1, -1, -1}};
    struct fixture f;

    read_actions(&f, "[{'type': 'branch', 'params': {" IF ", 'then': [{'type': 'stop', 'params': {'reason': 'r'}}]}}]");
    check_steps(good(&f), want, 2);
    cr_assert_str_eq(f.rule->program.steps[1].pointer, "/actions/0/params/then/0");
    cr_assert_str_eq(json_string_value(json_object_get(f.rule->program.steps[1].params, "reason")), "r");
    end(&f);
    read_actions(&f, "[{'type': 'branch', 'params': {" IF ", 'then': [" NOTE "]}, 'else': [" NOTE "]}]");
    refused(&f, "/actions/0/else", "unknown key");
    end(&f);
}

Test(program, reads_every_kind_of_wait)
{
    struct fixture f;
    const struct step *s;

    read_actions(&f, "[{'type': 'wait', 'for': 'P1M'}, {'type': 'wait', 'until': {'time': '07:45'}},"
                     " {'type': 'wait', 'params': {'until': {'milestone': 'rehearsal', 'offset': '-PT2H'}}},"
                     " {'type': 'wait', 'until': {'milestone': 'ceremony', 'offset': '-P2D', 'at': '18:00'}},"
                     " {'type': 'wait', 'until': {'event': 'payment.received', 'timeout': 'P2W'}},"
                     " {'type': 'wait', 'until': {'event': 'form.sent', 'where': {'==': [{'var': 'event.slug'}, 'x']}, "
                     "'timeout': 'PT1H'}}]");
    s = good(&f)->steps;
    cr_assert_eq(s[0].wait.kind, WAIT_DURATION);
    cr_assert_eq(s[0].wait.duration.months, 1);
    cr_assert_eq(s[1].wait.kind, WAIT_TIME);
    cr_assert_eq(s[1].wait.at_minute, 7 * 60 + 45);
    cr_assert_eq(s[2].wait.kind, WAIT_MILESTONE);
    cr_assert_eq(s[2].wait.milestone, MILESTONE_REHEARSAL);
    cr_assert_eq(s[2].wait.offset.seconds, -7200);
    cr_assert_eq(s[2].wait.at_minute, -1);
    cr_assert_eq(s[3].wait.at_minute, 18 * 60);
    cr_assert_eq(s[3].wait.offset.days, -2);
    cr_assert_eq(s[4].wait.kind, WAIT_EVENT);
    cr_assert_str_eq(s[4].wait.event_type, "payment.received");
    cr_assert_eq(s[4].wait.duration.days, 14);
    cr_assert_null(s[4].wait.where);
    cr_assert_not_null(s[5].wait.where);
    end(&f);
}

Test(program, generated_ids_avoid_those_given)
{
    struct fixture f;
    const struct step *s;

    read_actions(&f, "[{'id': 's2', 'type': 'create_note', 'params': {'text': 'x'}}, " NOTE ", " NOTE "]");
    s = good(&f)->steps;
    cr_assert_str_eq(s[0].id, "s2");
    cr_assert_str_eq(s[1].id, "s2_");
    cr_assert_str_eq(s[2].id, "s3");
    end(&f);
}

Test(program, refuses_duplicate_ids)
{
    struct fixture f;

    read_actions(&f, "[{'id': 'x', 'type': 'branch', " IF ", 'then': [" NOTE ", {'id': 'x', 'type': 'stop'}]}]");
    refused(&f, "/actions/0/then/1/id", "also the id of the action at /actions/0");
    end(&f);
}

Test(program, refuses_steps_that_nothing_reaches)
{
    struct fixture f;

    read_actions(&f, "[" STOP ", " NOTE ", " NOTE "]");
    refused(&f, "/actions/1", "never be reached");
    cr_assert_eq(f.errors.n, 1);
    end(&f);
    read_actions(&f, "[{'type': 'branch', " IF ", 'then': [" STOP "], 'else': [" NOTE ", " STOP "]}, " NOTE "]");
    refused(&f, "/actions/1", "never be reached");
    end(&f);
    read_actions(&f, "[{'type': 'branch', " IF ", 'then': [" STOP ", " NOTE "]}]");
    refused(&f, "/actions/0/then/1", "never be reached");
    end(&f);
    read_actions(&f, "[{'type': 'branch', " IF ", 'then': [" STOP "]}, " NOTE "]");
    good(&f);
    end(&f);
    read_actions(&f, "[{'type': 'branch', " IF ", 'then': [], 'else': [" STOP "]}, " NOTE "]");
    good(&f);
    end(&f);
}

Test(program, refuses_broken_branches)
{
    static const struct {
        const char *actions;
        const char *pointer;
        const char *part;
    } rows[] = {
        {"[{'type': 'branch', 'then': [" NOTE "]}]", "/actions/0/if", "must be a condition"},
        {"[{'type': 'branch', " IF "}]", "/actions/0/then", "missing"},
        {"[{'type': 'branch', " IF ", 'then': []}]", "/actions/0", "needs an action"},
        {"[{'type': 'branch', " IF ", 'then': [], 'else': []}]", "/actions/0", "needs an action"},
        {"[{'type': 'branch', " IF ", 'then': " NOTE ", 'else': [" NOTE "]}]", "/actions/0/then", "list of actions"},
        {"[{'type': 'branch', " IF ", 'then': [" NOTE "], 'else': 'x'}]", "/actions/0/else", "list of actions"},
        {"[{'type': 'branch', " IF ", 'then': [7]}]", "/actions/0/then/0", "an action is an object"},
        {"[{'type': 'branch', 'if': {'nope': 1}, 'then': [" NOTE "]}]", "/actions/0/if/nope", "unknown_operator"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct fixture f;

        read_actions(&f, rows[i].actions);
        refused(&f, rows[i].pointer, rows[i].part);
        end(&f);
    }
}

/* `depth` branches within one another around a note. */
static void nest(struct buf *b, int depth)
{
    for (int i = 0; i < depth; i++)
        buf_put_str(b, "[{'type': 'branch', " IF ", 'then': ");
    buf_put_str(b, "[" NOTE "]");
    for (int i = 0; i < depth; i++)
        buf_put_str(b, "}]");
}

Test(program, limits_depth_and_number_of_actions)
{
    struct fixture f;
    struct buf text = {0};

    nest(&text, PROGRAM_DEPTH_MAX);
    read_actions(&f, buf_text(&text));
    cr_assert_eq(good(&f)->depth, PROGRAM_DEPTH_MAX);
    end(&f);
    buf_reset(&text);
    nest(&text, PROGRAM_DEPTH_MAX + 1);
    read_actions(&f, buf_text(&text));
    refused(&f, "/actions/0/then/0/then/0/then/0/then/0/then/0/then", "more than 5 deep");
    end(&f);
    buf_reset(&text);
    nest(&text, 500);
    read_actions(&f, buf_text(&text));
    cr_assert_null(f.rule);
    end(&f);
    for (int n = PROGRAM_STEPS_MAX; n <= PROGRAM_STEPS_MAX + 1; n++) {
        buf_reset(&text);
        buf_put_str(&text, "[{'type': 'branch', " IF ", 'then': [");
        for (int i = 1; i < n; i++)
            buf_put_str(&text, i == 1 ? NOTE : ", " NOTE);
        buf_put_str(&text, "]}]");
        read_actions(&f, buf_text(&text));
        if (n > PROGRAM_STEPS_MAX)
            refused(&f, "/actions", "found 51 actions; allowed are 50");
        else
            cr_assert_eq(good(&f)->n, PROGRAM_STEPS_MAX);
        end(&f);
    }
    buf_free(&text);
}

/* Whatever way the branches go, a run moves forward only and ends; and every step is reached on some way. */
Test(program, every_way_through_ends_and_every_step_is_reached)
{
    struct fixture f;
    const struct program *p;
    bool reached[PROGRAM_STEPS_MAX] = {false};

    read_actions(&f, "[" NOTE ", {'type': 'branch', " IF ", 'then': [{'type': 'branch', " IF ", 'then': [" NOTE
                     ", " STOP "], 'else': [" NOTE "]}, " NOTE "], 'else': [{'type': 'branch', " IF
                     ", 'then': [], 'else': [" NOTE "]}, " NOTE "]}, " NOTE "]");
    p = good(&f);
    for (unsigned ways = 0; ways < 1U << p->n; ways++) {
        int at = 0, moves = 0;

        while (at != PROGRAM_END) {
            int next = program_next(&p->steps[at], ways >> at & 1 ? LOGIC_TRUE : LOGIC_FALSE);

            reached[at] = true;
            cr_assert(next == PROGRAM_END || next > at);
            cr_assert_lt(moves++, p->n);
            at = next;
        }
    }
    for (int i = 0; i < p->n; i++)
        cr_assert(reached[i], "%s", p->steps[i].id);
    end(&f);
}

Test(program, a_for_each_stands_before_its_steps_and_they_lead_back_to_it)
{
    struct fixture f;
    const struct program *p;

    read_actions(&f,
                 "[{'type': 'for_each', 'list': {'var': 'vendors'}, 'do': [{'type': 'branch', 'if': {'==': [{'var': "
                 "'item.role'}, 'florist']}, 'then': [" NOTE ", " STOP "]}, {'type': 'wait', 'for': 'P1D'}]}, " NOTE
                 "]");
    p = good(&f);
    cr_assert_eq(p->n, 6);
    cr_expect_eq(program_next(&p->steps[0], LOGIC_TRUE), 1);
    cr_expect_eq(program_next(&p->steps[0], LOGIC_FALSE), 5);
    cr_expect_eq(p->steps[1].next_false, 4);
    cr_expect_eq(p->steps[3].next, PROGRAM_END);
    cr_expect_eq(p->steps[4].next, 0);
    cr_expect_eq(program_ahead(p, 4, 0), 5);
    cr_expect_eq(p->steps[2].loop, 0);
    cr_expect_eq(p->steps[5].loop, PROGRAM_END);
    end(&f);
}

Test(program, refuses_a_for_each_that_can_not_work)
{
    static const struct {
        const char *actions, *pointer, *part;
    } rows[] = {
        {"[{'type': 'for_each', 'do': [" NOTE "]}]", "/actions/0/list", "missing"},
        {"[{'type': 'for_each', 'list': {'var': 'vendors'}}]", "/actions/0/do", "at least one action"},
        {"[{'type': 'for_each', 'list': {'var': 'vendors'}, 'do': []}]", "/actions/0/do", "at least one action"},
        {"[{'type': 'for_each', 'list': {'var': 'vendors'}, 'do': [{'type': 'for_each', 'list': {'var': 'item'}, 'do': "
         "[" NOTE "]}]}]",
         "/actions/0/do/0", "within another for_each"},
        {"[{'type': 'for_each', 'list': {'var': 'item.x'}, 'do': [" NOTE "]}]", "/actions/0",
         "only steps within a for_each"},
        {"[{'type': 'create_note', 'params': {'text': '{{item.name}}'}}]", "/actions/0/params/text",
         "only steps within a for_each"},
        {"[{'type': 'for_each', 'list': {'var': 'vendors'}, 'do': [{'type': 'wait', 'until': {'event': "
         "'form.submitted', "
         "'timeout': 'P1D', 'where': {'==': [{'var': 'item.name'}, 'x']}}}]}]",
         "/actions/0/do/0", "sees event and wedding only"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct fixture f;

        read_actions(&f, rows[i].actions);
        refused(&f, rows[i].pointer, rows[i].part);
        end(&f);
    }
}
