/* settle: what a settling transaction is told of a job, and its row of the log. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "common/core/advance.h"
#include "common/io/db.h"
#include "common/io/loop.h"
#include "common/io/store_jobs.h"
#include "workers/exec.h"
#include "workers/settle.h"
#include "workers/worker.h"

static struct worker worker;

static void set_up(void)
{
    worker = (struct worker){0};
    for (int i = 0; i < JOB_STATES; i++)
        list_init(&worker.jobs[i]);
    list_init(&worker.spare_jobs);
}

TestSuite(settle, .init = set_up);

static struct job *a_job(uint8_t n)
{
    struct job *job = job_new(&worker);

    job->job_id = (struct id){{n}};
    job->claim_no = 3;
    job->attempt = 2;
    job->kind_name = "noop";
    job->queue = "default";
    job->queued_at_us = 1000;
    job->settled = SETTLED_HIT;
    return job;
}

static void expect_json(struct job *const *jobs, size_t n, const char *wanted)
{
    struct buf out = {0};

    settle_json(jobs, n, &out);
    json_t *parsed = json_loadb(out.data, out.len, 0, NULL);
    cr_expect_not_null(parsed, "%s", buf_text(&out));
    cr_expect_str_eq(buf_text(&out), wanted);
    json_decref(parsed);
    buf_free(&out);
}

#define ID1 "01000000-0000-0000-0000-000000000000"

Test(settle, each_ending_has_its_element)
{
    static const struct {
        struct job_result result;
        const char *json;
    } cases[] = {
        {{.settle = SETTLE_FINAL, .outcome = OUTCOME_DONE, .next = PROGRAM_END},
         "[{\"j\":\"" ID1 "\",\"c\":3,\"a\":\"final\",\"o\":\"done\"}]"},
        {{.settle = SETTLE_FINAL, .outcome = OUTCOME_DEAD, .reason = "drill", .error = "a \"b\"\n", .next = PROGRAM_END},
         "[{\"j\":\"" ID1
         "\",\"c\":3,\"a\":\"final\",\"o\":\"dead\",\"reason\":\"drill\",\"error\":\"a \\\"b\\\"\\n\"}]"},
        {{.settle = SETTLE_RETRY, .outcome = OUTCOME_FAILED, .delay_ms = 1500, .next = PROGRAM_END},
         "[{\"j\":\"" ID1 "\",\"c\":3,\"a\":\"retry\",\"in_ms\":1500}]"},
        {{.settle = SETTLE_SNOOZE,
          .outcome = OUTCOME_SNOOZED,
          .delay_ms = 600000,
          .reason = "unknown_kind",
          .next = PROGRAM_END},
         "[{\"j\":\"" ID1 "\",\"c\":3,\"a\":\"snooze\",\"in_ms\":600000,\"reason\":\"unknown_kind\"}]"},
        {{.settle = SETTLE_PARK, .outcome = OUTCOME_PARKED, .reason = "unknown_outcome", .next = PROGRAM_END},
         "[{\"j\":\"" ID1 "\",\"c\":3,\"a\":\"park\",\"reason\":\"unknown_outcome\"}]"},
        {{.settle = SETTLE_RELEASE, .outcome = OUTCOME_SNOOZED, .next = PROGRAM_END},
         "[{\"j\":\"" ID1 "\",\"c\":3,\"a\":\"release\"}]"},
    };
    struct job *job = a_job(1);

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        job->result = cases[i].result;
        expect_json(&job, 1, cases[i].json);
    }
    job_free(job);
}

/* ---- steps of rules ---- */

static struct rule_ref *a_rule(void)
{
    static const char text[] =
        "{\"schema_version\":1,\"name\":\"n\",\"trigger\":{\"type\":\"event\",\"event\":\"form.submitted\"},"
        "\"actions\":["
        "{\"type\":\"create_task\",\"params\":{\"title\":\"t\"}},"
        "{\"type\":\"wait\",\"until\":{\"event\":\"form.submitted\",\"timeout\":\"P2D\"}},{\"type\":\"stop\"}]}";
    struct err_info info = {0};
    struct rule_ref *ref = rules_get(&worker.rules, &(struct id){{9}}, 1, str_of(text), &info);

    cr_assert_not_null(ref, "%s", info.text);
    return ref;
}

static struct job *a_step(int step)
{
    struct job *job = a_job(1);

    job->run = (struct id){{5}};
    job->generation = 1;
    job->rule = a_rule();
    job->step_no = step;
    job->step = program_step(&job->rule->rule->program, step);
    return job;
}

static void end(struct job *job)
{
    job_free(job);
    rules_free(&worker.rules);
}

Test(settle, a_finished_step_patches_its_run_and_plans_the_next)
{
    struct job *job = a_step(0);
    struct id next;
    char id[ID_TEXT_SIZE], wanted[1024];

    advance_job_id(&job->run, 1, 0, 1, &next);
    job->result = (struct job_result){.settle = SETTLE_FINAL,
                                      .outcome = OUTCOME_DONE,
                                      .next = 1,
                                      .effect = json_pack("{s:s}", "op", "create_task"),
                                      .output = json_pack("{s:i}", "code", 7)};
    snprintf(wanted, sizeof(wanted),
             "[{\"j\":\"" ID1 "\",\"c\":3,\"a\":\"final\",\"o\":\"done\",\"effect\":{\"op\":\"create_task\"},"
             "\"run_patch\":{\"failed\":0,\"steps\":{\"s1\":{\"code\":7}}},"
             "\"next\":[{\"job\":\"%s\",\"step\":1,\"kind\":\"wait\",\"due\":{\"days\":2,\"months\":0,\"seconds\":0},"
             "\"event\":\"form.submitted\"}]}]",
             id_format(&next, id));
    expect_json(&job, 1, wanted);
    end(job);
}

Test(settle, a_run_that_ends_plans_nothing)
{
    struct job *job = a_step(0);

    job->acted = true;
    job->result = (struct job_result){.settle = SETTLE_FINAL,
                                      .outcome = OUTCOME_DEAD,
                                      .next = 1,
                                      .failed_step = true,
                                      .run_state = "failed",
                                      .run_reason = "step_failed"};
    expect_json(&job, 1,
                "[{\"j\":\"" ID1 "\",\"c\":3,\"a\":\"final\",\"o\":\"dead\",\"run_patch\":{\"failed\":1,\"acted\":true,"
                "\"state\":\"failed\",\"reason\":\"step_failed\"}}]");
    job->result = (struct job_result){.settle = SETTLE_RELEASE, .next = PROGRAM_END};
    expect_json(&job, 1, "[{\"j\":\"" ID1 "\",\"c\":3,\"a\":\"release\"}]");
    end(job);
}

/* ---- the log ---- */

Test(settle, what_is_logged)
{
    static const struct {
        enum job_settled settled;
        enum job_settle settle;
        bool acted;
        bool logged;
    } cases[] = {
        {SETTLED_HIT, SETTLE_FINAL, false, true},    {SETTLED_HIT, SETTLE_RETRY, false, true},
        {SETTLED_HIT, SETTLE_PARK, true, true},      {SETTLED_HIT, SETTLE_SNOOZE, false, false},
        {SETTLED_HIT, SETTLE_RELEASE, false, false}, {SETTLED_LOST, SETTLE_FINAL, false, false},
        {SETTLED_LOST, SETTLE_FINAL, true, true},    {SETTLED_WITHDRAWN, SETTLE_FINAL, true, false},
        {SETTLED_BUSY, SETTLE_FINAL, true, false},   {SETTLED_REFUSED, SETTLE_FINAL, true, false},
    };
    struct job *job = a_job(1);

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct store_log row = {0};
        job->settled = cases[i].settled;
        job->acted = cases[i].acted;
        job->result = (struct job_result){.settle = cases[i].settle, .outcome = OUTCOME_DONE};
        cr_expect_eq(settle_log(job, &row), cases[i].logged, "case %zu", i);
        if (cases[i].logged)
            cr_expect_eq(row.outcome, cases[i].settled == SETTLED_LOST ? OUTCOME_LOST_LEASE : OUTCOME_DONE);
    }
    job_free(job);
}

static struct store_log row_of(const struct job *job)
{
    struct store_log row;

    cr_assert(settle_log(job, &row));
    return row;
}

Test(settle, the_log_key_follows_from_job_and_claim_or_is_the_entrys)
{
    struct job *job = a_job(1);

    job->result = (struct job_result){.settle = SETTLE_FINAL, .outcome = OUTCOME_DONE};
    job->acted = true;
    const struct store_log first = row_of(job);
    cr_expect_eq(first.queued_at_us, 1000);
    cr_expect_eq(first.step, -1);
    cr_expect_eq(first.started_at_us, DB_NULL_TIME, "it never ran");
    struct store_log again = row_of(job);
    cr_expect(id_eq(&first.execution_id, &again.execution_id));
    job->claim_no = 4;
    again = row_of(job);
    cr_expect(!id_eq(&first.execution_id, &again.execution_id), "another claim is another row");
    job->claim_no = 3;
    job->has_bare_key = true;
    job->bare_id = (struct id){{7}};
    job->bare_at_us = 5;
    again = row_of(job);
    cr_expect(id_eq(&again.execution_id, &job->bare_id));
    cr_expect_eq(again.queued_at_us, 5);
    job->settled = SETTLED_LOST;
    again = row_of(job);
    cr_expect(id_eq(&first.execution_id, &again.execution_id), "the entry's key is its winner's");
    job_free(job);
}

Test(settle, a_refused_effect_is_tried_again_unless_its_value_is_at_fault)
{
    /* Ending a job kicks the worker: a timer that is running already is all it needs. */
    static const struct {
        char text[32];
        int attempt;
        enum job_settle settle;
        const char *reason;
    } cases[] = {{"effect:22023:no", 1, SETTLE_FINAL, "effect_refused"},
                 {"effect:23514:no", 1, SETTLE_FINAL, "effect_refused"},
                 {"effect:40001:later", 1, SETTLE_RETRY, "effect_failed"},
                 {"effect:40001:later", 8, SETTLE_FINAL, "exhausted"}};

    worker.loop = loop_new();
    worker.kick = timer_new(worker.loop, NULL, NULL);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct job *job = a_job(1);
        job->max_attempts = 8;
        job->attempt = cases[i].attempt;
        job->settled_text = cases[i].text;
        job_move(job, JOB_SETTLING);
        settle_refused(job);
        cr_expect_eq(job->state, JOB_EXECUTED);
        cr_expect_eq(job->result.settle, cases[i].settle, "%s", cases[i].text);
        cr_expect_str_eq(job->result.reason, cases[i].reason);
        job_free(job);
    }
    timer_free(worker.kick);
    loop_free(worker.loop);
}
