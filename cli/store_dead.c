/* store_dead: see store_dead.h. */
#include "cli/store_dead.h"

#include "common/base/mem.h"
#include "common/io/db.h"

static const struct id *or_null(const struct id *id)
{
    return id_is_zero(id) ? NULL : id;
}

/* Two parameters: the instant, and the µs to count back from the domain clock. */
static void arg_when(struct db_args *args, const struct input_when *when)
{
    db_arg_time(args, when->given && !when->relative ? when->us : DB_NULL_TIME);
    if (when->given && when->relative)
        db_arg_i64(args, when->us);
    else
        db_arg_null(args);
}

static enum err query(struct db_session *db, const struct db_stmt *stmt, struct db_args *args, struct db_result **out,
                      struct err_info *info)
{
    enum err err = db_query(db, stmt, args, out, info);

    arena_free(args->arena);
    return err;
}

enum err store_dead_show(struct db_session *db, const struct id *tenant, const struct id *job, struct db_result **out,
                         struct err_info *info)
{
    static const struct db_stmt stmt = {
        "dead_show",
        "select d.job_id, d.tenant_id, d.kind, d.queue, d.reason, d.error, d.attempt, d.crashes, d.run_id, d.step,\n"
        "    d.wedding_id, d.effect_key, d.source_entry, d.accepted_at, d.died_at, d.ended_run, d.replays, "
        "d.replayed_as,\n"
        "    d.discarded_at, d.deadline, d.priority, d.payload, d.source_raw\n"
        "from automation.dead_letters d\n"
        "where d.job_id = $1 and ($2::uuid is null or d.tenant_id = $2) order by d.died_at desc limit 1"};
    struct arena arena = {0};
    struct db_args args;

    db_args_init(&args, &arena);
    db_arg_id(&args, job);
    db_arg_id(&args, or_null(tenant));
    return query(db, &stmt, &args, out, info);
}

enum err store_dead_pick(struct db_session *db, const struct store_dead_pick *pick, struct db_result **out,
                         struct err_info *info)
{
    static const struct db_stmt stmt = {
        "dead_pick", "select job_id from automation.dead_letters\n"
                     "where replayed_as is null and discarded_at is null\n"
                     "    and ($1::uuid is null or tenant_id = $1) and ($2::text is null or kind = $2)\n"
                     "    and ($3::text is null or reason = $3)\n"
                     "    and ($4::text is null or position(lower($4) in lower(error)) > 0)\n"
                     "    and ($5::timestamptz is null or died_at >= $5)\n"
                     "    and ($6::int8 is null or died_at >= automation.now() - $6 * interval '1 microsecond')\n"
                     "    and ($7::timestamptz is null or died_at < $7)\n"
                     "    and ($8::int8 is null or died_at < automation.now() - $8 * interval '1 microsecond')\n"
                     "order by died_at, job_id limit $9"};
    struct arena arena = {0};
    struct db_args args;

    db_args_init(&args, &arena);
    db_arg_id(&args, or_null(&pick->tenant));
    db_arg_cstr(&args, pick->kind);
    db_arg_cstr(&args, pick->reason);
    db_arg_cstr(&args, pick->like);
    arg_when(&args, &pick->since);
    arg_when(&args, &pick->until);
    db_arg_i64(&args, pick->limit);
    return query(db, &stmt, &args, out, info);
}

enum err store_dead_replay(struct db_session *db, const struct store_dead_act *act, struct db_result **out,
                           struct err_info *info)
{
    static const struct db_stmt stmt = {"dead_replay",
                                        "select job_id, tenant_id, replay, result from automation_priv.replay_dead($1, "
                                        "$2, $3, $4::int8 * interval '1 microsecond', $5, nullif($6, 0))"};
    struct arena arena = {0};
    struct db_args args;

    db_args_init(&args, &arena);
    db_arg_id(&args, or_null(&act->tenant));
    db_arg_ids(&args, act->jobs, act->n);
    db_arg_cstr(&args, act->by);
    db_arg_i64(&args, act->spread_us);
    db_arg_json(&args, act->filter);
    db_arg_i32(&args, act->most_replays);
    return query(db, &stmt, &args, out, info);
}

enum err store_dead_discard(struct db_session *db, const struct store_dead_act *act, struct db_result **out,
                            struct err_info *info)
{
    static const struct db_stmt stmt = {
        "dead_discard", "select job_id, tenant_id, replay, result from automation_priv.discard_dead($1, $2, $3, $4)"};
    struct arena arena = {0};
    struct db_args args;

    db_args_init(&args, &arena);
    db_arg_id(&args, or_null(&act->tenant));
    db_arg_ids(&args, act->jobs, act->n);
    db_arg_cstr(&args, act->by);
    db_arg_json(&args, act->filter);
    return query(db, &stmt, &args, out, info);
}
