/* advance: when steps are due, and the ids of their jobs. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "common/core/advance.h"

static void expect_due(struct step step, const char *wanted)
{
    const struct rule rule = {.name = "r"};
    json_t *due = advance_due(&rule, &step);
    char *text = due != NULL ? json_dumps(due, JSON_COMPACT | JSON_SORT_KEYS) : NULL;

    if (wanted == NULL)
        cr_expect_null(due);
    else
        cr_expect_str_eq(text != NULL ? text : "(none)", wanted);
    free(text);
    json_decref(due);
}

Test(advance, only_waits_are_due_later)
{
    static const struct {
        struct step step;
        const char *due;
    } cases[] = {
        {{.type = ACTION_SEND_EMAIL, .wait = {.kind = WAIT_DURATION, .duration = {.days = 3}}}, NULL},
        {{.type = ACTION_WAIT, .wait = {.kind = WAIT_DURATION, .duration = {.months = 1, .days = -2, .seconds = 90}}},
         "{\"days\":-2,\"months\":1,\"seconds\":90}"},
        {{.type = ACTION_WAIT, .wait = {.kind = WAIT_EVENT, .duration = {.days = 7}, .event_type = "form.submitted"}},
         "{\"days\":7,\"months\":0,\"seconds\":0}"},
        {{.type = ACTION_WAIT, .wait = {.kind = WAIT_TIME, .at_minute = 9 * 60 + 5}}, "{\"time\":\"09:05\"}"},
        {{.type = ACTION_WAIT,
          .wait = {.kind = WAIT_MILESTONE, .milestone = MILESTONE_CEREMONY, .offset = {.days = -14}, .at_minute = 600}},
         "{\"at\":\"10:00\",\"days\":-14,\"milestone\":\"ceremony\",\"months\":0,\"seconds\":0}"},
        {{.type = ACTION_WAIT,
          .wait = {.kind = WAIT_MILESTONE, .milestone = MILESTONE_CEREMONY, .offset = {.seconds = -3600}, .at_minute = -1}},
         "{\"days\":0,\"milestone\":\"ceremony\",\"months\":0,\"seconds\":-3600}"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_due(cases[i].step, cases[i].due);
}

Test(advance, what_reaches_people_waits_for_its_window)
{
    struct rule rule = {
        .trigger = {.type = TRIGGER_MILESTONE, .milestone = MILESTONE_CEREMONY, .offset = {.days = -1}, .zone = "tenant"},
        .settings.window = {.set = true, .days = 31, .from_minute = 540, .to_minute = 1140},
    };
    const struct step mail = {.type = ACTION_SEND_EMAIL}, urgent = {.type = ACTION_SEND_EMAIL, .urgent = true},
                      task = {.type = ACTION_CREATE_TASK};
    json_t *due = advance_due(&rule, &mail);
    char *text = json_dumps(due, JSON_COMPACT | JSON_SORT_KEYS);

    cr_expect_str_eq(
        text, "{\"window\":{\"days\":31,\"from\":540,\"limit\":\"ceremony\",\"outside\":\"next_open\",\"to\":1140,"
              "\"zone\":\"tenant\"}}");
    cr_expect_null(advance_due(&rule, &urgent));
    cr_expect_null(advance_due(&rule, &task));
    free(text);
    json_decref(due);
    rule.trigger.yearly = 3;
    due = advance_due(&rule, &mail);
    cr_expect(json_is_true(json_object_get(json_object_get(due, "window"), "yearly")), "each year has its own limit");
    json_decref(due);
    rule.trigger.offset.days = 1;
    due = advance_due(&rule, &mail);
    cr_expect_null(json_object_get(json_object_get(due, "window"), "limit"),
                   "after the day there is nothing to be late for");
    json_decref(due);
}

Test(advance, a_jobs_id_follows_from_run_step_and_generation)
{
    struct id run = {{1}}, other = {{2}}, first, ids[5];

    advance_job_id(&run, 0, 0, 1, &first);
    advance_job_id(&run, 0, 0, 1, &ids[0]);
    cr_expect(id_eq(&first, &ids[0]), "planned twice is planned once");
    advance_job_id(&run, 1, 0, 1, &ids[1]);
    advance_job_id(&run, 0, 0, 2, &ids[2]);
    advance_job_id(&run, 11, 0, 1, &ids[3]);
    advance_job_id(&other, 0, 0, 1, &ids[4]);
    for (int i = 0; i < 5; i++) {
        for (int k = i + 1; k < 5; k++)
            cr_expect(!id_eq(&ids[i], &ids[k]), "%d %d", i, k);
    }
}
