/* play: see play.h. */
#include "cli/demo/play.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/demo/store_demo.h"
#include "cli/dev/dev.h"
#include "common/base/clock.h"
#include "common/base/str.h"

#define POLL_MS 4 /* while the system works; development only, one small query */
#define STUCK_MS 120000
#define PROGRESS_MS 500
#define LINE_EVERY_DAYS 30 /* without a terminal */
#define CHAOS_LEAST_MS 1500
#define CHAOS_SPAN_MS 2500
#define DAY_US INT64_C(86400000000)

struct play {
    struct dev *dev;
    struct db_session *db;
    const struct play_config *config;
    struct play_result *result;
    int64_t moved_ms; /* when the clock moved last */
    int64_t shown_ms;
    int64_t shown_day;
    int64_t kill_at_ms;
    uint64_t random;
    bool live;
};

/* xorshift64*: S. Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled", 2016. */
static uint64_t next_random(struct play *p)
{
    p->random ^= p->random >> 12;
    p->random ^= p->random << 25;
    p->random ^= p->random >> 27;
    return p->random * UINT64_C(2685821657736338717);
}

static void kill_someone(struct play *p)
{
    static const char *const names[] = {"worker-1", "worker-2", "scheduler"};
    int64_t now_ms = clock_mono_ms();
    if (!p->config->chaos || now_ms < p->kill_at_ms)
        return;
    pid_t pid = dev_pid(p->dev, names[next_random(p) % 3]);
    if (pid > 0 && kill(pid, SIGKILL) == 0)
        p->result->kills++;
    p->kill_at_ms = now_ms + CHAOS_LEAST_MS + (int64_t)(next_random(p) % CHAOS_SPAN_MS);
}

static void show(struct play *p, int64_t at_us)
{
    struct store_progress n;
    char at[STR_TIME_SIZE];
    int64_t now_ms = clock_mono_ms();
    bool due = p->live ? now_ms - p->shown_ms >= PROGRESS_MS : at_us / DAY_US - p->shown_day >= LINE_EVERY_DAYS;
    if (!p->config->progress || !due || store_demo_progress(p->db, &n, NULL) != ERR_OK)
        return;
    p->shown_ms = now_ms;
    p->shown_day = at_us / DAY_US;
    str_from_time(at, at_us);
    fprintf(stderr,
            "%s%.10s  runs %lld  jobs %lld done %lld  retrying %lld  dead %lld  scheduled %lld  in flight %lld%s",
            p->live ? "\r\033[K" : "", at, (long long)n.runs, (long long)n.accepted, (long long)n.done,
            (long long)n.retries, (long long)n.dead, (long long)n.waiting, (long long)n.in_flight, p->live ? "" : "\n");
}

static enum err turn(struct play *p, int64_t timeout_ms, struct err_info *info)
{
    struct dev_report report;
    switch (dev_turn(p->dev, timeout_ms, &report)) {
    case DEV_RUNNING:
    case DEV_COMMAND_ENDED: return ERR_OK;
    case DEV_INTERRUPTED: return err_set(info, ERR_CANCELED, "interrupted");
    case DEV_FAILED: return err_set(info, ERR_STATE, "%s", report.text);
    }
    return ERR_OK;
}

static enum err stuck(struct play *p, const char *busy, struct err_info *info)
{
    json_t *why = NULL;
    err_set(info, ERR_TIMEOUT, "the clock has not moved for %d s: it waits for %s", STUCK_MS / 1000, busy);
    if (store_demo_stuck(p->db, &why, NULL) == ERR_OK) {
        char *text = json_dumps(why, JSON_COMPACT | JSON_SORT_KEYS);
        fprintf(stderr, "%s\n", text);
        free(text);
    }
    json_decref(why);
    return ERR_TIMEOUT;
}

/* Watching speed: so many domain days a second at the most. */
static enum err slow_down(struct play *p, int64_t from_us, int64_t to_us, struct err_info *info)
{
    if (p->config->days_per_second <= 0 || from_us == 0)
        return ERR_OK;
    double seconds = (double)(to_us - from_us) / (double)DAY_US / p->config->days_per_second;
    return turn(p, (int64_t)(seconds * 1000.0), info);
}

static enum err play_due(struct play *p, struct err_info *info)
{
    bool played = true;
    enum err err = ERR_OK;
    while (played && (err = store_demo_play(p->db, &played, info)) == ERR_OK)
        continue;
    return err;
}

enum err play_season(struct dev *dev, struct db_session *db, const struct play_config *config,
                     struct play_result *result, struct err_info *info)
{
    struct play p = {.dev = dev,
                     .db = db,
                     .config = config,
                     .result = result,
                     .random = config->seed | 1,
                     .live = isatty(STDERR_FILENO) == 1};
    struct store_step step = {0};
    int64_t at_us = 0;
    enum err err = ERR_OK;
    *result = (struct play_result){0};
    p.moved_ms = clock_mono_ms();
    p.kill_at_ms = p.moved_ms + CHAOS_LEAST_MS;
    while (err == ERR_OK && !step.finished) {
        if ((err = play_due(&p, info)) != ERR_OK)
            break;
        if ((err = store_demo_step(db, config->until, &step, info)) != ERR_OK)
            break;
        kill_someone(&p);
        show(&p, step.at_us);
        if (step.stepped) {
            result->steps++;
            p.moved_ms = clock_mono_ms();
            err = slow_down(&p, at_us, step.at_us, info);
            at_us = step.at_us;
        } else if (step.finished) {
            break;
        } else if (clock_mono_ms() - p.moved_ms > STUCK_MS) {
            err = stuck(&p, step.busy, info);
        } else {
            err = turn(&p, POLL_MS, info);
        }
    }
    if (p.live && config->progress)
        fputc('\n', stderr);
    return err;
}
