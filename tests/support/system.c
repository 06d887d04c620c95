#include "tests/support/system.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "tests/support/folder.h"

#define LOG_TAIL_BYTES 6000

struct system sys;

/* ---- life ---- */

/* The logins that the starter makes: tests run with the rights that programs have. With USHER_TEST_STAGING set workers may not pass
 * row-level security, as on hosted PostgreSQL, and write the log through the staging table. */
static void make_logins(void)
{
    static const char logins[] =
        "select pg_advisory_xact_lock(4712);"
        "do $$ begin"
        " if not exists (select from pg_catalog.pg_roles where rolname = 'usher_worker') then"
        "  create role usher_worker login bypassrls in role automation_worker; end if;"
        " if not exists (select from pg_catalog.pg_roles where rolname = 'usher_worker_plain') then"
        "  create role usher_worker_plain login in role automation_worker; end if;"
        " if not exists (select from pg_catalog.pg_roles where rolname = 'usher_scheduler') then"
        "  create role usher_scheduler login bypassrls in role automation_scheduler; end if;"
        " end $$";
    const char *const names[] = {getenv("USHER_TEST_STAGING") ? "usher_worker_plain" : "usher_worker",
                                 "usher_scheduler"};
    const char *query = strchr(getenv("USHER_TEST_DATABASE_URL"), '?');
    const char *end = query != NULL ? strstr(query, "&user=") : NULL;

    test_pg_run_server(logins);
    cr_assert_not_null(end, "the servers' URL names no user");
    for (int i = 0; i < 2; i++)
        snprintf(sys.urls[i], sizeof(sys.urls[i]), "postgresql:///%s%.*s&user=%s", sys.pg.name, (int)(end - query),
                 query, names[i]);
}

/* Killed is the server, never the machine: its files keep what was written without being forced to the disk. */
static const char *const options[] = {"-c", "fsync=off", NULL};

static bool can_run(void)
{
    sys = (struct system){0};
    if (!test_pg_available())
        return false;
    if (getenv("USHER_TEST_BIN") == NULL) {
        fprintf(stderr, "skipped: USHER_TEST_BIN is not set (run it with make integration)\n");
        return false;
    }
    sys.open = true;
    return true;
}

static void prepare(void)
{
    test_pg_create_migrated(&sys.pg);
    make_logins();
    cr_assert(folder_make(NULL, "usher-system", sys.dir, sizeof(sys.dir)));
    system_sql("insert into automation.tenants (tenant_id, name) values ('" SYSTEM_TENANT "', 'A');"
               "insert into automation.weddings (tenant_id, wedding_id, title, status, ceremony_date, ceremony_time, "
               "time_zone)"
               " values ('" SYSTEM_TENANT "', '" SYSTEM_WEDDING "', 'W', 'booked', current_date + 365, '15:00',"
               " 'Europe/Lisbon')");
}

bool system_open(bool own_postgres)
{
    if (!can_run())
        return false;
    if (own_postgres)
        postgres_start_with(&sys.postgres, options);
    redis_server_start(&sys.redis, NULL);
    prepare();
    return true;
}

bool system_open_tcp(void)
{
    if (!can_run())
        return false;
    postgres_start_tcp(&sys.postgres, options);
    redis_server_start_tcp(&sys.redis, NULL);
    snprintf(sys.redis.url, sizeof(sys.redis.url), "redis://127.0.0.1:%d", sys.redis.port);
    prepare();
    return true;
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
    folder_remove(sys.dir);
    buf_free(&sys.accepted);
    sys = (struct system){0};
}

/* ---- processes ---- */

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

void system_show_logs(void)
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
        system_show_logs();
        cr_assert_fail("%s did not end", sys.processes[process].log);
    }
    waitpid(sys.processes[process].pid, &status, 0);
    sys.processes[process].pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static bool is_stopped(void *arg)
{
    const int *process = arg;
    siginfo_t how = {0};

    return waitid(P_PID, (id_t)sys.processes[*process].pid, &how, WSTOPPED | WNOHANG | WNOWAIT) == 0 && how.si_pid != 0;
}

void system_until_stopped(int process)
{
    system_until_holds(is_stopped, &process, "the process has stopped");
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
