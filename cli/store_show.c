/* store_show: see store_show.h. */
#include "cli/store_show.h"

#include "common/base/mem.h"
#include "common/io/db.h"

#define RECENT "interval '31 days'" /* how far back the log is searched for a job of which nothing else is left */

static const struct id *or_null(const struct id *id)
{
    return id_is_zero(id) ? NULL : id;
}

/* Two parameters: the instant, and the µs to count from the domain clock; both null when nothing was given. */
static void arg_when(struct db_args *args, const struct input_when *when)
{
    if (when->given && when->relative)
        db_arg_null(args);
    else
        db_arg_time(args, when->given ? when->us : DB_NULL_TIME);
    if (when->given && when->relative)
        db_arg_i64(args, when->us);
    else
        db_arg_null(args);
}

enum err store_show_enqueue(struct db_session *db, const struct store_enqueue *job, struct db_result **out,
                            struct err_info *info)
{
    static const struct db_stmt stmt = {
        "show_enqueue",
        "select job_id, created, coalesce($3, '00000000-0000-0000-0000-000000000000')\n"
        "from automation.enqueue_job(p_kind => $1, p_payload => $2,\n"
        "    p_tenant => coalesce($3, '00000000-0000-0000-0000-000000000000'),\n"
        "    p_run_at => coalesce($4::timestamptz, automation.now() + $5::int8 * interval '1 microsecond'),\n"
        "    p_deadline => coalesce($6::timestamptz, automation.now() + $7::int8 * interval '1 microsecond'),\n"
        "    p_queue => $8, p_unique_key => $9, p_priority => $10::int8::integer, p_wedding => $11,\n"
        "    p_max_attempts => nullif($12::int8, 0)::integer)"};
    struct arena arena = {0};
    struct db_args args;

    db_args_init(&args, &arena);
    db_arg_cstr(&args, job->kind);
    db_arg_json(&args, job->payload);
    db_arg_id(&args, or_null(&job->tenant));
    arg_when(&args, &job->at);
    arg_when(&args, &job->deadline);
    db_arg_cstr(&args, job->queue);
    db_arg_cstr(&args, job->key);
    db_arg_i64(&args, job->priority);
    db_arg_id(&args, or_null(&job->wedding));
    db_arg_i64(&args, job->max_attempts);
    enum err err = db_query(db, &stmt, &args, out, info);
    arena_free(&arena);
    return err;
}

static enum err query_limit(struct db_session *db, const struct db_stmt *stmt, int64_t limit, struct db_result **out,
                            struct err_info *info)
{
    struct arena arena = {0};
    struct db_args args;

    db_args_init(&args, &arena);
    db_arg_i64(&args, limit);
    enum err err = db_query(db, stmt, &args, out, info);
    arena_free(&arena);
    return err;
}

enum err store_show_queues(struct db_session *db, struct db_result **out, struct err_info *info)
{
    static const struct db_stmt stmt = {
        "show_queues",
        "with names as (\n"
        "    select queue from automation.kinds\n"
        "    union select unnest(string_to_array(queues, ',')) from automation_priv.workers\n"
        "    union select queue from automation_priv.ledger),\n"
        "jobs as (\n"
        "    select l.queue,\n"
        "        count(*) filter (where l.owner is null and l.due_at <= n.t) as due,\n"
        "        count(*) filter (where l.owner is not null) as in_flight,\n"
        "        count(*) filter (where l.owner is null and l.due_at > n.t) as scheduled,\n"
        "        count(*) filter (where l.owner is null and l.due_at is null) as parked,\n"
        "        min(l.due_at) filter (where l.owner is null and l.due_at <= n.t) as oldest, n.t\n"
        "    from automation_priv.ledger l cross join (select automation.now() as t) n group by l.queue, n.t)\n"
        "select q.queue, coalesce(j.due, 0), coalesce(j.in_flight, 0), coalesce(j.scheduled, 0), coalesce(j.parked, "
        "0),\n"
        "    (extract(epoch from j.t - j.oldest) * 1000)::int8\n"
        "from names q left join jobs j using (queue) order by q.queue limit $1"};

    return query_limit(db, &stmt, STORE_SHOW_QUEUES_MAX, out, info);
}

enum err store_show_workers(struct db_session *db, int64_t limit, struct db_result **out, struct err_info *info)
{
    static const struct db_stmt stmt = {
        "show_workers",
        "select w.worker_id, w.name, w.queues, w.started_at,\n"
        "    (extract(epoch from clock_timestamp() - w.beat_at) * 1000)::int8,\n"
        "    w.beat_at > clock_timestamp() - automation_priv.lease(), coalesce(l.n, 0)\n"
        "from automation_priv.workers w\n"
        "left join (select owner, count(*) as n from automation_priv.ledger where owner is not null group by owner) l\n"
        "    on l.owner = w.worker_id\n"
        "order by w.started_at, w.worker_id limit $1"};

    return query_limit(db, &stmt, limit, out, info);
}

enum err store_show_rule_cache(struct db_session *db, struct db_result **out, struct err_info *info)
{
    static const struct db_stmt stmt = {
        "show_rule_cache", "select (array['memory', 'redis', 'postgres'])[level], hits, misses,\n"
                           "    round(100.0 * hits / nullif(hits + misses, 0), 2)::text, skipped, failed, counted_at\n"
                           "from automation_priv.rule_cache order by level"};

    return db_query(db, &stmt, NULL, out, info);
}

static enum err query_id(struct db_session *db, const struct db_stmt *stmt, const struct id *id, struct db_result **out,
                         struct err_info *info)
{
    struct arena arena = {0};
    struct db_args args;

    db_args_init(&args, &arena);
    db_arg_id(&args, id);
    enum err err = db_query(db, stmt, &args, out, info);
    arena_free(&arena);
    return err;
}

enum err store_show_job(struct db_session *db, const struct id *job, struct db_result **out, struct err_info *info)
{
    static const struct db_stmt stmt = {
        "show_job", "select tenant_id, run_id, wedding_id, kind, queue,\n"
                    "    case when owner is not null then 'in flight' when due_at is null then 'parked'\n"
                    "         when due_at <= automation.now() then 'waiting' else 'scheduled' end,\n"
                    "    coalesce(parked_reason, case when due_at is null then 'event ' || wait_event end), due_at, "
                    "claimed_at, owner,\n"
                    "    claim_no, attempt, max_attempts, crashes, snoozes, priority, deadline, unique_key, "
                    "effect_key, replay_of,\n"
                    "    bare_entry, payload, accepted_at\n"
                    "from automation_priv.ledger where job_id = $1"};

    return query_id(db, &stmt, job, out, info);
}

enum err store_show_dead(struct db_session *db, const struct id *job, struct db_result **out, struct err_info *info)
{
    static const struct db_stmt stmt = {
        "show_dead",
        "select tenant_id, run_id, wedding_id, kind, queue, reason, error, died_at, attempt, crashes, effect_key,\n"
        "    replayed_as, discarded_at, source_entry, payload, source_raw, accepted_at\n"
        "from automation.dead_letters where job_id = $1 order by died_at desc limit 1"};

    return query_id(db, &stmt, job, out, info);
}

enum err store_show_attempts(struct db_session *db, const struct id *job, const struct id *tenant, int64_t since_us,
                             struct db_result **out, struct err_info *info)
{
    /* In a subquery the clock is read once, before months are chosen; as it stood it would be read for every row of the log. */
    static const struct db_stmt stmt = {
        "show_attempts",
        "select tenant_id, queued_at, attempt, outcome, started_at, duration_us, worker_id, reason, "
        "error, kind, queue, run_id,\n"
        "    wedding_id\n"
        "from automation.execution_logs\n"
        "where job_id = $1 and ($2::uuid is null or tenant_id = $2)\n"
        "    and queued_at >= coalesce($3, (select least(automation.now(), clock_timestamp()) - " RECENT "))\n"
        "order by queued_at, attempt limit $4"};
    struct arena arena = {0};
    struct db_args args;

    db_args_init(&args, &arena);
    db_arg_id(&args, job);
    db_arg_id(&args, or_null(tenant));
    db_arg_time(&args, since_us);
    db_arg_i64(&args, STORE_SHOW_ATTEMPTS_MAX);
    enum err err = db_query(db, &stmt, &args, out, info);
    arena_free(&arena);
    return err;
}

enum err store_show_run(struct db_session *db, const struct id *run, struct db_result **out, struct err_info *info)
{
    static const struct db_stmt stmt = {
        "show_run",
        "select r.tenant_id, r.rule_id, r.rule_revision, u.name, r.wedding_id, r.trigger_type, r.trigger_ref, "
        "r.generation,\n"
        "    r.state, r.reason, r.due_at, r.started_at, r.finished_at, r.failed_steps, r.acted, r.context\n"
        "from automation.runs r left join automation.rules u on u.tenant_id = r.tenant_id and u.rule_id = r.rule_id\n"
        "where r.run_id = $1 limit 1"};

    return query_id(db, &stmt, run, out, info);
}

enum err store_show_steps(struct db_session *db, const struct id *tenant, const struct id *run,
                          const struct id *wedding, int64_t started_us, struct db_result **out, struct err_info *info)
{
    static const struct db_stmt stmt = {
        "show_steps",
        "select * from (\n"
        "select step, kind, attempt, outcome, null::text, queued_at as at, duration_us, job_id, reason, error\n"
        "from automation.execution_logs\n"
        "where tenant_id = $1 and run_id = $2 and queued_at >= $4::timestamptz\n"
        "union all\n"
        "select step, kind, attempt, null, case when owner is not null then 'in flight' when due_at is null then "
        "'parked'\n"
        "    when due_at <= automation.now() then 'waiting' else 'scheduled' end, due_at, null, job_id,\n"
        "    coalesce(parked_reason, 'event ' || wait_event), null\n"
        "from automation_priv.ledger\n"
        "where tenant_id = $1 and run_id = $2 and (wedding_id = $3 or ($3::uuid is null and wedding_id is null))\n"
        ") s order by s.outcome is null, s.at, s.step, s.attempt limit $5"};
    struct arena arena = {0};
    struct db_args args;

    db_args_init(&args, &arena);
    db_arg_id(&args, tenant);
    db_arg_id(&args, run);
    db_arg_id(&args, or_null(wedding));
    db_arg_time(&args, started_us);
    db_arg_i64(&args, STORE_SHOW_STEPS_MAX);
    enum err err = db_query(db, &stmt, &args, out, info);
    arena_free(&arena);
    return err;
}

enum err store_show_dead_list(struct db_session *db, const struct store_dead_filter *filter, struct db_result **out,
                              struct err_info *info)
{
    static const struct db_stmt stmt = {
        "show_dead_list",
        "select died_at, job_id, tenant_id, kind, queue, reason, error, attempt, crashes, run_id, replayed_as, "
        "discarded_at\n"
        "from automation.dead_letters d\n"
        "where ($1::uuid is null or tenant_id = $1) and ($2::text is null or kind = $2)\n"
        "    and ($3::text is null or reason = $3)\n"
        "    and ($4::timestamptz is null or died_at >= $4)\n"
        "    and ($5::int8 is null or died_at >= automation.now() - $5 * interval '1 microsecond')\n"
        "    and ($6::timestamptz is null or died_at < $6)\n"
        "    and ($7::int8 is null or died_at < automation.now() - $7 * interval '1 microsecond')\n"
        "    and ($8::text is null or position(lower($8) in lower(error)) > 0)\n"
        "    and ($9::uuid is null or (died_at, job_id) < (select a.died_at, a.job_id from automation.dead_letters a\n"
        "        where a.job_id = $9 and ($1 is null or a.tenant_id = $1)))\n"
        "order by died_at desc, job_id desc limit $10"};
    struct arena arena = {0};
    struct db_args args;

    db_args_init(&args, &arena);
    db_arg_id(&args, or_null(&filter->tenant));
    db_arg_cstr(&args, filter->kind);
    db_arg_cstr(&args, filter->reason);
    arg_when(&args, &filter->since);
    arg_when(&args, &filter->until);
    db_arg_cstr(&args, filter->like);
    db_arg_id(&args, or_null(&filter->after));
    db_arg_i64(&args, filter->limit);
    enum err err = db_query(db, &stmt, &args, out, info);
    arena_free(&arena);
    return err;
}

enum err store_show_audit(struct db_session *db, const struct id *tenant, int64_t limit, struct db_result **out,
                          struct err_info *info)
{
    static const struct db_stmt stmt = {
        "show_audit",
        "with a as materialized (select * from automation_priv.audit($1)),\n"
        "wide as (\n"
        "    (select null::uuid as tenant_id, null::date as day, sum(accepted) as accepted, sum(done) as done,\n"
        "        sum(dead) as dead, sum(cancelled) as cancelled, sum(superseded) as superseded, sum(skipped) as "
        "skipped,\n"
        "        sum(in_flight) as in_flight, sum(waiting) as waiting, sum(unaccounted) as unaccounted,\n"
        "        sum(abs(unaccounted)) as off, count(*) as n, 0 as part from a)\n"
        "    union all\n"
        "    (select tenant_id, day, accepted, done, dead, cancelled, superseded, skipped, in_flight, waiting, "
        "unaccounted,\n"
        "        abs(unaccounted), 1, 1 from a order by unaccounted = 0, day desc, tenant_id limit $2))\n"
        "select tenant_id, day::text, coalesce(accepted, 0)::int8, coalesce(done, 0)::int8, coalesce(dead, 0)::int8,\n"
        "    coalesce(cancelled, 0)::int8, coalesce(superseded, 0)::int8, coalesce(skipped, 0)::int8,\n"
        "    coalesce(in_flight, 0)::int8, coalesce(waiting, 0)::int8, coalesce(unaccounted, 0)::int8, coalesce(off, "
        "0)::int8, n\n"
        "from wide order by part, unaccounted = 0, day desc, tenant_id"};
    struct arena arena = {0};
    struct db_args args;

    db_args_init(&args, &arena);
    db_arg_id(&args, or_null(tenant));
    db_arg_i64(&args, limit);
    enum err err = db_query(db, &stmt, &args, out, info);
    arena_free(&arena);
    return err;
}
