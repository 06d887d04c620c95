/* queue_drain: see queue_drain.h. Failure: of what is not drained within PATIENCE_MS the rate is 0. */
#include "tests/bench/queue_drain.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "common/base/clock.h"
#include "common/base/str.h"
#include "common/io/rconn.h"
#include "tests/bench/queue_env.h"

#define PIPELINE 256
#define LOOK_EVERY_MS 5
#define BACKLOG_PIECE 50000 /* rows */
#define PATIENCE_MS 300000

/* ---- filling ---- */

double queue_drain_fill_direct(size_t n)
{
    const int64_t start_us = clock_mono_us();
    struct err_info info = {0};
    const struct reply *reply;

    for (size_t i = 0; i < n;) {
        size_t piece = n - i < PIPELINE ? n - i : PIPELINE;
        for (size_t k = 0; k < piece; k++) {
            char kind[16], tenant[ID_TEXT_SIZE], payload[QUEUE_ENV_PAYLOAD_BYTES + 1];
            struct id id = queue_env_tenant(i + k);
            queue_env_kind(i + k, kind);
            queue_env_payload(i + k, payload);
            const struct str argv[] = {STR("XADD"),     STR(QUEUE_ENV_IN), STR("*"),
                                       STR("kind"),     str_of(kind),      STR("payload"),
                                       str_of(payload), STR("tenant"),     str_of(id_format(&id, tenant))};
            rsession_append(queue_env.session, 9, argv);
        }
        for (size_t k = 0; k < piece; k++)
            if (rsession_read(queue_env.session, &reply, &info) != ERR_OK)
                queue_env_die("xadd", info.text);
        i += piece;
    }
    return (double)n * 1e6 / (double)(clock_mono_us() - start_us);
}

static void put_jobs(struct buf *json, size_t from, size_t n)
{
    char kind[16], tenant[ID_TEXT_SIZE], payload[QUEUE_ENV_PAYLOAD_BYTES + 1];

    buf_reset(json);
    for (size_t i = from; i < from + n; i++) {
        struct id id = queue_env_tenant(i);
        queue_env_kind(i, kind);
        queue_env_payload(i, payload);
        buf_printf(json, "%c{\"kind\":\"%s\",\"tenant\":\"%s\",\"payload\":%s}", i == from ? '[' : ',', kind,
                   id_format(&id, tenant), payload);
    }
    buf_put_char(json, ']');
}

double queue_drain_fill_ledger(size_t n, size_t batch)
{
    static const struct db_stmt stmt = {"bench_enqueue_jobs", "select automation.enqueue_jobs($1)"};
    struct db_session *s = test_pg_session(&queue_env.pg);
    struct err_info info = {0};
    struct buf json = {0};
    int64_t us = 0;

    for (size_t i = 0; i < n; i += batch) {
        struct arena arena = {0};
        struct db_args a;
        put_jobs(&json, i, n - i < batch ? n - i : batch);
        const int64_t start_us = clock_mono_us();
        db_args_init(&a, &arena);
        db_arg_json(&a, (struct str){json.data, json.len});
        if (db_query(s, &stmt, &a, NULL, &info) != ERR_OK)
            queue_env_die("enqueue_jobs", info.text);
        us += clock_mono_us() - start_us;
        arena_free(&arena);
    }
    buf_free(&json);
    db_close(s);
    return (double)n * 1e6 / (double)us;
}

double queue_drain_fill_single(size_t n)
{
    static const struct db_stmt stmt = {"bench_enqueue_single", "select automation.enqueue_job($1, $2, $3)"};
    struct db_session *s = test_pg_session(&queue_env.pg);
    const int64_t start_us = clock_mono_us();
    struct err_info info = {0};

    for (size_t i = 0; i < n; i++) {
        char kind[16], payload[QUEUE_ENV_PAYLOAD_BYTES + 1];
        struct id tenant = queue_env_tenant(i);
        struct arena arena = {0};
        struct db_args a;
        queue_env_kind(i, kind);
        queue_env_payload(i, payload);
        db_args_init(&a, &arena);
        db_arg_cstr(&a, kind);
        db_arg_json(&a, str_of(payload));
        db_arg_id(&a, &tenant);
        if (db_query(s, &stmt, &a, NULL, &info) != ERR_OK)
            queue_env_die("enqueue_job", info.text);
        arena_free(&arena);
    }
    db_close(s);
    return (double)n * 1e6 / (double)(clock_mono_us() - start_us);
}

/* Piece by piece: no statement comes near its timeout. */
void queue_drain_fill_backlog(size_t n)
{
    struct buf sql = {0};

    for (size_t i = 0; i < n; i += BACKLOG_PIECE) {
        buf_reset(&sql);
        buf_printf(
            &sql,
            "insert into automation_priv.ledger (job_id, tenant_id, due_at, accepted_at, accepted_day, timeout_ms,"
            " max_attempts, kind, queue, effect_key, payload)"
            " select id, ('be000000-0000-4000-8000-' || lpad(to_hex(i %% 200), 12, '0'))::uuid, now(), now(),"
            " (now() at time zone 'UTC')::date, 30000, 8, 'bench.k' || lpad((i %% 2000)::text, 4, '0'), 'default', id,"
            " convert_to('{\"text\":\"' || repeat('x', 288) || '\"}', 'UTF8')"
            " from (select i, automation_priv.new_job_id() as id from generate_series(%zu, %zu) i) x",
            i + 1, n - i < BACKLOG_PIECE ? n : i + BACKLOG_PIECE);
        test_pg_run(&queue_env.pg, buf_text(&sql));
    }
    test_pg_run(&queue_env.pg, "insert into automation_priv.job_deltas select tenant_id, accepted_day, 'accepted',"
                               " count(*) from automation_priv.ledger group by 1, 2");
    test_pg_run(&queue_env.pg, "vacuum analyze automation_priv.ledger"); /* not while it is measured */
    test_pg_run(&queue_env.pg, "checkpoint");
    buf_free(&sql);
}

/* ---- draining ---- */

/* Of a stream's group: what it has not yet read, has read in all, and has read and not acknowledged. */
struct group {
    int64_t unread, read, pending;
};

static struct group group(const char *key)
{
    struct str argv[] = {STR("XINFO"), STR("GROUPS"), str_of(key)};
    const struct reply *r = NULL;
    struct err_info info = {0};
    struct group g = {.unread = -1};

    if (rsession_command(queue_env.session, 3, argv, &r, &info) != ERR_OK || r->n == 0)
        queue_env_die("xinfo", info.text);
    r = r->items[0];
    for (size_t i = 0; i + 1 < r->n; i += 2) {
        if (str_is(r->items[i]->s, "pending"))
            g.pending = r->items[i + 1]->i;
        else if (str_is(r->items[i]->s, "lag"))
            g.unread = r->items[i + 1]->i;
        else if (str_is(r->items[i]->s, "entries-read"))
            g.read = r->items[i + 1]->i;
    }
    return g;
}

struct cost {
    double first, children, stores;
};

static struct cost cost(const pid_t *pids, size_t n)
{
    struct cost c = {.stores = queue_env_postgres_cpu_us() + queue_env_use(queue_env.redis.pid).cpu_us};

    for (size_t i = 0; i < n; i++)
        c.children += queue_env_use(pids[i]).cpu_us;
    c.first = queue_env_use(pids[0]).cpu_us;
    return c;
}

static struct queue_drained drained(const struct cost *before, const struct cost *after, int64_t us, size_t n)
{
    return (struct queue_drained){
        .per_s = (double)n * 1e6 / (double)us,
        .first_cpu_us = (after->first - before->first) / (double)n,
        .all_cpu_us = (after->children - before->children + after->stores - before->stores) / (double)n,
    };
}

static struct queue_drained drain(const pid_t *pids, size_t n_pids, size_t n,
                                  bool (*done)(struct db_session *s, int64_t upto), int64_t upto)
{
    struct db_session *s = test_pg_session(&queue_env.pg);
    const struct cost before = cost(pids, n_pids);
    const int64_t start_us = clock_mono_us();
    struct cost after;
    int64_t us;

    queue_env_signal(pids, n_pids, SIGCONT);
    while (!done(s, upto)) {
        if (clock_mono_us() - start_us > PATIENCE_MS * 1000) {
            queue_env_fail("drain", "not done in time; see " QUEUE_ENV_DIR);
            db_close(s);
            return (struct queue_drained){.per_s = 0};
        }
        (void)poll(NULL, 0, LOOK_EVERY_MS);
    }
    us = clock_mono_us() - start_us;
    after = cost(pids, n_pids);
    db_close(s);
    return drained(&before, &after, us, n);
}

static bool direct_done(struct db_session *s, int64_t upto)
{
    struct group g = group(QUEUE_ENV_IN);

    (void)s, (void)upto;
    return g.unread == 0 && g.pending == 0;
}

/* The log is asked only when all have been admitted and read. */
static bool ledger_done(struct db_session *s, int64_t upto)
{
    static const struct db_stmt stmt = {"bench_done", "select not exists (select from automation_priv.ledger)"};
    static int looks;
    struct db_result *r = NULL;
    struct group g = group(QUEUE_ENV_Q);
    bool done;

    (void)upto;
    if (g.unread > 0 || g.pending > 0 || ++looks % 4 != 0)
        return false;
    if (db_query(s, &stmt, NULL, &r, NULL) != ERR_OK)
        queue_env_die("ledger", "can not be read");
    done = db_bool(r, 0, 0);
    db_result_free(r);
    return done;
}

struct queue_drained queue_drain_direct(const pid_t *pids, size_t n_pids, size_t n)
{
    return drain(pids, n_pids, n, direct_done, 0);
}

struct queue_drained queue_drain_ledger(const pid_t *pids, size_t n_pids, size_t n)
{
    return drain(pids, n_pids, n, ledger_done, 0);
}

/* Asks Redis: counting log rows would cost as much as what is measured. */
static bool some_done(struct db_session *s, int64_t upto)
{
    struct group g = group(QUEUE_ENV_Q);

    (void)s;
    return g.read - g.pending >= upto;
}

struct queue_drained queue_drain_some(const pid_t *pids, size_t n_pids, size_t n)
{
    struct group g = group(QUEUE_ENV_Q);
    const int64_t before = g.read - g.pending;
    struct queue_drained out = drain(pids, n_pids, n, some_done, before + (int64_t)n);

    queue_env_signal(pids, n_pids, SIGSTOP);
    g = group(QUEUE_ENV_Q);
    if (out.per_s > 0)
        out.all_cpu_us *= (double)n / (double)(g.read - g.pending - before);
    return out;
}

struct queue_drained queue_drain_ended(const pid_t *pids, size_t n_pids, size_t n)
{
    const struct cost before = cost(pids, n_pids);
    const int64_t start_us = clock_mono_us();

    queue_env_signal(pids, n_pids, SIGCONT);
    for (size_t i = 0; i < n_pids; i++)
        waitpid(pids[i], NULL, 0);
    return drained(&before, &before, clock_mono_us() - start_us, n);
}
