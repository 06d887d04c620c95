/* cell: life of a cell and the work it gives. */
#include "tests/faults/cell.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/core/envelope.h"
#include "tests/support/redis.h"

#define TASK_AND_NOTE                                                                                                  \
    "[{\"type\":\"create_task\",\"params\":{\"title\":\"t\"}},{\"type\":\"create_note\",\"params\":{\"text\":\"n\"}}]"
#define OUTWARD "hook"
#define FIELDS_MAX 64
#define FINAL "outcome in (0, 2, 3, 4, 5)"

struct cell cell;

/* ---- life ---- */

static uint64_t setting(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text == NULL || text[0] == '\0' ? otherwise : strtoull(text, NULL, 10);
}

int cell_random(int low, int high)
{
    cell.random ^= cell.random << 13;
    cell.random ^= cell.random >> 7;
    cell.random ^= cell.random << 17;
    return low + (int)(cell.random % (uint64_t)(high - low + 1));
}

bool cell_open(const char *name, enum cell_servers servers)
{
    if (servers == CELL_TCP ? !system_open_tcp() : !system_open(servers == CELL_OWN_POSTGRES))
        return false;
    cell.name = name;
    cell.open = true;
    cell.recovery_limit_s = CELL_RECOVERY_S;
    cell.load = cell_random(100, 150);
    sink_start(&cell.web, "webhook_sink.py", NULL);
    system_sql("insert into automation.kinds (kind, class, handler, url, retry_base_ms, retry_cap_ms)"
               " values ('" OUTWARD "', 'free', 'http', 'http://127.0.0.1:%d/slow?ms=%d', 1000, 2000)",
               cell.web.port, CELL_SLOW_MS);
    system_rule(TASK_AND_NOTE);
    return true;
}

static void free_ids(struct cell_ids *ids)
{
    free(ids->v);
    *ids = (struct cell_ids){0};
}

static void close_all(void)
{
    db_close(cell.db);
    rsession_close(cell.redis);
    sink_stop(&cell.web);
    system_close();
    free_ids(&cell.ledger);
    free_ids(&cell.direct);
    free_ids(&cell.ledger_out);
    free_ids(&cell.direct_out);
    cell = (struct cell){0};
}

void cell_close(void)
{
    if (cell.open && !cell.printed)
        printf("{\"fault\":\"%s\",\"accepted\":%zu,\"ok\":false,\"why\":\"no verdict\"}\n", cell.name,
               cell.ledger.n + cell.direct.n);
    (void)fflush(stdout);
    close_all();
}

void cell_skip(const char *why)
{
    fprintf(stderr, "skipped: %s: %s\n", cell.name, why);
    cell.printed = true;
}

void cell_cycles(const char *name, enum cell_servers servers, void (*run)(void))
{
    const uint64_t seed = setting("SEED", 1), cycles = setting("CYCLES", 1);

    for (uint64_t i = 0; i < cycles; i++) {
        cell.random = (seed + i) * UINT64_C(0x9E3779B97F4A7C15) + 1;
        if (!cell_open(name, servers))
            return;
        run();
        if (!cell.printed)
            cell_judge();
        cell_close();
    }
}

/* ---- what was accepted ---- */

static void put(struct cell_ids *ids, const struct id *id)
{
    if (ids->n == ids->cap) {
        ids->cap = ids->cap == 0 ? 1024 : 2 * ids->cap;
        ids->v = realloc(ids->v, ids->cap * sizeof(*ids->v));
        cr_assert_not_null(ids->v);
    }
    ids->v[ids->n++] = *id;
}

void cell_accepted(const struct id *id, bool direct)
{
    put(direct ? &cell.direct : &cell.ledger, id);
    put(direct ? &cell.direct_out : &cell.ledger_out, id);
}

static bool open_producer(void)
{
    const struct db_session_config config = {.url = sys.pg.url, .name = "producer", .connect_ms = 2000};

    if (cell.db != NULL && !db_alive(cell.db)) {
        db_close(cell.db);
        cell.db = NULL;
    }
    return cell.db != NULL || db_open(&config, &cell.db, NULL) == ERR_OK;
}

static bool offer(const char *of, const char *kind, const char *payload, int64_t run_at_us, bool outward)
{
    static const struct db_stmt stmt = {
        "offer",
        "select created from automation.enqueue_job(p_kind => $1, p_payload => $2, p_tenant => $3, p_job_id => $4, "
        "p_run_at => $5)"};
    struct arena arena = {0};
    struct db_args args;
    struct id id, tenant;

    if (!open_producer())
        return false;
    id_new(&id);
    cr_assert_eq(id_parse(str_of(of), &tenant), ERR_OK);
    db_args_init(&args, &arena);
    db_arg_cstr(&args, kind);
    db_arg_json(&args, str_of(payload));
    db_arg_id(&args, &tenant);
    db_arg_id(&args, &id);
    db_arg_time(&args, run_at_us);
    const bool accepted = db_query(cell.db, &stmt, &args, NULL, NULL) == ERR_OK;
    arena_free(&arena);
    if (accepted)
        put(&cell.ledger, &id);
    if (accepted && outward)
        put(&cell.ledger_out, &id);
    cell.in_doubt += !accepted;
    return accepted;
}

bool cell_offer_job(const char *kind, const char *payload, bool outward)
{
    return offer(SYSTEM_TENANT, kind, payload, DB_NULL_TIME, outward);
}

bool cell_offer_of(const char *tenant)
{
    return offer(tenant, OUTWARD, "{}", DB_NULL_TIME, true);
}

bool cell_offer_at(int64_t run_at_us)
{
    return offer(SYSTEM_TENANT, OUTWARD, "{}", run_at_us, true);
}

bool cell_offer_ledger(void)
{
    return cell_offer_of(SYSTEM_TENANT);
}

static bool open_redis(void)
{
    const struct rconn_config config = {.url = sys.redis.url, .name = "producer", .command_ms = 2000};

    if (cell.redis != NULL && !rsession_alive(cell.redis)) {
        rsession_close(cell.redis);
        cell.redis = NULL;
    }
    return cell.redis != NULL || rsession_open(&config, &cell.redis, NULL) == ERR_OK;
}

bool cell_offer_entry(const char *id, const char *const *fields, bool outward)
{
    struct str words[3 + FIELDS_MAX] = {STR("XADD"), STR(SYSTEM_IN), str_of(id)};
    const struct reply *reply = NULL;
    struct id key;
    size_t n = 3;

    for (size_t i = 0; fields[i] != NULL; i++)
        words[n++] = str_of(fields[i]);
    if (!open_redis())
        return false;
    if (rsession_command(cell.redis, n, words, &reply, NULL) != ERR_OK) {
        cell.in_doubt++;
        return false;
    }
    envelope_log_id(STR(SYSTEM_IN), reply->s, words + 3, n - 3, &key);
    put(&cell.direct, &key);
    if (outward)
        put(&cell.direct_out, &key);
    return true;
}

bool cell_offer_direct(void)
{
    char payload[64];
    const char *const fields[] = {"kind", OUTWARD, "payload", payload, NULL};

    snprintf(payload, sizeof(payload), "{\"n\":%zu}", cell.direct.n);
    return cell_offer_entry("*", fields, true);
}

/* After a restart of a server the first call finds its session dead; while it is away, or refuses, a producer tries again. */
static bool offer_ledger(void *arg)
{
    (void)arg;
    return cell_offer_ledger();
}

static bool offer_direct(void *arg)
{
    (void)arg;
    return cell_offer_direct();
}

void cell_ledger(int n)
{
    for (int i = 0; i < n; i++)
        system_until_holds(offer_ledger, NULL, "the SQL door takes a job");
}

void cell_direct(int n)
{
    for (int i = 0; i < n; i++)
        system_until_holds(offer_direct, NULL, "XADD is answered");
}

void cell_load(int n)
{
    const int some = (int)(n * cell.load / 100);

    cell_ledger(some);
    cell_direct(some);
    system_events(n / 10);
    cell.events += n / 10;
}

void cell_goes_on(int n, int logged)
{
    const int64_t before = cell_logged();

    cell_load(n);
    cell_until_logged(before + logged);
}

/* ---- processes ---- */

int cell_worker(void)
{
    static const char *const env[] = {"USHER_BATCH=20", "USHER_CONCURRENCY=8", NULL};

    _Static_assert(CELL_CONCURRENCY == 8, "as in the setting");
    return system_worker(env);
}

int cell_scheduler(void)
{
    return system_scheduler(NULL);
}

int64_t cell_logged(void)
{
    return system_i64("select count(*) from automation.execution_logs where " FINAL);
}

void cell_until_logged(int64_t n)
{
    system_until("select count(*) >= %lld from automation.execution_logs where " FINAL, (long long)n);
}

/* ---- recovery ---- */

void cell_mended(void)
{
    cell.mended_ms = clock_mono_ms();
}

/* The one more is the last of cell.ledger. Rows of cancelled, dead and other ends are final, too. */
static bool ledger_ended(void *arg)
{
    int64_t left = 1;

    (void)arg;
    return system_ask("select (select count(*) from automation_priv.ledger where bare_entry is null)"
                      " + (select count(*) from automation_priv.outbox)",
                      &left) &&
           left == 0;
}

void cell_recovers(void)
{
    if (cell.mended_ms == 0)
        cell_mended();
    system_until_holds(offer_ledger, NULL, "the SQL door takes a job");
    system_until_holds(ledger_ended, NULL, "every ledger job has ended");
    cell.recovery_s = (double)(clock_mono_ms() - cell.mended_ms) / 1000;
}

void cell_demand(bool holds, const char *what)
{
    if (!holds && cell.broken == NULL)
        cell.broken = what;
}
