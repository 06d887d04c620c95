/* queue_env: see queue_env.h. */
#include "tests/bench/queue_env.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/str.h"
#include "common/io/rconn.h"

#define PATIENCE_MS 60000

struct queue_env queue_env;

_Noreturn void queue_env_die(const char *where, const char *why)
{
    (void)fprintf(stderr, "bench_queue: %s: %s\n", where, why);
    exit(2);
}

void queue_env_fail(const char *where, const char *why)
{
    (void)snprintf(queue_env.why, sizeof(queue_env.why), "%s: %s", where, why);
    (void)fprintf(stderr, "bench_queue: %s\n", queue_env.why);
}

size_t queue_env_n(size_t whole, size_t least)
{
    size_t n = (size_t)((double)whole * queue_env.scale);

    return n < least ? least : n;
}

/* ---- data ---- */

struct id queue_env_tenant(size_t i)
{
    struct id id = {{0xbe}};
    size_t n = i % QUEUE_ENV_TENANTS;

    id.b[6] = 0x40;
    id.b[8] = 0x80;
    id.b[14] = (uint8_t)(n >> 8);
    id.b[15] = (uint8_t)n;
    return id;
}

void queue_env_kind(size_t i, char out[16])
{
    (void)snprintf(out, 16, "bench.k%04zu", i * 7 % QUEUE_ENV_KINDS);
}

void queue_env_payload(size_t i, char out[QUEUE_ENV_PAYLOAD_BYTES + 1])
{
    static const char text[] = "{\"n\":1%07zu,\"couple\":\"Ines and Tomas\",\"venue\":\"Quinta da Serra\",\"text\":\"";
    size_t n;

    memset(out, 'x', QUEUE_ENV_PAYLOAD_BYTES);
    n = (size_t)snprintf(out, QUEUE_ENV_PAYLOAD_BYTES, text, i);
    out[n] = 'x';
    memcpy(out + QUEUE_ENV_PAYLOAD_BYTES - 2, "\"}", 3);
}

static void fill_database(void)
{
    static const char sql[] =
        "insert into automation.tenants (tenant_id, name)"
        " select ('be000000-0000-4000-8000-' || lpad(to_hex(i), 12, '0'))::uuid, 'tenant ' || i from "
        "generate_series(0, 199) i;"
        "insert into automation.kinds (kind, class, handler) select 'bench.k' || lpad(i::text, 4, '0'), 'free', 'noop'"
        " from generate_series(0, 1999) i;"
        "insert into automation.kinds (kind, class, handler, max_attempts) values ('bench.drill', 'free', 'drill', 1);"
        "create role usher_worker login bypassrls in role automation_worker;"
        "create role usher_scheduler login bypassrls in role automation_scheduler;"
        "analyze automation.tenants; analyze automation.kinds";

    test_pg_run(&queue_env.pg, sql);
}

static void url_of(char *out, size_t size, const char *user)
{
    (void)snprintf(out, size, "postgresql:///%s?host=%s&user=%s", queue_env.pg.name, queue_env.postgres.dir, user);
}

void queue_env_open(void)
{
    static const char *const redis_options[] = {"--appendonly", "yes", "--appendfsync", "everysec", NULL};
    /* jit=off: for our connections it is so anyway; the bare loops and the peers must not pay for compiling either. */
    static const char *const postgres_options[] = {"-c", "jit=off",
                                                   "-c", "shared_buffers=512MB",
                                                   "-c", "max_wal_size=4GB",
                                                   "-c", "checkpoint_timeout=15min",
                                                   "-c", "track_functions=all",
                                                   NULL};
    const char *scale = getenv("SCALE");

    queue_env.scale = scale != NULL ? strtod(scale, NULL) : 1;
    if (queue_env.scale <= 0)
        queue_env_die("SCALE", "a number above 0 is expected");
    if ((mkdir("build", 0777) != 0 && errno != EEXIST) || (mkdir("build/bench", 0777) != 0 && errno != EEXIST) ||
        (mkdir(QUEUE_ENV_DIR, 0777) != 0 && errno != EEXIST))
        queue_env_die(QUEUE_ENV_DIR, strerror(errno));
    postgres_start_with(&queue_env.postgres, postgres_options);
    test_pg_create_migrated(&queue_env.pg);
    fill_database();
    url_of(queue_env.worker_url, sizeof(queue_env.worker_url), "usher_worker");
    url_of(queue_env.scheduler_url, sizeof(queue_env.scheduler_url), "usher_scheduler");
    redis_server_start(&queue_env.redis, redis_options);
    queue_env.session = redis_session(queue_env.redis.url);
}

void queue_env_close(void)
{
    rsession_close(queue_env.session);
    redis_server_stop(&queue_env.redis);
    postgres_stop(&queue_env.postgres);
}

void queue_env_clean(void)
{
    redis_run(queue_env.session, "FLUSHALL");
    redis_run(queue_env.session, "XGROUP CREATE " QUEUE_ENV_IN " workers 0 MKSTREAM");
    redis_run(queue_env.session, "XGROUP CREATE " QUEUE_ENV_Q " workers 0 MKSTREAM");
    test_pg_run(&queue_env.pg,
                "truncate automation.execution_logs, automation_priv.ledger, automation_priv.job_deltas, "
                "automation_priv.rollup_deltas,"
                " automation.job_counts, automation.execution_rollup, automation_priv.workers; checkpoint");
}

/* ---- processes ---- */

static void run_child(const char *program, const char *url, const char *const *args, pid_t parent)
{
    const char *argv[16] = {program};
    char path[128], log[128];

    for (size_t i = 0; args != NULL && args[i] != NULL && i < 14; i++)
        argv[i + 1] = args[i];
    (void)snprintf(path, sizeof(path), "build/release/%s", program);
    (void)snprintf(log, sizeof(log), QUEUE_ENV_DIR "/%s.%d.log", program, (int)getpid());
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent || freopen(log, "w", stderr) == NULL || dup2(2, 1) < 0 ||
        freopen("/dev/null", "r", stdin) == NULL)
        _exit(1);
    setenv("DATABASE_URL", url, 1);
    setenv("REDIS_URL", queue_env.redis.url, 1);
    setenv("USHER_QUEUES", "default", 1);
    setenv("USHER_LOG_FORMAT", "logfmt", 1);
    closefrom(STDERR_FILENO + 1);
    execv(path, (char **)(uintptr_t)argv);
    _exit(127);
}

static pid_t start(const char *program, const char *url, const char *const *args)
{
    const pid_t parent = getpid();
    pid_t pid = fork();

    if (pid < 0)
        queue_env_die("fork", strerror(errno));
    if (pid == 0)
        run_child(program, url, args, parent);
    return pid;
}

pid_t queue_env_worker(const char *const *args)
{
    return start("usher-worker", queue_env.worker_url, args);
}

pid_t queue_env_scheduler(const char *const *args)
{
    return start("usher-scheduler", queue_env.scheduler_url, args);
}

void queue_env_ready(int workers)
{
    const int64_t deadline = clock_mono_ms() + PATIENCE_MS;

    while (test_pg_i64(&queue_env.pg, "select count(*) from automation_priv.workers") < workers) {
        if (clock_mono_ms() > deadline) {
            queue_env_fail("workers", "not registered in time; see " QUEUE_ENV_DIR);
            return;
        }
        (void)poll(NULL, 0, 20);
    }
    (void)poll(NULL, 0, 300); /* groups, kinds, the first blocking read */
}

void queue_env_signal(const pid_t *pids, size_t n, int signo)
{
    for (size_t i = 0; i < n; i++)
        if (kill(pids[i], signo) != 0)
            queue_env_die("kill", strerror(errno));
}

void queue_env_stop(const pid_t *pids, size_t n)
{
    queue_env_signal(pids, n, SIGTERM);
    queue_env_signal(pids, n, SIGCONT);
    for (size_t i = 0; i < n; i++)
        waitpid(pids[i], NULL, 0);
}

void queue_env_kill(const pid_t *pids, size_t n)
{
    queue_env_signal(pids, n, SIGKILL);
    for (size_t i = 0; i < n; i++)
        waitpid(pids[i], NULL, 0);
}

/* ---- what they use ---- */

static size_t read_text(const char *path, char *out, size_t size)
{
    FILE *f = fopen(path, "r");
    size_t n = f != NULL ? fread(out, 1, size - 1, f) : 0;

    if (f != NULL)
        (void)fclose(f);
    out[n] = '\0';
    return n;
}

/* proc(5), /proc/pid/stat: after the name in brackets, utime and stime are the 12th and 13th, of waited-for children the 14th and 15th. */
static double cpu_us(const char *pid, bool children, long *ppid)
{
    char path[64], text[1024], *p;
    double ticks = 0;

    (void)snprintf(path, sizeof(path), "/proc/%s/stat", pid);
    if (read_text(path, text, sizeof(text)) == 0 || (p = strrchr(text, ')')) == NULL)
        return 0;
    p += 2;
    for (int field = 0; field < (children ? 15 : 13) && p != NULL; field++) {
        if (field == 1 && ppid != NULL)
            *ppid = strtol(p, NULL, 10);
        if (field >= 11)
            ticks += strtod(p, NULL);
        p = strchr(p, ' ');
        p = p != NULL ? p + 1 : NULL;
    }
    return ticks * 1e6 / (double)sysconf(_SC_CLK_TCK);
}

/* To the nanosecond: proc(5) counts in ticks of 10 ms, 1 us a job of a quick look. 0: there is no such process. */
static double clock_us(pid_t pid)
{
    struct timespec t;
    clockid_t clock;

    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &t) != 0)
        return 0;
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

struct queue_use queue_env_use(pid_t pid)
{
    char path[64], text[4096];
    struct queue_use use;
    const char *line;

    use.cpu_us = clock_us(pid);
    (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    (void)read_text(path, text, sizeof(text));
    line = strstr(text, "VmHWM:");
    use.rss_mb = line != NULL ? strtod(line + 6, NULL) / 1024 : 0;
    return use;
}

double queue_env_postgres_cpu_us(void)
{
    char root[32];
    double sum;
    DIR *dir = opendir("/proc");

    (void)snprintf(root, sizeof(root), "%d", (int)queue_env.postgres.pid);
    sum = cpu_us(root, true, NULL);
    for (struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;) {
        long ppid = 0;
        double us = e->d_name[0] >= '1' && e->d_name[0] <= '9' ? cpu_us(e->d_name, false, &ppid) : 0;
        if (ppid == (long)queue_env.postgres.pid)
            sum += us;
    }
    if (dir != NULL)
        (void)closedir(dir);
    return sum;
}
