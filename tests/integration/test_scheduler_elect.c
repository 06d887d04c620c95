/* The program itself: leadership passes on when a leader dies, hangs or loses its session; a kill at any point loses and repeats
 * nothing; bad settings and a stepped clock in production are refused. */
#include <criterion/criterion.h>

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/io/die.h"
#include "scheduler/elect.h"
#include "tests/support/leader.h"

#define PATIENCE_MS 30000
#define LOOK_MS 20
#define LEADERS                                                                                                        \
    "select count(*) from pg_locks where locktype = 'advisory' and granted and objid = 1936221554 and database ="      \
    " (select oid from pg_database where datname = current_database())"

static void look_again(void)
{
    nanosleep(&(struct timespec){.tv_nsec = LOOK_MS * 1000000L}, NULL);
}

/* Waits until the SQL yields `want`; false after a long time. */
static bool comes_true(struct leader *t, const char *sql, int64_t want)
{
    const int64_t end = clock_mono_ms() + PATIENCE_MS;
    while (leader_i64(t, "%s", sql) != want) {
        if (clock_mono_ms() > end)
            return false;
        look_again();
    }
    return true;
}

static bool becomes(atomic_bool *flag, bool want)
{
    const int64_t end = clock_mono_ms() + PATIENCE_MS;
    while (atomic_load(flag) != want) {
        if (clock_mono_ms() > end)
            return false;
        look_again();
    }
    return true;
}

/* Starts the program on the test's servers; its log is dropped. */
static pid_t start(const struct leader *t, const char *environment, const char *die, const char *const *more)
{
    const char *bin = getenv("USHER_BIN");
    char path[256];
    const char *argv[16] = {path,         "--database-url", t->pg.url,  "--redis-url",
                            t->redis_url, "--environment",  environment};
    size_t n = 7;
    pid_t pid;

    snprintf(path, sizeof(path), "%s/usher-scheduler", bin ? bin : "build/debug");
    for (; more && *more; more++)
        argv[n++] = *more;
    pid = fork();
    if (pid == 0) {
        int null = open("/dev/null", O_RDWR);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        unsetenv("USHER_BIN"); /* no setting */
        dup2(null, STDOUT_FILENO);
        dup2(null, STDERR_FILENO);
        if (die)
            setenv("USHER_TEST_DIE", die, 1);
        execv(path, (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    return pid;
}

static int status_of(pid_t pid)
{
    int status = 0;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}

static int stop(pid_t pid)
{
    kill(pid, SIGTERM);
    return status_of(pid);
}

/* The frame's own leader stands aside: these tests have real ones. */
static bool open_servers(struct leader *t)
{
    if (!leader_open(t))
        return false;
    log_init("test", LOG_ERROR + 1, LOG_LOGFMT);
    return true;
}

Test(scheduler_elect, one_of_two_leads_and_the_other_takes_over_when_the_session_is_lost)
{
    struct leader t;
    struct elect a, b;
    struct wake wake_a, wake_b;
    if (!open_servers(&t))
        return;
    wake_init(&wake_a);
    wake_init(&wake_b);
    elect_start(&a, &t.settings, &wake_a, NULL, NULL);
    cr_assert(becomes(&a.leading, true));
    elect_start(&b, &t.settings, &wake_b, NULL, NULL);
    int64_t term = leader_i64(&t, "select term from automation_priv.leader");
    leader_sql(&t, "select pg_terminate_backend(backend_pid) from automation_priv.leader");
    cr_expect(comes_true(&t, LEADERS, 1));
    cr_expect(comes_true(
        &t, "select (term > (select min(term) from automation_priv.leader) - 1)::integer from automation_priv.leader",
        1));
    char newer[128];
    snprintf(newer, sizeof(newer), "select (term > %lld)::integer from automation_priv.leader", (long long)term);
    cr_expect(comes_true(&t, newer, 1));
    elect_stop(&a);
    cr_expect(becomes(&b.leading, true));
    elect_stop(&b);
    cr_expect(comes_true(&t, LEADERS, 0)); /* once its session has ended */
    wake_fini(&wake_a);
    wake_fini(&wake_b);
    leader_close(&t);
}

Test(scheduler_elect, a_leader_that_hangs_is_replaced)
{
    struct leader t;
    if (!open_servers(&t))
        return;
    pid_t a = start(&t, "development", NULL, NULL);
    char led_by[160];
    snprintf(led_by, sizeof(led_by), "select count(*) from automation_priv.leader where name like '%%%%:%d'", (int)a);
    cr_assert(comes_true(&t, "select count(*) from automation_priv.leader where name <> 'test'", 1));
    kill(a, SIGSTOP);
    pid_t b = start(&t, "development", NULL, NULL);
    /* It can not beat any more; its last beat is aged instead of waiting for 15 s. */
    leader_sql(&t, "update automation_priv.leader_beat set beat_at = clock_timestamp() - interval '16 seconds'");
    snprintf(led_by, sizeof(led_by), "select count(*) from automation_priv.leader where name like '%%:%d'", (int)b);
    cr_expect(comes_true(&t, led_by, 1));
    kill(a, SIGCONT);
    leader_rule(&t, "c1", "\"trigger\":{\"type\":\"event\",\"event\":\"contract.signed\"}," LEADER_TASK);
    leader_event(&t, "e1", "contract.signed", "{}");
    cr_expect(comes_true(&t, "select count(*) from automation.runs", 1));
    cr_expect_eq(stop(b), 0);
    snprintf(led_by, sizeof(led_by), "select count(*) from automation_priv.leader where name like '%%:%d'", (int)a);
    cr_expect(comes_true(&t, led_by, 1), "the one that hung is a standby like any");
    cr_expect_eq(stop(a), 0);
    leader_close(&t);
}

Test(scheduler_elect, a_kill_at_any_point_loses_and_repeats_nothing)
{
    static const char *const points[] = {"before_plan_commit", "after_plan_commit", "before_xadd", "after_xadd"};
    for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
        struct leader t;
        if (!open_servers(&t))
            return;
        leader_rule(&t, "c1", "\"trigger\":{\"type\":\"event\",\"event\":\"contract.signed\"}," LEADER_TASK);
        leader_event(&t, "e1", "contract.signed", "{}");
        cr_expect_eq(status_of(start(&t, "development", points[i], NULL)), DIE_STATUS, "%s", points[i]);
        pid_t b = start(&t, "development", NULL, NULL);
        cr_expect(comes_true(&t, "select count(*) from automation_priv.ledger", 1), "%s", points[i]);
        const int64_t entries = i == 3 ? 2 : 1;
        const int64_t end = clock_mono_ms() + PATIENCE_MS;
        while (leader_stream(&t) < entries && clock_mono_ms() < end)
            look_again();
        cr_expect_eq(leader_stream(&t), entries, "%s: after XADD the new leader adds a second entry", points[i]);
        cr_expect_eq(leader_i64(&t, "select count(*) from automation.runs where generation = 1"), 1, "%s", points[i]);
        cr_expect_eq(leader_i64(&t,
                                "select (sum(accepted) * 10 + sum(unaccounted))::bigint from automation_priv.audit()"),
                     10, "%s", points[i]);
        cr_expect_eq(stop(b), 0);
        leader_close(&t);
    }
}

Test(scheduler_elect, bad_settings_and_a_stepped_clock_in_production_are_refused)
{
    struct leader t;
    if (!open_servers(&t))
        return;
    cr_expect_eq(status_of(start(&t, "development", NULL, (const char *const[]){"--window", "1", NULL})),
                 SETTINGS_EXIT_CONFIG);
    cr_expect_eq(status_of(start(&t, "development", NULL, (const char *const[]){"--check-config", NULL})), 0);
    cr_expect_eq(status_of(start(&t, "development", NULL, (const char *const[]){"--help", NULL})), 0);
    cr_expect_eq(status_of(start(&t, "production", NULL, NULL)), SETTINGS_EXIT_CONFIG);
    leader_sql(&t, "select automation_priv.clock_set(null)");
    pid_t a = start(&t, "production", NULL, NULL);
    cr_expect(comes_true(&t, LEADERS, 1));
    cr_expect_eq(stop(a), 0);
    leader_close(&t);
}
