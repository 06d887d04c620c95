/* Happy path: members are started, a signal descriptor tells of ends and of requests to stop, what ended is started again
 * after its pause; stopping goes stage by stage with each stage's signal and patience.
 * Failure: a member that does not stop in its time gets the stage's hard signal, then SIGKILL. When this process itself is
 * killed, the kernel sends every member its death signal; what survives even that is in the record for the next start. */
#include "cli/dev/dev_super.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/dev/dev_proc.h"
#include "cli/dev/dev_record.h"
#include "cli/exit.h"
#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/list.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/str.h"

#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 5000
#define SAME_REQUEST_MS 500 /* timeout(1) and others signal the process and its group: that is one request */
#define STEADY_MS 30000     /* a program that lived as long is started again at once */
#define ORPHANS_MAX 64      /* looked at in one go */
#define KILL_WAIT_MS 5000   /* SIGKILL takes effect at once but for uninterruptible waits */

/* How the members of a stage are stopped. hard: when they did not stop in time, or at once. */
struct stage_rule {
    int soft, hard, death;
    int64_t soft_ms, hard_ms;
};
static const struct stage_rule rules[DEV_STAGES] = {
    [DEV_COMMAND] = {SIGTERM, SIGKILL, SIGTERM, 10000, KILL_WAIT_MS},
    [DEV_WORKER] = {SIGTERM, SIGKILL, SIGKILL, 35000, KILL_WAIT_MS}, /* longer than its drain-timeout */
    [DEV_SCHEDULER] = {SIGTERM, SIGKILL, SIGKILL, 15000, KILL_WAIT_MS},
    [DEV_HELPER] = {SIGTERM, SIGKILL, SIGKILL, 5000, KILL_WAIT_MS},
    [DEV_REDIS] = {SIGTERM, SIGKILL, SIGTERM, 15000, KILL_WAIT_MS},
    [DEV_POSTGRES] = {SIGINT, SIGQUIT, SIGQUIT, 30000, 10000}, /* fast, then immediate shutdown */
};

struct dev_member {
    struct list link;
    enum dev_stage stage;
    struct dev_child_spec spec;
    struct arena arena;   /* holds what spec points to */
    struct dev_proc proc; /* pid 0: not running */
    bool restart;
    bool stopping;
    int64_t started_ms;
    int64_t backoff_ms;
    int64_t start_at_ms; /* when not running and to be started again */
};

struct dev_super {
    struct dev_folder *folder;
    struct list members;
    sigset_t old_mask;
    int signal_fd;
    bool at_once;
    int64_t asked_ms; /* when the first request to stop came; 0: none did */
    size_t restarts;
};

static void record(const struct dev_super *s)
{
    struct buf lines = {0};

    LIST_FOR (it, &s->members) {
        const struct dev_member *m = LIST_OWNER(it, struct dev_member, link);
        if (m->proc.pid > 0)
            dev_record_put(&lines, &m->proc, m->spec.name);
    }
    dev_record_write(s->folder, &lines);
    buf_free(&lines);
}

/* ---- members ------------------------------------------------------------------------------------------------------------ */

static char **copy_strings(struct arena *arena, char *const *strings)
{
    size_t n = 0;

    while (strings[n] != NULL)
        n++;
    char **copy = arena_zalloc(arena, (n + 1) * sizeof(*copy));
    for (size_t i = 0; i < n; i++)
        copy[i] = arena_strdup(arena, strings[i]);
    return copy;
}

static void copy_spec(struct dev_member *m, const struct dev_child_spec *spec)
{
    m->spec = *spec;
    m->spec.name = arena_strdup(&m->arena, spec->name);
    m->spec.argv = copy_strings(&m->arena, spec->argv);
    m->spec.env = spec->env == NULL ? NULL : copy_strings(&m->arena, spec->env);
    m->spec.cwd = spec->cwd == NULL ? NULL : arena_strdup(&m->arena, spec->cwd);
    m->spec.log = spec->log == NULL ? NULL : arena_strdup(&m->arena, spec->log);
    m->spec.death_signal = rules[m->stage].death;
}

static void free_member(struct dev_member *m)
{
    list_remove(&m->link);
    arena_free(&m->arena);
    mem_free(m);
}

static enum err start(struct dev_super *s, struct dev_member *m, struct err_info *info)
{
    pid_t pid = 0;
    enum err err = dev_child_spawn(&m->spec, &pid, info);

    m->started_ms = clock_mono_ms();
    m->proc = err == ERR_OK ? dev_proc_of(pid) : (struct dev_proc){0, 0};
    record(s);
    return err;
}

enum err dev_super_add(struct dev_super *s, enum dev_stage stage, const struct dev_child_spec *spec, bool restart,
                       struct dev_member **out, struct err_info *info)
{
    struct dev_member *m = mem_zalloc(sizeof(*m));

    list_init(&m->link);
    m->stage = stage;
    m->restart = restart;
    m->backoff_ms = BACKOFF_MIN_MS;
    copy_spec(m, spec);
    list_append(&s->members, &m->link);
    enum err err = start(s, m, info);
    if (err != ERR_OK) {
        free_member(m);
        return err;
    }
    if (out != NULL)
        *out = m;
    return ERR_OK;
}

void dev_super_restart_from_now(struct dev_member *m)
{
    m->restart = true;
}

bool dev_super_running(const struct dev_member *m)
{
    return m->proc.pid > 0;
}

pid_t dev_super_pid(const struct dev_member *m)
{
    return m->proc.pid;
}

struct dev_member *dev_super_member(const struct dev_super *s, size_t n, const char **name)
{
    LIST_FOR (it, &s->members) {
        if (n-- == 0) {
            struct dev_member *m = LIST_OWNER(it, struct dev_member, link);
            *name = m->spec.name;
            return m;
        }
    }
    return NULL;
}

size_t dev_super_restarts(const struct dev_super *s)
{
    return s->restarts;
}

/* ---- ends and starts ---------------------------------------------------------------------------------------------------- */

static struct dev_member *find_pid(const struct dev_super *s, pid_t pid)
{
    LIST_FOR (it, &s->members) {
        struct dev_member *m = LIST_OWNER(it, struct dev_member, link);
        if (m->proc.pid == pid)
            return m;
    }
    return NULL;
}

static int exit_code_of(int status)
{
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static enum dev_event ended(struct dev_member *m, int status, struct dev_report *report)
{
    int code = exit_code_of(status);
    int64_t lived_ms = clock_mono_ms() - m->started_ms;

    m->proc = (struct dev_proc){0, 0};
    if (m->stopping)
        return DEV_RUNNING;
    report->code = code;
    (void)snprintf(report->text, sizeof(report->text), "%s ended with code %d%s%s", m->spec.name, code,
                   m->spec.log == NULL ? "" : "; see ", m->spec.log == NULL ? "" : m->spec.log);
    if (m->stage == DEV_COMMAND)
        return DEV_COMMAND_ENDED;
    if (lived_ms >= STEADY_MS)
        m->backoff_ms = BACKOFF_MIN_MS;
    m->start_at_ms = clock_mono_ms() + m->backoff_ms;
    log_warn("dev.ended", L_STR("program", m->spec.name), L_INT("code", code), L_MS("lived", lived_ms),
             L_MS("restart_in", m->restart ? m->backoff_ms : -1));
    m->backoff_ms = m->backoff_ms * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : m->backoff_ms * 2;
    return m->restart && code == EXIT_CONFIG ? DEV_FAILED : DEV_RUNNING;
}

static enum dev_event reap(struct dev_super *s, struct dev_report *report)
{
    enum dev_event event = DEV_RUNNING;
    int status = 0;
    pid_t pid = 0;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        struct dev_member *m = find_pid(s, pid);
        enum dev_event e = m == NULL ? DEV_RUNNING : ended(m, status, report);
        if (e != DEV_RUNNING)
            event = e;
    }
    return event;
}

static bool start_due(const struct dev_member *m)
{
    return m->restart && !m->stopping && m->proc.pid == 0;
}

static void start_what_is_due(struct dev_super *s)
{
    struct err_info info = {0};

    LIST_FOR (it, &s->members) {
        struct dev_member *m = LIST_OWNER(it, struct dev_member, link);
        if (!start_due(m) || clock_mono_ms() < m->start_at_ms)
            continue;
        s->restarts++;
        if (start(s, m, &info) == ERR_OK)
            continue;
        log_error("dev.restart", L_STR("program", m->spec.name), L_STR("error", info.text));
        m->start_at_ms = clock_mono_ms() + BACKOFF_MAX_MS;
    }
}

static int64_t next_start_in(const struct dev_super *s, int64_t most_ms)
{
    int64_t now = clock_mono_ms();

    LIST_FOR (it, &s->members) {
        const struct dev_member *m = LIST_OWNER(it, struct dev_member, link);
        if (start_due(m) && m->start_at_ms - now < most_ms)
            most_ms = m->start_at_ms > now ? m->start_at_ms - now : 0;
    }
    return most_ms;
}

static bool has_command(const struct dev_super *s)
{
    LIST_FOR (it, &s->members) {
        const struct dev_member *m = LIST_OWNER(it, struct dev_member, link);
        if (m->stage == DEV_COMMAND && m->proc.pid > 0)
            return true;
    }
    return false;
}

/* True when this request to stop is not the first one. */
static bool is_haste(struct dev_super *s)
{
    if (s->asked_ms == 0)
        s->asked_ms = clock_mono_ms();
    return clock_mono_ms() - s->asked_ms > SAME_REQUEST_MS;
}

/* Reads what came; true for a request to stop. A SIGINT from the terminal is the foreground command's own affair. */
static bool read_signals(struct dev_super *s)
{
    struct signalfd_siginfo si;
    bool stop = false;

    while (read(s->signal_fd, &si, sizeof(si)) == (ssize_t)sizeof(si)) {
        bool from_terminal = si.ssi_signo == SIGINT && si.ssi_code == SI_KERNEL;
        if (si.ssi_signo != SIGCHLD && !(from_terminal && has_command(s)))
            stop = true;
    }
    return stop;
}

static void wait_signal(const struct dev_super *s, int64_t timeout_ms)
{
    struct pollfd p = {.fd = s->signal_fd, .events = POLLIN};

    (void)poll(&p, 1, (int)timeout_ms);
}

enum dev_event dev_super_turn(struct dev_super *s, int64_t timeout_ms, struct dev_report *report)
{
    int64_t end_ms = clock_mono_ms() + timeout_ms;

    for (;;) {
        bool stop = read_signals(s);
        enum dev_event event = reap(s, report);
        if (event != DEV_RUNNING)
            return event;
        if (stop) {
            (void)is_haste(s);
            return DEV_INTERRUPTED;
        }
        start_what_is_due(s);
        int64_t left_ms = end_ms - clock_mono_ms();
        if (left_ms <= 0)
            return DEV_RUNNING;
        wait_signal(s, next_start_in(s, left_ms));
    }
}

/* ---- stopping ----------------------------------------------------------------------------------------------------------- */

static size_t signal_stage(struct dev_super *s, enum dev_stage stage, int signo)
{
    size_t running = 0;

    LIST_FOR (it, &s->members) {
        struct dev_member *m = LIST_OWNER(it, struct dev_member, link);
        if (m->stage != stage || m->proc.pid == 0)
            continue;
        running++;
        if (signo != 0)
            (void)kill(m->proc.pid, signo);
    }
    return running;
}

/* Waits until the stage is empty; false when the time is over, or when somebody asked for haste and that is new. */
static bool await_stage(struct dev_super *s, enum dev_stage stage, int64_t timeout_ms, bool heed_haste)
{
    int64_t end_ms = clock_mono_ms() + timeout_ms;
    struct dev_report ignored;

    for (;;) {
        bool haste = read_signals(s) && is_haste(s);
        (void)reap(s, &ignored);
        if (signal_stage(s, stage, 0) == 0)
            return true;
        s->at_once = s->at_once || haste;
        int64_t left_ms = end_ms - clock_mono_ms();
        if (left_ms <= 0 || (heed_haste && s->at_once))
            return false;
        wait_signal(s, left_ms);
    }
}

static void stop_stage(struct dev_super *s, enum dev_stage stage)
{
    const struct stage_rule *rule = &rules[stage];

    if (signal_stage(s, stage, s->at_once ? rule->hard : rule->soft) == 0)
        return;
    if (await_stage(s, stage, s->at_once ? rule->hard_ms : rule->soft_ms, !s->at_once))
        return;
    log_warn("dev.stop", L_INT("stage", stage), L_STR("reason", s->at_once ? "immediate stop" : "did not stop in time"));
    (void)signal_stage(s, stage, rule->hard);
    if (await_stage(s, stage, rule->hard_ms, false))
        return;
    (void)signal_stage(s, stage, SIGKILL);
    (void)await_stage(s, stage, KILL_WAIT_MS, false);
}

/* What members started and left behind has become our child. */
static void end_orphans(void)
{
    static const int signals[] = {SIGTERM, SIGKILL};
    struct dev_proc left[ORPHANS_MAX];
    size_t n = 0;

    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        for (int round = 0; round < 8 && (n = dev_proc_children(left, ORPHANS_MAX)) > 0; round++) {
            dev_proc_signal(left, n, signals[i]);
            if (!dev_proc_wait(left, n, KILL_WAIT_MS))
                break;
        }
    }
}

void dev_super_stop(struct dev_super *s, bool at_once)
{
    s->at_once = s->at_once || at_once;
    LIST_FOR (it, &s->members) {
        LIST_OWNER(it, struct dev_member, link)->stopping = true;
    }
    for (int stage = 0; stage < DEV_STAGES; stage++)
        stop_stage(s, (enum dev_stage)stage);
    end_orphans();
    dev_record_remove(s->folder);
}

/* ---- life --------------------------------------------------------------------------------------------------------------- */

enum err dev_super_new(struct dev_folder *f, struct dev_super **out, struct err_info *info)
{
    struct dev_super *s = mem_zalloc(sizeof(*s));
    sigset_t mask;
    enum err err = ERR_OK;

    list_init(&s->members);
    s->folder = f;
    s->signal_fd = -1;
    (void)sigemptyset(&mask);
    (void)sigaddset(&mask, SIGINT);
    (void)sigaddset(&mask, SIGTERM);
    (void)sigaddset(&mask, SIGHUP);
    (void)sigaddset(&mask, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &mask, &s->old_mask);
    s->signal_fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    if (s->signal_fd < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1) != 0)
        err = err_set(info, ERR_IO, "signals: %s", strerror(errno));
    else
        err = dev_record_end_leftovers(f, info);
    if (err != ERR_OK) {
        dev_super_free(s);
        return err;
    }
    record(s);
    *out = s;
    return ERR_OK;
}

void dev_super_free(struct dev_super *s)
{
    if (s == NULL)
        return;
    LIST_FOR_SAFE (it, &s->members) {
        free_member(LIST_OWNER(it, struct dev_member, link));
    }
    if (s->signal_fd >= 0) {
        (void)read_signals(s); /* a request that is still there would act when it is unblocked */
        (void)close(s->signal_fd);
    }
    (void)sigprocmask(SIG_SETMASK, &s->old_mask, NULL);
    mem_free(s);
}
