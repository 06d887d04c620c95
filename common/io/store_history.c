/* store_history: pages of the execution log (store_query.h). */
#include "common/io/store_query.h"

#include <stdio.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/core/key.h"

#define COLUMNS                                                                                                        \
    "e.queued_at, e.execution_id, e.tenant_id, e.job_id, e.run_id, e.rule_id, e.wedding_id, e.kind, e.queue, e.step, " \
    "e.attempt, e.outcome, e.started_at, e.duration_us, e.reason, e.error"
/* $1 from, $2 to, ($3, $4) the last row of the page before, $5 limit, $6 kind. The comparison of pairs does not prune months, so
 * its first half stands there twice. */
#define FROM_PAGE                                                                                                      \
    "select " COLUMNS "\nfrom automation.execution_logs e\n"                                                           \
    "where e.queued_at >= $1 and e.queued_at < $2 and e.queued_at <= $3 and (e.queued_at, e.execution_id) < ($3, "     \
    "$4)\n"                                                                                                            \
    "    and ($6::text is null or e.kind = $6) and "
#define NEWEST_FIRST "\norder by e.queued_at desc, e.execution_id desc limit $5"
#define FAILED "e.outcome in (1, 2, 7, 8)" /* as the index says it */

static void args_page(struct db_args *a, struct arena *arena, const struct store_page *page)
{
    bool first = page->after_us == DB_NULL_TIME;
    struct id last;

    memset(&last, 0xff, sizeof(last));
    db_args_init(a, arena);
    db_arg_time(a, page->from_us);
    db_arg_time(a, page->to_us);
    db_arg_time(a, first ? page->to_us : page->after_us);
    db_arg_id(a, first ? &last : &page->after);
    db_arg_i64(a, store_query_limit(page->limit));
    db_arg_cstr(a, page->kind);
}

enum err store_history_list(struct db_session *s, const struct id *tenant, const struct store_page *page,
                            struct db_result **out, struct err_info *info)
{
    static const struct db_stmt stmt = {"history_list", FROM_PAGE "e.tenant_id = $7" NEWEST_FIRST};
    struct arena arena = {0};
    struct db_args a;

    args_page(&a, &arena, page);
    db_arg_id(&a, tenant);
    return store_query_run(s, &stmt, &a, out, info);
}

enum err store_history_rule(struct db_session *s, const struct id *tenant, const struct id *rule,
                            const struct store_page *page, struct db_result **out, struct err_info *info)
{
    static const struct db_stmt stmt = {"history_rule", FROM_PAGE "e.tenant_id = $7 and e.rule_id = $8" NEWEST_FIRST};
    struct arena arena = {0};
    struct db_args a;

    args_page(&a, &arena, page);
    db_arg_id(&a, tenant);
    db_arg_id(&a, rule);
    return store_query_run(s, &stmt, &a, out, info);
}

enum err store_history_failures(struct db_session *s, const struct id *tenant, const struct store_page *page,
                                struct db_result **out, struct err_info *info)
{
    static const struct db_stmt stmt = {"history_failures", FROM_PAGE "e.tenant_id = $7 and " FAILED NEWEST_FIRST};
    struct arena arena = {0};
    struct db_args a;

    args_page(&a, &arena, page);
    db_arg_id(&a, tenant);
    return store_query_run(s, &stmt, &a, out, info);
}

enum err store_history_failures_all(struct db_session *s, const struct store_page *page, struct db_result **out,
                                    struct err_info *info)
{
    static const struct db_stmt stmt = {"history_failures_all", FROM_PAGE FAILED NEWEST_FIRST};
    struct arena arena = {0};
    struct db_args a;

    args_page(&a, &arena, page);
    return store_query_run(s, &stmt, &a, out, info);
}

enum err store_history_run(struct db_session *s, const struct id *tenant, const struct id *run, struct db_result **out,
                           struct err_info *info)
{
    /* A run's first claim follows its start by machine or domain time; a replay may follow its end. */
    static const struct db_stmt stmt = {
        "history_run", "select " COLUMNS "\nfrom automation.runs r\n"
                       "join automation.execution_logs e on e.tenant_id = r.tenant_id and e.rule_id = r.rule_id\n"
                       "    and e.run_id = r.run_id and e.queued_at >= r.started_at - interval '1 minute'\n"
                       "where r.tenant_id = $1 and r.run_id = $2 and e.tenant_id = $1 and e.rule_id is not null\n"
                       "order by e.queued_at, e.execution_id limit $3"};
    struct arena arena = {0};
    struct db_args a;

    db_args_init(&a, &arena);
    db_arg_id(&a, tenant);
    db_arg_id(&a, run);
    db_arg_i64(&a, STORE_PAGE_MAX);
    return store_query_run(s, &stmt, &a, out, info);
}

/* A bare entry's key is its job's id; a claim's is derived from the job and the claim's number. */
static void keys_of(const struct id *job, struct id keys[STORE_CLAIMS_MAX + 1])
{
    char text[ID_TEXT_SIZE], claim[16];

    keys[0] = *job;
    id_format(job, text);
    for (int i = 1; i <= STORE_CLAIMS_MAX; i++) {
        snprintf(claim, sizeof(claim), "%d", i);
        struct str parts[] = {str_of(text), str_of(claim)};
        key_derive(&keys[i], "attempt", parts, 2);
    }
}

enum err store_history_job(struct db_session *s, const struct id *tenant, const struct id *job, int64_t from_us,
                           int64_t to_us, struct db_result **out, struct err_info *info)
{
    /* The keys of the range come from the index; `offset 0` keeps the list of keys from being searched for each by itself. */
    static const struct db_stmt stmt = {
        "history_job", "with keys as materialized (\n"
                       "    select x.queued_at, x.execution_id from (select l.queued_at, l.execution_id from "
                       "automation.execution_logs l\n"
                       "        where l.tenant_id = $1 and l.queued_at >= $3 and l.queued_at < $4 offset 0) x\n"
                       "    where x.execution_id in (select k from unnest($5::uuid[]) k) limit $6)\n"
                       "select " COLUMNS "\nfrom keys k join automation.execution_logs e on e.queued_at = k.queued_at\n"
                       "    and e.execution_id = k.execution_id\n"
                       "where e.tenant_id = $1 and e.job_id = $2 and e.queued_at >= $3 and e.queued_at < $4\n"
                       "order by e.queued_at, e.execution_id"};
    struct id keys[STORE_CLAIMS_MAX + 1];
    struct arena arena = {0};
    struct db_args a;

    keys_of(job, keys);
    db_args_init(&a, &arena);
    db_arg_id(&a, tenant);
    db_arg_id(&a, job);
    db_arg_time(&a, from_us);
    db_arg_time(&a, to_us);
    db_arg_ids(&a, keys, STORE_CLAIMS_MAX + 1);
    db_arg_i64(&a, STORE_PAGE_MAX);
    return store_query_run(s, &stmt, &a, out, info);
}
