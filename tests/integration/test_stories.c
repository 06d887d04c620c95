/* Time-travel stories: tests/stories/NAME.json, one wedding business each, all played at once through the real scheduler, workers
 * and mail sink on the stepped clock. What happened must be exactly what each story expects; tests/stories/README.md tells the
 * format. */
#include <criterion/criterion.h>
#include <glob.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "tests/support/sink.h"
#include "tests/support/system.h"

#define BEGINNING "2026-01-05T00:00:00Z"
#define END "2040-01-01T00:00:00Z"
#define STUCK_MS (SYSTEM_PATIENCE_S * 1000)
#define POLL_MS 2

static struct sink mail;
static struct db_session *db;
static int scheduler, worker;
static const char *const *scheduler_env;
static char smtp[64];

/* ---- loading -------------------------------------------------------------------------------------------------------------- */

static void read_file(const char *path, struct buf *out)
{
    char piece[4096];
    size_t n;
    FILE *f = fopen(path, "r");

    cr_assert_not_null(f, "%s", path);
    while ((n = fread(piece, 1, sizeof(piece), f)) > 0)
        buf_put(out, piece, n);
    fclose(f);
}

static void load(const char *path)
{
    static const struct db_stmt stmt = {"story_load", "select stories.load($1, $2)"};
    const char *base = strrchr(path, '/') + 1;
    struct arena arena = {0};
    struct err_info info = {0};
    struct db_result *r = NULL;
    struct db_args args;
    struct buf doc = {0};

    read_file(path, &doc);
    db_args_init(&args, &arena);
    db_arg_text(&args, (struct str){base, strlen(base) - strlen(".json")});
    db_arg_json(&args, (struct str){doc.data, doc.len});
    cr_assert_eq(db_query(db, &stmt, &args, &r, &info), ERR_OK, "%s: %s", path, info.text);
    db_result_free(r);
    arena_free(&arena);
    buf_free(&doc);
}

static size_t load_all(const char *pattern)
{
    char path[256];
    struct buf frame = {0};
    glob_t found;

    read_file("tests/stories/frame.sql", &frame);
    test_pg_run(&sys.pg, buf_text(&frame));
    buf_free(&frame);
    snprintf(path, sizeof(path), "tests/stories/%s.json", pattern);
    cr_assert_eq(glob(path, 0, NULL, &found), 0, "no story %s", path);
    for (size_t i = 0; i < found.gl_pathc; i++)
        load(found.gl_pathv[i]);
    size_t n = found.gl_pathc;
    globfree(&found);
    return n;
}

/* ---- processes and stores ---------------------------------------------------------------------------------------------------- */

static int start_worker(void)
{
    const char *const env[] = {smtp, "USHER_SMTP_TLS=none", NULL};

    return system_worker(env);
}

static void stop(const char *what)
{
    if (strcmp(what, "worker") == 0)
        system_kill(worker);
    else if (strcmp(what, "scheduler") == 0)
        system_kill(scheduler);
    else if (strcmp(what, "redis") == 0)
        redis_server_kill(&sys.redis);
    else if (strcmp(what, "mail") == 0)
        sink_halt(&mail);
    else
        cr_assert_fail("no such thing to stop: %s", what);
}

static void start_mail(void)
{
    char port[16];
    const char *const args[] = {"--port", port, NULL};

    snprintf(port, sizeof(port), "%d", mail.port);
    sink_start(&mail, "smtp_sink.py", args);
}

static void start(const char *what)
{
    if (strcmp(what, "worker") == 0) {
        system_lease_passes();
        worker = start_worker();
    } else if (strcmp(what, "scheduler") == 0) {
        scheduler = system_scheduler(scheduler_env);
    } else if (strcmp(what, "redis") == 0) {
        redis_server_restart(&sys.redis);
    } else if (strcmp(what, "mail") == 0) {
        start_mail();
    } else {
        cr_assert_fail("no such thing to start: %s", what);
    }
}

static void reopen(void)
{
    db_close(db);
    db = test_pg_session(&sys.pg);
}

/* "stop scheduler", "start worker", "kill redis": the last is both. */
static void perform(const char *order)
{
    const char *what = strchr(order, ' ') + 1;

    if (strncmp(order, "start ", 6) == 0) {
        start(what);
    } else if (strcmp(order, "kill postgres") == 0) {
        postgres_restart(&sys.postgres);
        reopen();
    } else if (strncmp(order, "kill ", 5) == 0) {
        stop(what);
        start(what);
    } else {
        cr_assert(strncmp(order, "stop ", 5) == 0, "unknown line of a story: %s", order);
        stop(what);
    }
}

/* ---- the play ---------------------------------------------------------------------------------------------------------------- */

static struct db_result *ask(const struct db_stmt *stmt)
{
    struct err_info info = {0};
    struct db_result *r = NULL;

    cr_assert_eq(db_query(db, stmt, NULL, &r, &info), ERR_OK, "%s: %s", stmt->name, info.text);
    return r;
}

static bool play_line(void)
{
    static const struct db_stmt stmt = {"story_play", "select stories.play_next()"};
    struct db_result *r = ask(&stmt);
    struct str order = db_text(r, 0, 0);
    bool played = !db_null(r, 0, 0);
    char text[64] = "";

    if (played && order.n > 0)
        str_copy_n(text, sizeof(text), order.p, order.n);
    db_result_free(r);
    if (text[0] != '\0')
        perform(text);
    return played;
}

static void stuck(const char *busy)
{
    system_show_logs();
    cr_assert_fail("the clock has not moved for %d s: it waits for %s", STUCK_MS / 1000, busy);
}

static void play(void)
{
    static const struct db_stmt step = {"story_step", "select * from stories.step('" END "')"};
    int64_t moved_ms = clock_mono_ms();
    bool finished = false;

    while (!finished) {
        while (play_line())
            continue;
        struct db_result *r = ask(&step);
        bool moved = db_bool(r, 0, 0);
        char busy[64];
        finished = db_bool(r, 0, 1);
        str_copy_n(busy, sizeof(busy), db_text(r, 0, 2).p, db_text(r, 0, 2).n);
        db_result_free(r);
        if (moved)
            moved_ms = clock_mono_ms();
        else if (clock_mono_ms() - moved_ms > STUCK_MS)
            stuck(busy);
        else if (!finished)
            (void)poll(NULL, 0, POLL_MS);
    }
}

/* ---- the judge ---------------------------------------------------------------------------------------------------------------- */

static void take_mails(void)
{
    struct buf lines = {0};
    struct buf sql = {0};

    sink_read(&mail, "accepted.jsonl", &lines);
    buf_put_str(&sql, "insert into stories.mails (message_id, recipient, subject) select btrim(split_part(m ->> "
                      "'message_id', '@', 1), '<'), m ->> "
                      "'to', m ->> 'subject'"
                      " from jsonb_array_elements($mails$[");
    for (char *line = lines.data, *end;
         line != NULL && (end = memchr(line, '\n', (size_t)(lines.data + lines.len - line))) != NULL; line = end + 1)
        buf_printf(&sql, "%s%.*s", line == lines.data ? "" : ",", (int)(end - line), line);
    buf_put_str(&sql, "]$mails$) m");
    test_pg_run(&sys.pg, buf_text(&sql));
    buf_free(&lines);
    buf_free(&sql);
}

static void expect_none(const struct db_stmt *stmt)
{
    struct db_result *r = ask(stmt);

    for (int i = 0; i < db_rows(r); i++)
        cr_expect_fail("%.*s: %.*s", (int)db_text(r, i, 0).n, db_text(r, i, 0).p, (int)db_text(r, i, 1).n,
                       db_text(r, i, 1).p);
    db_result_free(r);
}

static void judge(void)
{
    static const struct db_stmt refused = {
        "story_refused", "select s.name || ', rule ' || r.name, r.rejection::text from automation.rules r"
                         " join stories.story s on s.tenant = r.tenant_id where r.rejected_revision = r.revision"};
    static const struct db_stmt differences = {"story_differences", "select story, line from stories.differences()"};

    take_mails();
    expect_none(&refused);
    expect_none(&differences);
    cr_expect_eq(system_i64("select coalesce(sum(abs(unaccounted)), 0)::bigint from automation_priv.audit()"), 0,
                 "unaccounted");
    cr_expect_eq(system_i64("select (select count(distinct message_id) from stories.mails) - (select count(*) from "
                            "automation.execution_logs"
                            " where outcome = 0 and kind in ('send_email', 'notify_vendor', 'notify_team'))"),
                 0, "mails received and mails logged differ");
}

static void close_stories(void)
{
    db_close(db);
    sink_stop(&mail);
    system_close();
}

TestSuite(stories, .fini = close_stories, .timeout = 300);

static void tell(const char *pattern)
{
    if (!system_open(true))
        return;
    log_init("test", LOG_ERROR, LOG_LOGFMT);
    system_sql("delete from automation.weddings; delete from automation.tenants where tenant_id = '" SYSTEM_TENANT "';"
               "select automation_priv.ensure_partitions('" BEGINNING "', '" BEGINNING
               "'); select automation_priv.clock_set('" BEGINNING "')");
    db = test_pg_session(&sys.pg);
    size_t n = load_all(pattern);
    sink_start(&mail, "smtp_sink.py", NULL);
    snprintf(smtp, sizeof(smtp), "USHER_SMTP_URL=smtp://127.0.0.1:%d", mail.port);
    worker = start_worker();
    scheduler = system_scheduler(scheduler_env);
    int64_t begun_ms = clock_mono_ms();
    play();
    judge();
    cr_log_info("%zu stories in %lld ms", n, (long long)(clock_mono_ms() - begun_ms));
}

Test(stories, every_wedding_gets_exactly_what_its_story_tells)
{
    const char *pattern = getenv("STORIES");

    tell(pattern != NULL ? pattern : "*");
}

Test(stories, a_herd_is_spread_as_its_story_tells)
{
    static const char *const env[] = {"USHER_SMEAR_ABOVE=4", NULL};

    scheduler_env = env;
    tell("smear/*");
}

/* ---- what there is ---------------------------------------------------------------------------------------------------------- */

/* A vendor's address among the recipients of the expected lines, and another one. */
static bool has_several_vendors(const json_t *story)
{
    const json_t *line;
    const char *first = NULL;
    size_t i;

    json_array_foreach(json_object_get(story, "expect"), i, line)
    {
        const char *told = strstr(json_string_value(line), " mail ");
        if (told == NULL || strstr(told, "@vendor.example") == NULL)
            continue;
        if (first == NULL)
            first = told;
        else if (strncmp(first, told, strcspn(first, "@")) != 0)
            return true;
    }
    return false;
}

static bool has_outage(const json_t *story)
{
    const json_t *line;
    size_t i;

    json_array_foreach(json_object_get(story, "script"), i, line)
    {
        const char *verb = json_string_value(json_array_get(line, 1));
        if (strcmp(verb, "stop") == 0 || strcmp(verb, "kill") == 0)
            return true;
    }
    return false;
}

/* Rules, weddings and list must each be its own, so that a permutation counts once. */
static bool is_new(json_t *seen, const json_t *story)
{
    static const char *const own[] = {"rules", "weddings", "expect"};
    bool all = true;

    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
        char *text = json_dumps(json_object_get(story, own[i]), JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
        all = all && text != NULL && json_object_get(seen, text) == NULL;
        if (text != NULL)
            json_object_set_new(seen, text, json_true());
        free(text);
    }
    return all;
}

Test(story_counts, sixty_of_their_own_each_complaint_and_enough_vendors_and_outages)
{
    int own = 0, vendors = 0, outages = 0;
    unsigned complaints = 0;
    json_t *seen = json_object();
    glob_t found;

    cr_assert_eq(glob("tests/stories/*.json", 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        json_t *story = json_load_file(found.gl_pathv[i], 0, NULL);
        cr_assert_not_null(story, "%s", found.gl_pathv[i]);
        own += is_new(seen, story);
        vendors += has_several_vendors(story);
        outages += has_outage(story);
        const char *sentence = json_string_value(json_object_get(story, "story"));
        char *rest = NULL;
        long complaint = sentence[0] == 'P' ? strtol(sentence + 1, &rest, 10) : 0;
        if (complaint > 0 && complaint <= 12 && rest[0] == ':')
            complaints |= 1U << complaint;
        json_decref(story);
    }
    cr_expect_geq(own, 60, "%d stories have rules, weddings and a list of their own", own);
    cr_expect_eq(complaints, 0x1ffeU, "complaints P1 to P12: %x", complaints);
    cr_expect_geq(vendors, 6, "%d stories have several vendors", vendors);
    cr_expect_geq(outages, 6, "%d stories have an outage", outages);
    json_decref(seen);
    globfree(&found);
}
