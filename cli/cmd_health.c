/* usher health: do PostgreSQL and Redis answer, and is the schema up to date? Everything is asked even when one part is down. */
#include <string.h>

#include "cli/connect.h"
#include "cli/out.h"
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/io/migrate.h"

static const struct out_column columns[] = {
    {"part", OUT_TEXT},
    {"ok", OUT_BOOL},
    {"ms", OUT_INT},
    {"detail", OUT_TEXT},
};

static const struct db_stmt stmt_version = {"health_version",
                                            "select current_setting('server_version'), pg_is_in_recovery()"};

struct health {
    struct cmd_run *run;
    struct out *out;
    bool ok;
};

static void add(struct health *h, const char *part, bool ok, int64_t started_ms, const char *detail)
{
    out_text(h->out, part);
    out_bool(h->out, ok);
    out_int(h->out, clock_mono_ms() - started_ms);
    out_text(h->out, detail);
    h->ok = h->ok && ok;
}

static struct db_session_config session_config(const struct health *h)
{
    const struct settings *s = h->run->settings;

    return (struct db_session_config){.url = s->database_url == NULL ? "" : s->database_url,
                                      .name = "usher",
                                      .statement_ms = 5000,
                                      .pooled = s->database_pooled};
}

static bool check_postgres(struct health *h)
{
    const struct db_session_config config = session_config(h);
    struct db_session *db = NULL;
    struct db_result *rows = NULL;
    struct db_args args;
    struct arena arena = {0};
    struct err_info info = {0};
    int64_t started_ms = clock_mono_ms();

    db_args_init(&args, &arena);
    enum err err = db_open(&config, &db, &info);
    if (err == ERR_OK)
        err = db_query(db, &stmt_version, &args, &rows, &info);
    if (err == ERR_OK && db_bool(rows, 0, 1))
        err = err_set(&info, ERR_STATE, "the server is a read-only standby");
    add(h, "postgresql", err == ERR_OK, started_ms, err == ERR_OK ? db_text(rows, 0, 0).p : info.text);
    db_result_free(rows);
    db_close(db);
    arena_free(&arena);
    return err == ERR_OK;
}

static void ignore_entry(void *arg, const struct migrate_entry *entry)
{
    (void)arg;
    (void)entry;
}

static void check_schema(struct health *h)
{
    struct migrate_config config = {0};
    struct err_info info = {0};
    int64_t started_ms = clock_mono_ms();
    int pending = 0;
    char *dir = settings_find_migrations(h->run->settings, &info);

    config.dir = dir;
    config.url = h->run->settings->database_url == NULL ? "" : h->run->settings->database_url;
    config.pooled = h->run->settings->database_pooled;
    if (dir == NULL)
        return; /* an installation without the files can not compare */
    enum err err = migrate_status(&config, ignore_entry, NULL, &pending, &info);
    if (err == ERR_OK && pending > 0)
        err = err_set(&info, ERR_STATE, "%d migrations are pending", pending);
    add(h, "schema", err == ERR_OK, started_ms, err == ERR_OK ? "up to date" : info.text);
    mem_free(dir);
}

#define RUNWAY_LEAST_US (INT64_C(45) * 86400 * 1000000)

/* Is the log's next month there, and the one after? Is nothing waiting outside? */
static void check_log(struct health *h)
{
    static const struct db_stmt stmt = {
        "health_log",
        "select coalesce((extract(epoch from automation_priv.log_runway(clock_timestamp()) - clock_timestamp()) * "
        "1000000)::bigint, 0), (select count(*) from automation_priv.log_quarantine), "
        "(select count(*) from automation_priv.outbox_quarantine)"};
    const struct db_session_config config = session_config(h);
    struct db_session *db = NULL;
    struct db_result *rows = NULL;
    struct err_info info = {0};
    int64_t started_ms = clock_mono_ms();
    char detail[160] = "";

    enum err err = db_open(&config, &db, &info);
    if (err == ERR_OK)
        err = db_query(db, &stmt, NULL, &rows, &info);
    if (err == ERR_OK) {
        const long long days = db_i64(rows, 0, 0) / 86400 / 1000000;
        (void)snprintf(detail, sizeof(detail), "partitions for %lld days; quarantined: %lld log rows, %lld events",
                       days, (long long)db_i64(rows, 0, 1), (long long)db_i64(rows, 0, 2));
    }
    add(h, "log", err == ERR_OK && db_i64(rows, 0, 0) >= RUNWAY_LEAST_US, started_ms, err == ERR_OK ? detail : info.text);
    db_result_free(rows);
    db_close(db);
}

/* The value of "redis_version:7.0.15\r\n" in the text of INFO. */
static struct str info_version(struct str text)
{
    static const char key[] = "redis_version:";
    const char *at = text.p == NULL ? NULL : strstr(text.p, key);

    if (at == NULL)
        return STR("unknown version");
    at += sizeof(key) - 1;
    return (struct str){at, strcspn(at, "\r\n")};
}

static void check_redis(struct health *h)
{
    struct rconn_config config = {.url = h->run->settings->redis_url, .name = "usher"};
    const struct str info_command[] = {STR("INFO"), STR("server")};
    const struct reply *reply = NULL;
    struct rsession *redis = NULL;
    struct err_info info = {0};
    char version[32] = "";
    int64_t started_ms = clock_mono_ms();

    enum err err = rsession_open(&config, &redis, &info);
    if (err == ERR_OK)
        err = rsession_command(redis, 2, info_command, &reply, &info);
    if (err == ERR_OK) {
        struct str v = info_version(reply->s);
        (void)str_copy_n(version, sizeof(version), v.p, v.n);
    }
    add(h, "redis", err == ERR_OK, started_ms, err == ERR_OK ? version : info.text);
    rsession_close(redis);
}

static int run_health(struct cmd_run *run)
{
    struct health h = {run, out_new(columns, sizeof(columns) / sizeof(columns[0])), true};

    if (check_postgres(&h)) {
        check_schema(&h);
        check_log(&h);
    }
    check_redis(&h);
    out_print(h.out, run->json, stdout);
    out_free(h.out);
    return h.ok ? EXIT_OK : EXIT_UNAVAILABLE;
}

const struct cmd cmd_health = {
    .path = "health",
    .summary = "check that PostgreSQL, its schema, the log's partitions and Redis are ready",
    .details = "Exit code 69 when a part is not.",
    .examples = "usher health\nusher health --json\n",
    .run = run_health,
};
