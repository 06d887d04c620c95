/* queue_limit: see queue_limit.h. A child has two threads, each with one connection to either store, which work serially: while one waits
 * for its fsync the other one reads. */
#include "tests/bench/queue_limit.h"

#include <endian.h>
#include <hiredis/hiredis.h>
#include <libpq-fe.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/core/adoption.h"
#include "common/core/envelope.h"
#include "common/core/key.h"
#include "common/io/queue.h"
#include "common/io/store_jobs.h"
#include "common/io/store_rollup.h"
#include "tests/bench/queue_env.h"

#define THREADS 2
#define ADMIT_BATCH 4000
#define PG_BINARY 1
#define COPY_LOG                                                                                                       \
    "copy automation.execution_logs (tenant_id, queued_at, execution_id, job_id, run_id, rule_id, wedding_id, "        \
    "worker_id, rule_revision, due_at, started_at, duration_us, step, attempt, outcome, kind, queue, reason, error, "  \
    "detail) from stdin (format binary)"

struct row {
    struct store_log log;
    char kind[16];
};

struct thread {
    pthread_t id;
    pthread_barrier_t *ready;
    enum queue_limit what;
    size_t batch, n;
    struct id worker;
    redisContext *redis;
    PGconn *pg;
    struct row *rows;
    struct buf copy;
    struct store_rollup rollup;
};

static void fail(const char *where, const char *why)
{
    (void)fprintf(stderr, "bench_queue limit: %s: %s\n", where, why);
    _exit(1);
}

/* ---- the stores ---- */

static void pg_check(PGconn *pg, PGresult *r, ExecStatusType want, const char *where)
{
    if (PQresultStatus(r) != want)
        fail(where, PQerrorMessage(pg));
}

static void pg_run(PGconn *pg, const char *sql)
{
    PGresult *r = PQexec(pg, sql);

    pg_check(pg, r, PGRES_COMMAND_OK, sql);
    PQclear(r);
}

static void pg_prepare(PGconn *pg, const char *name, const char *sql)
{
    PGresult *r = PQprepare(pg, name, sql, 0, NULL);

    pg_check(pg, r, PGRES_COMMAND_OK, name);
    PQclear(r);
}

static PGresult *pg_ask(PGconn *pg, const char *name, const struct db_args *a)
{
    int formats[DB_MAX_ARGS];
    PGresult *r;

    for (int i = 0; i < a->n; i++)
        formats[i] = PG_BINARY;
    r = PQexecPrepared(pg, name, a->n, a->values, a->lengths, formats, PG_BINARY);
    pg_check(pg, r, PQnfields(r) > 0 ? PGRES_TUPLES_OK : PGRES_COMMAND_OK, name);
    return r;
}

static void pg_copy(PGconn *pg, const char *sql, const struct buf *data)
{
    PGresult *r = PQexec(pg, sql);

    pg_check(pg, r, PGRES_COPY_IN, sql);
    PQclear(r);
    if (PQputCopyData(pg, data->data, (int)data->len) != 1 || PQputCopyEnd(pg, NULL) != 1)
        fail("copy", PQerrorMessage(pg));
    while ((r = PQgetResult(pg)) != NULL) {
        pg_check(pg, r, PGRES_COMMAND_OK, "copy");
        PQclear(r);
    }
}

static const char *const statements[][2] = {
    {"claim_jobs",
     "select job_id, tenant_id, run_id, wedding_id, rule_id, effect_key, bare_id, claimed_at, due_at, deadline, "
     "bare_at,"
     " rule_revision, timeout_ms, claim_no, step, attempt, max_attempts, crashes, generation, kind, queue, payload, "
     "verdict,"
     " wake, definition, context, facts, snoozes from automation_priv.claim_jobs($1::uuid, $2::uuid[], '{}', false)"},
    {"settle_done", "select job_id, result from automation_priv.settle_done($1::uuid, $2::uuid[], $3::int4[])"},
    {"claim_least", "update automation_priv.ledger l set owner = $1, claim_no = claim_no + 1, claimed_at = now() where "
                    "job_id = any ($2) and"
                    " owner is null returning job_id, tenant_id, run_id, wedding_id, null::uuid, effect_key, bare_id, "
                    "claimed_at, due_at,"
                    " deadline, bare_at, null::int8, timeout_ms, claim_no, step, attempt, max_attempts, crashes, 0, "
                    "kind, queue, payload"},
    {"settle_least",
     "with gone as (delete from automation_priv.ledger where job_id = any ($2) and owner = $1 and claim_no = 1"
     " returning tenant_id, accepted_day), counted as (insert into automation_priv.job_deltas"
     " select tenant_id, accepted_day, 'done', count(*) from gone group by 1, 2) select count(*) from gone"},
    {"due_jobs",
     "select job_id, claim_no from automation_priv.ledger where queue = 'default' and due_at <= now() and owner is"
     " null and job_id > $1 order by job_id limit 4000"},
};

static void open_stores(struct thread *t)
{
    const struct timeval patience = {30, 0};

    t->redis = redisConnectUnix(strncmp(queue_env.redis.url, "unix://", 7) == 0 ? queue_env.redis.url + 7 : "");
    if (t->redis == NULL || t->redis->err)
        fail("redis", "no connection");
    redisSetTimeout(t->redis, patience);
    t->pg = PQconnectdb(queue_env.pg.url);
    if (PQstatus(t->pg) != CONNECTION_OK)
        fail("postgresql", PQerrorMessage(t->pg));
    pg_run(t->pg, "set timezone = 'UTC'");
    pg_prepare(t->pg, store_rollup_stmt.name, store_rollup_stmt.sql);
    for (size_t i = 0; t->what >= QUEUE_LIMIT_LEDGER && i < sizeof(statements) / sizeof(statements[0]); i++)
        pg_prepare(t->pg, statements[i][0], statements[i][1]);
}

/* ---- entries ---- */

struct entries {
    redisReply *reply;
    redisReply **items;
    size_t n;
};

static redisReply *redis_reply(struct thread *t)
{
    void *reply = NULL;

    if (redisGetReply(t->redis, &reply) != REDIS_OK || ((redisReply *)reply)->type == REDIS_REPLY_ERROR)
        fail("redis", reply != NULL ? ((redisReply *)reply)->str : t->redis->errstr);
    return reply;
}

static void append_ack(struct thread *t, const char *key, const struct entries *e)
{
    const char **argv;
    size_t *lengths;

    if (e->n == 0)
        return;
    argv = mem_alloc((e->n + 3) * sizeof(*argv));
    lengths = mem_alloc((e->n + 3) * sizeof(*lengths));
    argv[0] = "XACK", lengths[0] = 4;
    argv[1] = key, lengths[1] = strlen(key);
    argv[2] = "workers", lengths[2] = 7;
    for (size_t i = 0; i < e->n; i++) {
        argv[i + 3] = e->items[i]->element[0]->str;
        lengths[i + 3] = (size_t)e->items[i]->element[0]->len;
    }
    redisAppendCommandArgv(t->redis, (int)e->n + 3, argv, lengths);
    mem_free(argv);
    mem_free(lengths);
}

/* Acknowledges the entries of the last batch and reads the next one, in one round trip. False: there are no more. */
static bool next_entries(struct thread *t, const char *key, struct entries *e, size_t block_ms)
{
    char name[ID_TEXT_SIZE];
    bool acks = e->n > 0;

    append_ack(t, key, e);
    if (block_ms > 0)
        redisAppendCommand(t->redis, "XREADGROUP GROUP workers %s COUNT %d BLOCK %d STREAMS %s >",
                           id_format(&t->worker, name), (int)t->batch, (int)block_ms, key);
    else
        redisAppendCommand(t->redis, "XREADGROUP GROUP workers %s COUNT %d STREAMS %s >", id_format(&t->worker, name),
                           (int)t->batch, key);
    if (acks)
        freeReplyObject(redis_reply(t));
    if (e->reply != NULL)
        freeReplyObject(e->reply);
    *e = (struct entries){.reply = redis_reply(t)};
    if (e->reply->type == REDIS_REPLY_ARRAY && e->reply->elements == 1) {
        e->items = e->reply->element[0]->element[1]->element;
        e->n = e->reply->element[0]->element[1]->elements;
    }
    return e->n > 0;
}

/* ---- rows of the log ---- */

static void row_of_entry(const struct thread *t, const redisReply *item, struct row *row)
{
    const redisReply *f = item->element[1];
    struct str fields[2 * ENVELOPE_FIELDS_MAX];
    struct queue_id id = {0};

    for (size_t i = 0; i < f->elements; i++)
        fields[i] = (struct str){f->element[i]->str, (size_t)f->element[i]->len};
    if (queue_id_parse(str_of(item->element[0]->str), &id) != ERR_OK)
        fail("entry", "no id");
    row->log = (struct store_log){.worker_id = t->worker,
                                  .due_at_us = DB_NULL_TIME,
                                  .step = -1,
                                  .attempt = 1,
                                  .outcome = OUTCOME_DONE,
                                  .queue = "default",
                                  .kind = row->kind};
    for (size_t i = 0; i + 1 < f->elements; i += 2) {
        if (str_is(fields[i], "tenant") && id_parse(fields[i + 1], &row->log.tenant_id) != ERR_OK)
            fail("entry", "no tenant's id");
        if (str_is(fields[i], "kind"))
            (void)str_copy_n(row->kind, sizeof(row->kind), fields[i + 1].p, fields[i + 1].n);
    }
    row->log.queued_at_us = adoption_time_us(id.ms);
    row->log.started_at_us = clock_wall_us();
    envelope_log_id(STR(QUEUE_ENV_IN), str_of(item->element[0]->str), fields, f->elements, &row->log.execution_id);
    row->log.job_id = row->log.execution_id;
}

static int by_key(const void *a, const void *b)
{
    return store_log_cmp(a, b); /* `log` is the first member */
}

static void copy_rows(struct thread *t, size_t n, const char *copy)
{
    qsort(t->rows, n, sizeof(*t->rows), by_key);
    buf_reset(&t->copy);
    db_copy_begin(&t->copy);
    for (size_t i = 0; i < n; i++) {
        t->rows[i].log.kind = t->rows[i].kind; /* the row has moved */
        store_log_row(&t->copy, &t->rows[i].log, NULL);
    }
    db_copy_end(&t->copy);
    pg_copy(t->pg, copy, &t->copy);
}

/* The rows' counts, which belong to the same transaction. */
static void count_rows(struct thread *t, size_t n)
{
    struct arena arena = {0};
    struct db_args a;

    store_rollup_clear(&t->rollup);
    for (size_t i = 0; i < n; i++)
        store_rollup_add(&t->rollup, &t->rows[i].log);
    store_rollup_args(&t->rollup, &arena, &a);
    PQclear(pg_ask(t->pg, store_rollup_stmt.name, &a));
    arena_free(&arena);
}

/* ---- the loops ---- */

static void run_direct(struct thread *t)
{
    struct entries e = {0};

    while (next_entries(t, QUEUE_ENV_IN, &e, 0)) {
        if (t->what == QUEUE_LIMIT_READ_ACK)
            continue;
        for (size_t i = 0; i < e.n; i++)
            row_of_entry(t, e.items[i], &t->rows[i]);
        copy_rows(t, e.n, "begin; " COPY_LOG);
        count_rows(t, e.n);
        pg_run(t->pg, "commit");
    }
}

static void run_copy(struct thread *t)
{
    const int64_t now_us = clock_wall_us();

    for (size_t done = 0; done < t->n / THREADS; done += t->batch) {
        for (size_t i = 0; i < t->batch; i++) {
            struct row *row = &t->rows[i];
            row->log = (struct store_log){.tenant_id = queue_env_tenant(i),
                                          .worker_id = t->worker,
                                          .due_at_us = DB_NULL_TIME,
                                          .queued_at_us = now_us,
                                          .started_at_us = now_us,
                                          .step = -1,
                                          .attempt = 1,
                                          .outcome = OUTCOME_DONE,
                                          .queue = "default"};
            id_new(&row->log.execution_id);
            row->log.job_id = row->log.execution_id;
            queue_env_kind(i, row->kind);
        }
        copy_rows(t, t->batch, COPY_LOG);
    }
}

static struct id id_at(const PGresult *r, int row, int col)
{
    struct id id;

    memcpy(id.b, PQgetvalue(r, row, col), sizeof(id.b));
    return id;
}

/* timestamptz: microseconds since 2000. */
static int64_t time_at(const PGresult *r, int row, int col)
{
    uint64_t us;

    memcpy(&us, PQgetvalue(r, row, col), sizeof(us));
    return (int64_t)be64toh(us) + INT64_C(946684800000000);
}

static void rows_of_claimed(struct thread *t, const PGresult *r)
{
    for (int i = 0; i < PQntuples(r); i++) {
        struct row *row = &t->rows[i];
        char job[ID_TEXT_SIZE];
        row->log = (struct store_log){.job_id = id_at(r, i, 0),
                                      .tenant_id = id_at(r, i, 1),
                                      .worker_id = t->worker,
                                      .queued_at_us = time_at(r, i, 7),
                                      .due_at_us = time_at(r, i, 8),
                                      .attempt = 1,
                                      .started_at_us = time_at(r, i, 7),
                                      .step = -1,
                                      .outcome = OUTCOME_DONE,
                                      .queue = "default"};
        (void)str_copy_n(row->kind, sizeof(row->kind), PQgetvalue(r, i, 19), (size_t)PQgetlength(r, i, 19));
        struct str parts[] = {str_of(id_format(&row->log.job_id, job)), STR("1")};
        key_derive(&row->log.execution_id, "attempt", parts, 2);
    }
}

static void settle(struct thread *t, struct arena *arena, size_t n)
{
    struct id *ids = arena_alloc(arena, n * sizeof(*ids) + 1);
    int32_t *claims = arena_alloc(arena, n * sizeof(*claims) + 1);
    const bool least = t->what == QUEUE_LIMIT_LEAST;
    struct db_args a;

    for (size_t i = 0; i < n; i++) {
        ids[i] = t->rows[i].log.job_id;
        claims[i] = 1;
    }
    db_args_init(&a, arena);
    db_arg_id(&a, &t->worker);
    db_arg_ids(&a, ids, n);
    if (!least)
        db_arg_i32s(&a, claims, n);
    PQclear(pg_ask(t->pg, least ? "settle_least" : "settle_done", &a));
}

static void run_ledger(struct thread *t)
{
    struct entries e = {0};

    while (next_entries(t, QUEUE_ENV_Q, &e, 1000)) {
        struct arena arena = {0};
        struct id *ids = arena_alloc(&arena, e.n * sizeof(*ids));
        struct db_args a;
        PGresult *r;
        size_t n;
        for (size_t i = 0; i < e.n; i++)
            if (id_parse(str_of(e.items[i]->element[1]->element[1]->str), &ids[i]) != ERR_OK)
                fail("entry", "no job id");
        db_args_init(&a, &arena);
        db_arg_id(&a, &t->worker);
        db_arg_ids(&a, ids, e.n);
        r = pg_ask(t->pg, t->what == QUEUE_LIMIT_LEAST ? "claim_least" : "claim_jobs", &a);
        n = (size_t)PQntuples(r);
        rows_of_claimed(t, r);
        PQclear(r);
        pg_run(t->pg, "begin");
        settle(t, &arena, n);
        copy_rows(t, n, COPY_LOG);
        count_rows(t, n);
        pg_run(t->pg, "commit");
        arena_free(&arena);
    }
}

static void run_admit(struct thread *t)
{
    struct id last = ID_ZERO;
    char text[ID_TEXT_SIZE];

    for (size_t added = 0; added < t->n;) {
        struct arena arena = {0};
        struct db_args a;
        PGresult *r;
        db_args_init(&a, &arena);
        db_arg_id(&a, &last);
        r = pg_ask(t->pg, "due_jobs", &a);
        for (int i = 0; i < PQntuples(r); i++) {
            last = id_at(r, i, 0);
            redisAppendCommand(t->redis, "XADD " QUEUE_ENV_Q " * job %s n 0", id_format(&last, text));
        }
        for (int i = 0; i < PQntuples(r); i++)
            freeReplyObject(redis_reply(t));
        added += (size_t)PQntuples(r);
        PQclear(r);
        arena_free(&arena);
    }
}

static void *run_thread(void *arg)
{
    struct thread *t = arg;

    open_stores(t);
    t->rows = mem_alloc((t->batch + 1) * sizeof(*t->rows));
    pthread_barrier_wait(t->ready); /* all are connected; then the process stops */
    pthread_barrier_wait(t->ready);
    if (t->batch == 0)
        run_admit(t);
    else if (t->what == QUEUE_LIMIT_COPY)
        run_copy(t);
    else if (t->what >= QUEUE_LIMIT_LEDGER)
        run_ledger(t);
    else
        run_direct(t);
    return NULL;
}

static pid_t start(enum queue_limit what, size_t batch, size_t n, unsigned n_threads)
{
    const pid_t parent = getpid();
    struct thread threads[THREADS];
    pthread_barrier_t ready;
    int status;
    pid_t pid;

    (void)fflush(NULL);
    pid = fork();
    if (pid > 0) {
        if (waitpid(pid, &status, WUNTRACED) != pid || !WIFSTOPPED(status))
            queue_env_die("limit", "a child did not start");
        return pid;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (pid < 0 || getppid() != parent)
        _exit(1);
    pthread_barrier_init(&ready, NULL, n_threads + 1);
    for (unsigned i = 0; i < n_threads; i++) {
        threads[i] = (struct thread){.ready = &ready, .what = what, .batch = batch, .n = n};
        id_new(&threads[i].worker);
        pthread_create(&threads[i].id, NULL, run_thread, &threads[i]);
    }
    pthread_barrier_wait(&ready);
    (void)raise(SIGSTOP);
    pthread_barrier_wait(&ready);
    for (unsigned i = 0; i < n_threads; i++)
        pthread_join(threads[i].id, NULL);
    _exit(0);
}

pid_t queue_limit_start(enum queue_limit what, size_t batch, size_t n)
{
    return start(what, batch, n, THREADS);
}

pid_t queue_limit_admit(size_t n)
{
    return start(QUEUE_LIMIT_LEDGER, 0, n, 1);
}
