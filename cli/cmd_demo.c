/* usher demo: the sample season, played to its end on the stepped clock by the real system: private PostgreSQL and
 * Redis, scheduler, workers, a
 * mail relay and a webhook receiver. */
#include <errno.h>
#include <ftw.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cmd.h"
#include "cli/demo/play.h"
#include "cli/demo/sinks.h"
#include "cli/demo/store_demo.h"
#include "cli/demo/summary.h"
#include "cli/dev/dev.h"
#include "cli/season/load.h"
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/io/db.h"

#define MARKER "usher-demo" /* only a folder that holds this file is ever removed */
#define STAY_TURN_MS 60000

struct demo_options {
    char *data;
    char *season;
    int64_t workers;
    char *speed;
    bool stay;
    bool chaos;
    int64_t seed;
};

#define AT(field) offsetof(struct demo_options, field)
static const struct conf_key options[] = {
    SETTING_STR("data", AT(data), NULL, CMD_DEV_FOLDER "/demo", 0, "folder of the demo; begun anew each time"),
    SETTING_STR("season", AT(season), NULL, NULL, 0, "season folder; unset: the sample season"),
    SETTING_INT("workers", AT(workers), NULL, "2", 1, 16, "worker processes"),
    SETTING_STR("speed", AT(speed), NULL, NULL, 0, "domain days per second, to watch; unset: as fast as it goes"),
    SETTING_BOOL("stay", AT(stay), NULL, "stay up at the end, until SIGINT"),
    SETTING_BOOL("chaos", AT(chaos), NULL, "kill workers and the scheduler at random meanwhile"),
    SETTING_INT("seed", AT(seed), NULL, "1", 1, INT32_MAX, "of --chaos"),
    {.name = NULL},
};

struct demo {
    struct cmd_run *run;
    const struct demo_options *o;
    char home[SEASON_PATH_MAX]; /* of season.sql and the sinks */
    char season[SEASON_PATH_MAX];
    char start[STR_TIME_SIZE];
    char until[STR_TIME_SIZE];
    struct dev *dev;
    struct db_session *db;
    struct sinks sinks;
    struct season_counts counts;
    struct play_result played;
    int64_t began_ms;
};

/* ---- folders
 * ------------------------------------------------------------------------------------------------------------------
 * */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static enum err fresh_folder(const char *path, struct err_info *info)
{
    char marker[SINKS_PATH_MAX];
    snprintf(marker, sizeof(marker), "%s/" MARKER, path);
    if (access(marker, F_OK) == 0 && nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0)
        return err_set(info, ERR_IO, "%s: %s", path, strerror(errno));
    char *parent = mem_strdup(path);
    char *slash = strrchr(parent, '/');
    if (slash && slash != parent) {
        *slash = '\0';
        (void)mkdir(parent, 0755);
    }
    mem_free(parent);
    if (mkdir(path, 0755) != 0)
        return err_set(info, ERR_STATE, "%s: %s: name another folder with --data", path,
                       errno == EEXIST ? "exists and is no demo folder" : strerror(errno));
    FILE *f = fopen(marker, "we");
    if (!f)
        return err_set(info, ERR_IO, "%s: %s", marker, strerror(errno));
    (void)fclose(f);
    return ERR_OK;
}

static enum err find_season(struct demo *d, struct err_info *info)
{
    char path[SEASON_PATH_MAX + 32];
    json_error_t why;
    str_copy(d->season, sizeof(d->season), d->o->season ? d->o->season : d->home);
    snprintf(path, sizeof(path), "%s/season.json", d->season);
    json_t *season = json_load_file(path, 0, &why);
    const char *start = json_string_value(json_object_get(season, "start"));
    const char *until = json_string_value(json_object_get(season, "until"));
    enum err err = ERR_OK;
    if (!season)
        err = err_set(info, ERR_NOTFOUND, "%s: line %d: %s", path, why.line, why.text);
    else if (!start || !until)
        err = err_set(info, ERR_INVALID, "%s: expected \"start\" and \"until\", RFC 3339", path);
    else {
        str_copy(d->start, sizeof(d->start), start);
        str_copy(d->until, sizeof(d->until), until);
    }
    json_decref(season);
    return err;
}

/* ---- steps
 * ----------------------------------------------------------------------------------------------------------------------
 * */

static void on_bad_line(void *arg, const char *line)
{
    (void)arg;
    fprintf(stderr, "%s\n", line);
}

static enum err start_stores(struct demo *d, struct err_info *info)
{
    char *migrations = settings_find_migrations(d->run->settings, info);
    struct dev_config config = {.data = d->o->data, .migrations = migrations};
    enum err err = migrations ? ERR_OK : ERR_NOTFOUND;
    if (err == ERR_OK)
        err = season_home(d->run->settings, d->home, info);
    if (err == ERR_OK)
        err = find_season(d, info);
    if (err == ERR_OK)
        err = dev_check_programs(info);
    if (err == ERR_OK)
        err = fresh_folder(d->o->data, info);
    if (err == ERR_OK)
        err = dev_start(&config, &d->dev, info);
    mem_free(migrations);
    return err;
}

static enum err load(struct demo *d, struct err_info *info)
{
    struct db_session_config config = {.url = dev_urls(d->dev)->admin, .name = "usher demo"};
    enum err err = db_open(&config, &d->db, info);
    if (err == ERR_OK)
        err = store_demo_begin(d->db, d->start, d->until, info);
    if (err == ERR_OK)
        err = season_load(d->db, d->home, d->season, false, on_bad_line, NULL, &d->counts, info);
    if (err == ERR_OK)
        fprintf(stderr, "season: %lld tenants, %lld rules, %lld weddings, %lld script lines, %lld bad lines\n",
                (long long)d->counts.tenants, (long long)d->counts.rules, (long long)d->counts.weddings,
                (long long)d->counts.events, (long long)d->counts.bad);
    return err;
}

static enum err start_programs(struct demo *d, struct err_info *info)
{
    char smtp[128], secret[] = "USHER_WEBHOOK_SECRET=" SINKS_SECRET, allow[] = "USHER_EGRESS_ALLOW=127.0.0.0/8",
                    http[] = "USHER_EGRESS_HTTP=true", from[] = "USHER_MAIL_FROM=Usher <automation@usher.example>",
                    dev[] = "USHER_ENV=development";
    char *env[] = {smtp, secret, allow, http, from, dev, NULL};
    struct dev_programs programs = {.workers = (int)d->o->workers, .env = env};
    enum err err = sinks_start(d->dev, d->home, &d->sinks, info);
    if (err == ERR_OK)
        err = store_demo_receiver(d->db, d->sinks.webhook_url, info);
    snprintf(smtp, sizeof(smtp), "USHER_SMTP_URL=%s", d->sinks.smtp_url);
    return err == ERR_OK ? dev_add_programs(d->dev, &programs, info) : err;
}

static enum err play(struct demo *d, struct err_info *info)
{
    struct play_config config = {.until = d->until, .chaos = d->o->chaos, .seed = (uint64_t)d->o->seed, .progress = true};
    if (d->o->speed &&
        (str_to_double(str_of(d->o->speed), &config.days_per_second) != ERR_OK || config.days_per_second <= 0))
        return err_set(info, ERR_INVALID, "--speed %s: expected domain days per second, such as 7", d->o->speed);
    return play_season(d->dev, d->db, &config, &d->played, info);
}

static enum err report(struct demo *d, bool *good, struct err_info *info)
{
    json_t *s = NULL, *changes = NULL;
    enum err err = store_demo_summary(d->db, &s, info);
    if (err == ERR_OK)
        err = store_demo_changes(d->db, &changes, info);
    if (err != ERR_OK) {
        json_decref(s);
        return err;
    }
    summary_add_changes(s, changes);
    struct sinks_count mails = sinks_mails(&d->sinks), webhooks = sinks_webhooks(&d->sinks);
    json_object_set_new(s, "mails", json_integer(mails.accepted));
    json_object_set_new(s, "webhooks", json_integer(webhooks.accepted));
    json_object_set_new(s, "duplicates", json_integer(mails.duplicates + webhooks.duplicates));
    char digest[ID_TEXT_SIZE];
    json_t *digests = json_object_get(s, "digests");
    json_object_set_new(digests, "mails", json_string(id_format(&mails.digest, digest)));
    json_object_set_new(digests, "webhooks", json_string(id_format(&webhooks.digest, digest)));
    json_object_set_new(s, "bad_lines", json_integer(d->counts.bad));
    json_object_set_new(s, "clock_steps", json_integer(d->played.steps));
    json_object_set_new(s, "kills", json_integer(d->played.kills));
    json_object_set_new(s, "wall_seconds", json_real((double)(clock_mono_ms() - d->began_ms) / 1000.0));
    *good = json_integer_value(json_object_get(s, "unaccounted")) == 0 &&
            json_integer_value(json_object_get(s, "sent_after_cancellation")) == 0;
    if (d->run->json) {
        json_dumpf(s, stdout, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(6));
        fputc('\n', stdout);
    } else {
        summary_print(s);
    }
    fflush(stdout);
    json_decref(s);
    return ERR_OK;
}

static void stay(struct demo *d)
{
    fprintf(stderr, "The season is over. Everything stays up until Ctrl-C:\n  DATABASE_URL='%s'\n  REDIS_URL='%s'\n",
            dev_urls(d->dev)->admin, dev_urls(d->dev)->redis);
    while (dev_turn(d->dev, STAY_TURN_MS, NULL) == DEV_RUNNING)
        continue;
}

static int run_demo(struct cmd_run *run)
{
    struct demo d = {.run = run, .o = run->options, .began_ms = clock_mono_ms()};
    struct err_info info = {0};
    bool good = false;
    enum err err = start_stores(&d, &info);
    if (err == ERR_OK)
        err = load(&d, &info);
    if (err == ERR_OK)
        err = start_programs(&d, &info);
    if (err == ERR_OK)
        err = play(&d, &info);
    if (err == ERR_OK)
        err = report(&d, &good, &info);
    if (err == ERR_OK && d.o->stay)
        stay(&d);
    db_close(d.db);
    dev_stop(d.dev);
    if (err == ERR_CANCELED)
        return EXIT_INTERRUPTED;
    if (err != ERR_OK)
        return cmd_fail(run, cmd_exit_code(err), "%s", info.text);
    return good ? EXIT_OK : EXIT_FAILED;
}

const struct cmd cmd_demo = {
    .path = "demo",
    .summary = "play the sample season to its end and sum it up",
    .options = options,
    .options_size = sizeof(struct demo_options),
    .details = "Starts a private system in its own folder, loads the season, and plays it on a stepped clock that "
               "jumps from one due instant\n"
               "to the next. Exit code 1 when a job is unaccounted for or a cancelled wedding got a message.",
    .examples = "usher demo\nusher demo --json\nusher demo --speed 7 --stay\nusher demo --chaos --seed 7\n",
    .run = run_demo,
};
