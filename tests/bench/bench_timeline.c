/* bench_timeline: what the wedding timeline costs: due instants, bursts, moved dates, new rules, imports, lateness.
 *
 * SCALE (default 1) times 1,000 tenants × 40 weddings × 60 timings; each metric is printed at a tenth, a third and the whole of it, with
 * its growth: the cost of a unit at the whole over that at the tenth, 1 when costs are linear. Duties run in this process as they do in
 * the leader's thread; the host application's statements run on a session of their own. The burst's timings are made due by hand: the
 * tick sees a due instant, however it came.
 *
 * lateness_p99_ms runs on the real clock with the leader's own thread: from a timing's instant to the COMMIT that planned its run. */
#include <inttypes.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/bench/report.h"
#include "tests/bench/timeline_data.h"

enum {
    TENANTS = 1000,
    SCALES = 3,
    DUE = 5000,
    BURST = 50000,
    IDLE_ROUNDS = 101,
    MOVES = 41,
    NEW_RULES = 21,
    IMPORT = 1000,
    LATE_TIMINGS = 2000,
    LATE_SPREAD_S = 20,
    LATE_POLL_MS = 100,
    LATE_LEAD_S = 2 /* the first instant is so far ahead, that the thread is running */
};

/* In the order in which they are measured. Those without a target of the design carry one that a user would notice. */
enum metric_name { TICK_IDLE, TICK_DUE, BURST_PLANNED, DATE_MOVE, ADD_RULE, IMPORT_WEDDINGS, LATENESS, METRICS };
static const struct {
    const char *name, *unit;
    double most;
} metrics[METRICS] = {
    [TICK_IDLE] = {"tick_idle_ms", "ms", 5},           [TICK_DUE] = {"tick_due_us", "us per timing", 200},
    [BURST_PLANNED] = {"burst_50000_s", "s", 5},       [DATE_MOVE] = {"date_move_ms", "ms", 10},
    [ADD_RULE] = {"add_rule_new_timing_ms", "ms", 50}, [IMPORT_WEDDINGS] = {"import_1000_weddings_s", "s", 10},
    [LATENESS] = {"lateness_p99_ms", "ms", 1000},
};
#define GROWTH_MOST 2.0 /* a machine shared with others; what is not linear grows tenfold */

static struct report report = {.bench = "timeline"};

static void fail(const char *what, const struct err_info *info)
{
    fprintf(stderr, "bench timeline: %s: %s\n", what, info->text);
    exit(1);
}

/* Rounds of all duties until none has more to do. */
static double work(struct timeline *t)
{
    const double from_ms = report_now_ms();
    bool more = true;

    while (more) {
        if (lead_round(&t->leader.lead, &more) != ERR_OK)
            fail("round", &(struct err_info){.text = "the term has ended"});
    }
    return report_now_ms() - from_ms;
}

static double tick_idle(struct timeline *t)
{
    double v[IDLE_ROUNDS];

    (void)work(t);
    for (int i = 0; i < IDLE_ROUNDS; i++)
        v[i] = work(t);
    return report_median(v, IDLE_ROUNDS);
}

static void make_due(struct timeline *t, int n)
{
    timeline_sql(t,
                 "update automation.timings x set due_at = automation.now(), state = 'pending' from (select tenant_id, "
                 "wedding_id, timing_id from automation.timings where state = 'pending' and tenant_id <> '" TIMELINE_BIG
                 "' order by md5(tenant_id::text || "
                 "wedding_id || timing_id) limit %d) p where (x.tenant_id, x.wedding_id, x.timing_id) = (p.tenant_id, "
                 "p.wedding_id, p.timing_id)",
                 n);
}

static int64_t runs(struct timeline *t)
{
    return timeline_i64(t, "select count(*) from automation.runs");
}

/* Those that began: a skipped run costs less, and is not what is measured. */
static int64_t begun(struct timeline *t)
{
    return timeline_i64(t, "select count(*) from automation.runs where state = 'running'");
}

/* Microseconds a timing until `most` due timings, or half of all where there are not so many, are planned and committed. */
static double plan(struct timeline *t, int most)
{
    const int64_t before = begun(t);
    const int64_t half =
        timeline_i64(t, "select count(*) / 2 from automation.timings where state = 'pending' and tenant_id "
                        "<> '" TIMELINE_BIG "'");
    const int n = half < most ? (int)half : most;
    double from_ms, ms;
    bool more = true;
    struct err_info info = {0};

    make_due(t, n);
    from_ms = report_now_ms();
    while (more) {
        if (tick_run(&t->leader.lead, &more, &info) != ERR_OK)
            fail("tick", &info);
    }
    ms = report_now_ms() - from_ms;
    if (begun(t) - before < n)
        fail("tick", &(struct err_info){.text = "fewer runs began than timings were due"});
    return ms * 1e3 / n;
}

static double date_move(struct timeline *t)
{
    double v[MOVES];

    for (int i = 0; i < MOVES; i++) {
        const double from_ms = report_now_ms();

        timeline_sql(
            t,
            "update automation.weddings set ceremony_date = ceremony_date + %d where tenant_id = '" TIMELINE_BIG
            "' and wedding_id = automation_priv.derive('bench_wedding', '" TIMELINE_BIG "', '%d')",
            i % 2 == 0 ? 7 : -7, 1 + i % TIMELINE_WEDDINGS);
        v[i] = report_now_ms() - from_ms;
    }
    return report_median(v, MOVES);
}

/* From the INSERT to the COMMIT after which the new instants of the tenant's weddings stand. */
static double add_rule(struct timeline *t)
{
    double v[NEW_RULES];

    for (int i = 0; i < NEW_RULES; i++) {
        const double from_ms = report_now_ms();
        struct err_info info = {0};
        bool more = false;

        timeline_sql(t,
                     "insert into automation.rules (tenant_id, rule_id, name, status, definition) values "
                     "('" TIMELINE_BIG "', gen_random_uuid(), 'new', 'active', '{\"schema_version\":1,\"name\":\"new\","
                     "\"trigger\":{\"type\":\"milestone\",\"milestone\":\"ceremony\",\"offset\":\"-P%dD\",\"at\":"
                     "\"10:30\"}," LEADER_TASK "}')",
                     i + 1);
        if (check_run(&t->leader.lead, &more, &info) != ERR_OK)
            fail("check", &info);
        v[i] = report_now_ms() - from_ms;
    }
    return report_median(v, NEW_RULES);
}

static double import_weddings(struct timeline *t)
{
    const double from_ms = report_now_ms();

    timeline_sql(
        t,
        "insert into automation.weddings (tenant_id, wedding_id, title, status, ceremony_date, ceremony_time, "
        "time_zone, guest_count) select automation_priv.derive('bench_tenant', '1'), gen_random_uuid(), 'Import ' || "
        "i, 'booked', date '2027-01-01' + i %% 700, '14:00', 'Europe/Paris', 80 from generate_series(1, %d) i",
        IMPORT);
    return report_now_ms() - from_ms;
}

/* On the real clock, so it is the last of its database. */
static double lateness(struct timeline *t)
{
    pthread_t thread;
    char sql[512];
    int64_t before, n;

    (void)work(t);
    before = runs(t);
    timeline_sql(
        t, "update automation.timings set state = 'suspended' where state = 'pending' and (tenant_id = '" TIMELINE_BIG
           "' or due_at <= "
           "statement_timestamp() + interval '10 minutes')");
    timeline_sql(t, "select automation_priv.clock_set(null)");
    timeline_sql(t,
                 "update automation.timings x set due_at = clock_timestamp() + (%d + p.n * %d.0 / %d) * interval '1 "
                 "second' from (select *, row_number() over () n from (select tenant_id, wedding_id, timing_id from "
                 "automation.timings where state = 'pending' and tenant_id <> '" TIMELINE_BIG
                 "' limit %d) y) p where (x.tenant_id, x.wedding_id, "
                 "x.timing_id) = (p.tenant_id, p.wedding_id, p.timing_id)",
                 LATE_LEAD_S, LATE_SPREAD_S, LATE_TIMINGS, LATE_TIMINGS);
    n = timeline_i64(t,
                     "select count(*) from automation.timings where state = 'pending' and due_at < clock_timestamp() + "
                     "interval '9 minutes'");
    if (pthread_create(&thread, NULL, lead_main, &t->leader.lead) != 0)
        abort();
    while (runs(t) - before < n)
        (void)poll(NULL, 0, LATE_POLL_MS);
    lead_stop(&t->leader.lead);
    pthread_join(thread, NULL);
    (void)snprintf(sql, sizeof(sql),
                   "select (percentile_cont(0.99) within group (order by 1000000 * extract(epoch from "
                   "pg_xact_commit_timestamp(xmin) - due_at)))::bigint from automation.runs where due_at > "
                   "clock_timestamp() - interval '%d seconds'",
                   10 * LATE_SPREAD_S);
    return (double)timeline_i64(t, sql) / 1e3;
}

static void measure(double scale, double v[METRICS])
{
    struct timeline t;
    const double opened_ms = report_now_ms();

    timeline_open(&t, (int)lround(TENANTS * scale));
    fprintf(stderr, "%d tenants: made in %.1f s, %" PRId64 " timings\n", t.tenants, (report_now_ms() - opened_ms) / 1e3,
            timeline_i64(&t, "select count(*) from automation.timings"));
    v[TICK_IDLE] = tick_idle(&t);
    v[DATE_MOVE] = date_move(&t);
    v[ADD_RULE] = add_rule(&t);
    v[IMPORT_WEDDINGS] = import_weddings(&t) / 1e3;
    timeline_settle(&t);
    (void)plan(&t, DUE); /* loads the tenants' rules */
    v[TICK_DUE] = plan(&t, DUE);
    v[BURST_PLANNED] = plan(&t, BURST) * BURST / 1e6;
    v[LATENESS] = lateness(&t);
    timeline_close(&t);
}

int main(void)
{
    static const double parts[SCALES] = {0.1, 1.0 / 3, 1};
    const char *text = getenv("SCALE");
    const double whole = text != NULL ? strtod(text, NULL) : 1;
    double v[SCALES][METRICS];

    if (!(whole > 0 && whole <= 10)) {
        fprintf(stderr, "SCALE=%s: expected a number from 0.01 to 10\n", text);
        return 2;
    }
    timeline_servers_start();
    for (int s = 0; s < SCALES; s++) {
        measure(whole * parts[s], v[s]);
        for (int i = 0; i < METRICS; i++)
            report_at_most(&report,
                           &(struct metric){.name = metrics[i].name,
                                            .unit = metrics[i].unit,
                                            .scale = whole * parts[s],
                                            .most = metrics[i].most},
                           v[s][i]);
    }
    for (int i = 0; i < METRICS; i++) {
        char name[64];

        (void)snprintf(name, sizeof(name), "growth_%s", metrics[i].name);
        report_at_most(&report, &(struct metric){.name = name, .unit = "ratio", .most = GROWTH_MOST},
                       v[SCALES - 1][i] / v[0][i]);
    }
    timeline_servers_stop();
    return report.failed;
}
