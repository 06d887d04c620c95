#include "tests/support/system.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "common/base/clock.h"
#include "common/core/envelope.h"
#include "common/core/outcome.h"
#include "common/io/queue_admin.h"

#define POLL_MS 30
#define LOG_TAIL_BYTES 6000
#define FIELDS_MAX 64
#define PIPELINE 200

struct system sys;

/* ---- life ------------------------------------------------------------------------------------------------------------------------------ */

/* The logins that the starter makes: tests run with the rights that programs have. */
static void make_logins(void)
{
    static const char logins[] =
        "select pg_advisory_xact_lock(4712);"
        "do $$ begin"
        " if not exists (select from pg_catalog.pg_roles where rolname = 'usher_worker') then"
        "  create role usher_worker login bypassrls in role automation_worker; end if;"
        " if not exists (select from pg_catalog.pg_roles where rolname = 'usher_scheduler') then"
        "  create role usher_scheduler login bypassrls in role automation_scheduler; end if;"
        " end $$";
    static const char *const names[] = {"usher_worker", "usher_scheduler"};
    const char *query = strchr(getenv("USHER_TEST_DATABASE_URL"), '?');
    const char *end = query != NULL ? strstr(query, "&user=") : NULL;

    test_pg_run_server(logins);
    cr_assert_not_null(end, "the servers' URL names no user");
    for (int i = 0; i < 2; i++)
        snprintf(sys.urls[i], sizeof(sys.urls[i]), "postgresql:///%s%.*s&user=%s", sys.pg.name, (int)(end - query),
                 query, names[i]);
}

bool system_open(bool own_postgres)
{
    sys = (struct system){0};
    if (!test_pg_available())
        return false;
    if (getenv("USHER_TEST_BIN") == NULL) {
        fprintf(stderr, "skipped: USHER_TEST_BIN is not set (run it with make integration)\n");
        return false;
    }
    sys.open = true;
    if (own_postgres)
        postgres_start(&sys.postgres);
    test_pg_create_migrated(&sys.pg);
    make_logins();
    redis_server_start(&sys.redis, NULL);
    snprintf(sys.dir, sizeof(sys.dir), "/tmp/usher-system.XXXXXX");
    cr_assert_not_null(mkdtemp(sys.dir));
    system_sql("insert into automation.tenants (tenant_id, name) values ('" SYSTEM_TENANT "', 'A');"
               "insert into automation.weddings (tenant_id, wedding_id, title, status, ceremony_date, ceremony_time, "
               "time_zone)"
               " values ('" SYSTEM_TENANT "', '" SYSTEM_WEDDING "', 'W', 'booked', current_date + 365, '15:00',"
               " 'Europe/Lisbon')");
    return true;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void system_close(void)
{
    if (!sys.open)
        return;
    for (int i = 0; i < sys.n_processes; i++) {
        if (sys.processes[i].pid == 0)
            continue;
        kill(sys.processes[i].pid, SIGKILL);
        waitpid(sys.processes[i].pid, NULL, 0);
    }
    redis_server_stop(&sys.redis);
    if (sys.postgres.pid == 0 && sys.postgres.dir[0] == '\0')
        test_pg_drop(&sys.pg);
    postgres_stop(&sys.postgres);
    if (sys.dir[0] != '\0')
        nftw(sys.dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    buf_free(&sys.accepted);
    sys = (struct system){0};
}

/* ---- processes --------------------------------------------------------------------------------------------------------------------------- */

static void log_path(int process, char path[128])
{
    snprintf(path, 128, "%s/%s", sys.dir, sys.processes[process].log);
}

static void read_log(int process, struct buf *out)
{
    char path[128], piece[4096];
    size_t n;
    FILE *f;

    log_path(process, path);
    f = fopen(path, "r");
    while (f != NULL && (n = fread(piece, 1, sizeof(piece), f)) > 0)
        buf_put(out, piece, n);
    if (f != NULL)
        fclose(f);
}

static void show_logs(void)
{
    for (int i = 0; i < sys.n_processes; i++) {
        struct buf b = {0};
        read_log(i, &b);
        size_t from = b.len > LOG_TAIL_BYTES ? b.len - LOG_TAIL_BYTES : 0;
        fprintf(stderr, "---- %s%s\n%s\n", sys.processes[i].log, sys.processes[i].pid == 0 ? " (ended)" : "",
                buf_text(&b) + from);
        buf_free(&b);
    }
}

static void run_child(const char *program, int login, int process, const char *const *env, pid_t parent)
{
    char path[512], log[128];

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    log_path(process, log);
    if (getppid() != parent || freopen(log, "a", stderr) == NULL || dup2(2, 1) < 0 ||
        freopen("/dev/null", "r", stdin) == NULL)
        _exit(1);
    snprintf(path, sizeof(path), "%s/%s", getenv("USHER_TEST_BIN"), program);
    setenv("DATABASE_URL", sys.urls[login], 1);
    setenv("REDIS_URL", sys.redis.url, 1);
    setenv("USHER_ENV", "development", 1);
    setenv("USHER_LOG_FORMAT", "logfmt", 1);
    setenv("USHER_QUEUES", "default", 1);
    for (size_t i = 0; env != NULL && env[i] != NULL; i++)
        putenv((char *)(uintptr_t)env[i]);
    closefrom(STDERR_FILENO + 1);
    execl(path, program, (char *)NULL);
    _exit(127);
}

static int start(const char *program, int login, const char *const *env)
{
    const pid_t parent = getpid();
    const int process = sys.n_processes++;

    cr_assert_lt(process, SYSTEM_PROCESSES_MAX);
    snprintf(sys.processes[process].log, sizeof(sys.processes[process].log), "%d-%s.log", process, program);
    sys.processes[process].pid = fork();
    cr_assert_geq(sys.processes[process].pid, 0);
    if (sys.processes[process].pid == 0)
        run_child(program, login, process, env, parent);
    return process;
}

int system_worker(const char *const *env)
{
    return start("usher-worker", 0, env);
}

int system_scheduler(const char *const *env)
{
    return start("usher-scheduler", 1, env);
}

void system_die_env(char env[64], const char *point, int nth)
{
    snprintf(env, 64, "USHER_TEST_DIE=%s:%d", point, nth);
}

void system_signal(int process, int signo)
{
    cr_assert(sys.processes[process].pid > 0 && kill(sys.processes[process].pid, signo) == 0);
}

int system_wait(int process)
{
    struct pollfd ended = {.fd = pidfd_open(sys.processes[process].pid, 0), .events = POLLIN};
    int status = 0;
    bool in_time = poll(&ended, 1, SYSTEM_PATIENCE_S * 1000) == 1;

    close(ended.fd);
    if (!in_time) {
        show_logs();
        cr_assert_fail("%s did not end", sys.processes[process].log);
    }
    waitpid(sys.processes[process].pid, &status, 0);
    sys.processes[process].pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void system_kill(int process)
{
    system_signal(process, SIGKILL);
    cr_assert_eq(system_wait(process), 128 + SIGKILL);
}

size_t system_logged(int process, const char *holding)
{
    struct buf b = {0};
    size_t n = 0;

    read_log(process, &b);
    for (const char *p = buf_text(&b); (p = strstr(p, holding)) != NULL; p++)
        n++;
    buf_free(&b);
    return n;
}

void system_lease_passes(void)
{
    system_sql("update automation_priv.workers set beat_at = beat_at - automation_priv.lease()");
}

void system_idle_passes(void)
{
    struct rsession *s = redis_session(sys.redis.url);
    const struct reply *r = redis_run(s, "XPENDING " SYSTEM_IN " workers - + 10000");
    struct buf commands = {0};

    for (size_t i = 0; i < r->n; i++)
        buf_printf(&commands, "XCLAIM " SYSTEM_IN " workers %s 0 %s IDLE 60000 JUSTID\n", r->items[i]->items[1]->s.p,
                   r->items[i]->items[0]->s.p);
    for (char *line = commands.data, *end; line != NULL && (end = strchr(line, '\n')) != NULL; line = end + 1) {
        *end = '\0';
        redis_run(s, line);
    }
    buf_free(&commands);
    rsession_close(s);
}

/* ---- work --------------------------------------------------------------------------------------------------------------------------------- */

static void accept_id(const struct id *id)
{
    char text[ID_TEXT_SIZE];

    buf_printf(&sys.accepted, "%s%s", sys.accepted.len ? "," : "", id_format(id, text));
    sys.n_accepted++;
}

static size_t entry_words(const char *id, const char *const *fields, struct str words[3 + FIELDS_MAX])
{
    size_t n = 0;

    words[n++] = STR("XADD");
    words[n++] = STR(SYSTEM_IN);
    words[n++] = str_of(id);
    for (size_t i = 0; fields[i] != NULL && i < FIELDS_MAX; i++)
        words[n++] = str_of(fields[i]);
    return n;
}

static struct id accept_entry(struct str entry_id, const struct str *fields, size_t n)
{
    struct id id;

    envelope_log_id(STR(SYSTEM_IN), entry_id, fields, n, &id);
    accept_id(&id);
    return id;
}

struct id system_entry(const char *id, const char *const *fields)
{
    struct rsession *s = redis_session(sys.redis.url);
    struct str words[3 + FIELDS_MAX];
    const struct reply *reply = NULL;
    struct err_info info = {0};
    size_t n = entry_words(id, fields, words);

    cr_assert_eq(rsession_command(s, n, words, &reply, &info), ERR_OK, "XADD: %s", info.text);
    struct id key = accept_entry(reply->s, words + 3, n - 3);
    rsession_close(s);
    return key;
}

static void add_some(struct rsession *s, int from, int n)
{
    char payloads[PIPELINE][32];
    struct str words[3 + FIELDS_MAX];

    for (int i = 0; i < n; i++) {
        snprintf(payloads[i], sizeof(payloads[i]), "{\"n\":%d}", from + i);
        const char *const fields[] = {"kind", "noop", "payload", payloads[i], NULL};
        rsession_append(s, entry_words("*", fields, words), words);
    }
    for (int i = 0; i < n; i++) {
        const struct reply *reply = NULL;
        const struct str fields[] = {STR("kind"), STR("noop"), STR("payload"), str_of(payloads[i])};
        cr_assert_eq(rsession_read(s, &reply, NULL), ERR_OK);
        accept_entry(reply->s, fields, 4);
    }
}

void system_entries(int n)
{
    struct rsession *s = redis_session(sys.redis.url);

    for (int i = 0; i < n; i += PIPELINE)
        add_some(s, i, n - i < PIPELINE ? n - i : PIPELINE);
    rsession_close(s);
}

void system_enqueue(const char *kind, const char *payload, int n)
{
    char prefix[32];

    /* Ids in the order of their making, which is the order in which a batch runs. */
    snprintf(prefix, sizeof(prefix), "00000000-0000-4000-8%03x-", ++sys.n_enqueued);
    system_sql(
        "select automation.enqueue_jobs(jsonb_agg(jsonb_build_object('kind', '%s', 'payload', '%s'::jsonb, 'tenant',"
        " '" SYSTEM_TENANT "', 'job_id', '%s' || lpad(to_hex(i), 12, '0')))) from generate_series(1, %d) i",
        kind, payload, prefix, n);
    for (int i = 1; i <= n; i++) {
        char text[64];
        struct id id;
        snprintf(text, sizeof(text), "%s%012x", prefix, (unsigned)i);
        cr_assert_eq(id_parse(str_of(text), &id), ERR_OK);
        accept_id(&id);
    }
}

struct id system_enqueue_one(const char *kind, const char *payload)
{
    struct id id;

    system_enqueue(kind, payload, 1);
    cr_assert_eq(id_parse((struct str){sys.accepted.data + sys.accepted.len - 36, 36}, &id), ERR_OK);
    return id;
}

void system_rule(const char *actions)
{
    system_sql(
        "insert into automation.rules (tenant_id, rule_id, name, status, definition) values ('" SYSTEM_TENANT
        "', gen_random_uuid(), 'r', 'active', '{\"schema_version\":1,\"name\":\"r\",\"trigger\":{\"type\":\"event\","
        "\"event\":\"form.submitted\"},\"actions\":%s}')",
        actions);
}

void system_events(int n)
{
    static const char one[] = "'00000000-0000-0000-0000-' || lpad(to_hex(i), 12, 'c')";

    system_sql("insert into automation.weddings (tenant_id, wedding_id, title, status, ceremony_date, ceremony_time, "
               "time_zone)"
               " select '" SYSTEM_TENANT
               "', (%s)::uuid, 'W' || i, 'booked', current_date + 365, '15:00', 'Europe/Lisbon'"
               " from generate_series(1, %d) i on conflict do nothing;"
               "select count(automation.publish_event('" SYSTEM_TENANT "', 'form.submitted', (%s)::uuid, '{}'))"
               " from generate_series(1, %d) i",
               one, n, one, n);
}

/* ---- questions ------------------------------------------------------------------------------------------------------------------------------ */

/* A session for each question: whoever kills servers would have to know which ones died. */
static enum err ask(const char *sql, int64_t *out, struct err_info *info)
{
    const struct db_session_config config = {.url = sys.pg.url, .name = "test"};
    const struct db_stmt stmt = {"question", sql};
    struct db_session *s = NULL;
    struct db_result *r = NULL;
    enum err err = db_open(&config, &s, info);

    if (err == ERR_OK)
        err = db_query(s, &stmt, NULL, &r, info);
    if (err == ERR_OK)
        *out = db_rows(r) == 0 ? 0 : db_text(r, 0, 0).n == 1 ? db_bool(r, 0, 0) : db_i64(r, 0, 0);
    db_result_free(r);
    db_close(s);
    return err;
}

static char *format(const char *fmt, va_list ap)
{
    char *sql = NULL;

    cr_assert_geq(vasprintf(&sql, fmt, ap), 0);
    return sql;
}

int64_t system_i64(const char *fmt, ...)
{
    struct err_info info = {0};
    int64_t v = 0;
    va_list ap;

    va_start(ap, fmt);
    char *sql = format(fmt, ap);
    va_end(ap);
    enum err err = ask(sql, &v, &info);
    cr_assert_eq(err, ERR_OK, "%s: %s", sql, info.text);
    free(sql);
    return v;
}

void system_sql(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    char *sql = format(fmt, ap);
    va_end(ap);
    test_pg_run(&sys.pg, sql);
    free(sql);
}

static void show_state(void)
{
    static const char *const streams[] = {SYSTEM_Q, SYSTEM_IN};
    int64_t v[4] = {-1, -1, -1, -1};

    (void)ask("select count(*) from automation_priv.ledger", &v[0], NULL);
    (void)ask("select count(*) from automation_priv.ledger where owner is not null", &v[1], NULL);
    (void)ask("select count(*) from automation.execution_logs", &v[2], NULL);
    (void)ask("select count(*) from automation.dead_letters", &v[3], NULL);
    fprintf(stderr, "ledger %lld, owned %lld, log %lld, dead %lld", (long long)v[0], (long long)v[1], (long long)v[2],
            (long long)v[3]);
    for (int i = 0; i < 2 && sys.redis.pid != 0; i++)
        fprintf(stderr, ", %s %lld", streams[i], (long long)system_backlog(streams[i]));
    fprintf(stderr, "\n");
}

/* Polls until the condition holds; fails the test, with the processes' logs, when it does not in time. */
static void until(bool (*holds)(void *arg), void *arg, const char *what)
{
    const int64_t deadline = clock_mono_ms() + SYSTEM_PATIENCE_S * 1000;

    while (!holds(arg)) {
        if (clock_mono_ms() > deadline) {
            show_logs();
            show_state();
            cr_assert_fail("did not come true: %s", what);
        }
        (void)poll(NULL, 0, POLL_MS);
    }
}

static bool sql_holds(void *arg)
{
    int64_t v = 0;

    return ask(arg, &v, NULL) == ERR_OK && v != 0;
}

void system_until(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    char *sql = format(fmt, ap);
    va_end(ap);
    until(sql_holds, sql, sql);
    free(sql);
}

struct logged {
    int process;
    const char *holding;
};

static bool log_holds(void *arg)
{
    const struct logged *l = arg;

    return system_logged(l->process, l->holding) > 0;
}

void system_until_logged(int process, const char *holding)
{
    struct logged l = {process, holding};

    until(log_holds, &l, holding);
}

int64_t system_redis(const char *command)
{
    struct rsession *s = redis_session(sys.redis.url);
    const int64_t v = redis_run(s, command)->i;

    rsession_close(s);
    return v;
}

int64_t system_backlog(const char *key)
{
    struct rsession *s = redis_session(sys.redis.url);
    struct queue_info q;
    struct err_info info = {0};
    char length[64];
    int64_t n = -1;

    snprintf(length, sizeof(length), "XLEN %s", key);
    if (queue_admin_info(s, key, &q, &info) == ERR_OK && q.group.exists && q.group.lag >= 0)
        n = q.group.pending + q.group.lag;
    else if (redis_run(s, length)->i == 0)
        n = 0;
    rsession_close(s);
    return n;
}

static bool all_done(void *arg)
{
    int64_t left = 1;

    (void)arg;
    return ask("select (select count(*) from automation_priv.ledger) + (select count(*) from automation_priv.outbox)"
               " + (select count(*) from automation.runs where state = 'running')",
               &left, NULL) == ERR_OK &&
           left == 0 && system_backlog(SYSTEM_Q) == 0 && system_backlog(SYSTEM_IN) == 0;
}

void system_until_done(void)
{
    until(all_done, NULL, "everything is done");
}

static bool ended_or_done(void *arg)
{
    const int *process = arg;
    int status = 0;

    if (sys.processes[*process].pid != 0 && waitpid(sys.processes[*process].pid, &status, WNOHANG) > 0)
        sys.processes[*process].pid = 0;
    return sys.processes[*process].pid == 0 || all_done(NULL);
}

bool system_until_done_or_ended(int process)
{
    until(ended_or_done, &process, "everything is done, or the process has ended");
    return sys.processes[process].pid == 0;
}

int64_t system_outcomes(const char *word)
{
    for (enum outcome o = 0; o < OUTCOME_COUNT; o++) {
        if (strcmp(outcome_word(o), word) == 0)
            return system_i64("select count(*) from automation.execution_logs where outcome = %d", (int)o);
    }
    cr_assert_fail("no such outcome: %s", word);
    return -1;
}

int64_t system_dead(const char *reason)
{
    return system_i64("select count(*) from automation.dead_letters where reason = '%s'", reason);
}

void system_judge(void)
{
    const char *const per_job =
        "with rows as (select job_id, outcome from automation.execution_logs where outcome in (0, 2, 3, 4, 5)"
        "  union all select job_id, (row_data ->> 'outcome')::smallint from automation_priv.log_quarantine),"
        " per as (select a.id, count(r.outcome) as n from unnest('{%s}'::uuid[]) as a(id) left join rows r on r.job_id "
        "= a.id"
        "  group by 1) select count(*) from per where n %s";

    cr_expect_eq(system_i64(per_job, buf_text(&sys.accepted), "= 0"), 0, "jobs lost");
    cr_expect_eq(system_i64(per_job, buf_text(&sys.accepted), "> 1"), 0, "jobs ended twice");
    cr_expect_eq(system_i64("select coalesce(sum(abs(unaccounted)), 0)::bigint from automation_priv.audit()"), 0,
                 "unaccounted");
    cr_expect_eq(system_i64("select coalesce(sum(in_flight + waiting), 0)::bigint from automation_priv.audit()"), 0,
                 "unfinished");
}
