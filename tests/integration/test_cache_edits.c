/* cache under concurrent edits, on real servers: once a commit has returned, no match that begins later uses an older revision, whatever
 * happens to Redis meanwhile (rulesets.h states the bound: none).
 *
 * Editors change both rules of a tenant in one transaction each, or take the change back; after a COMMIT has returned they say which
 * revision stands. Readers are processes of their own as far as the cache goes: memory, Redis connection and session each, little
 * room in memory. Violations are noted by the threads and judged by the test. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

#include "common/base/clock.h"
#include "scheduler/rulesets.h"
#include "tests/support/leader.h"

#define ON_SIGNED "\"trigger\":{\"type\":\"event\",\"event\":\"contract.signed\"}"
#define SMALL_ROOM 1 /* of the first level: a set stays until another is asked for */
#define PATIENCE_MS 60000
#define LOOK_EVERY_MS 5

enum { TENANTS = 2, EDITORS = 2, READERS = 3, LAPS = 120 };

static const char *const tenants[TENANTS] = {LEADER_TENANT, LEADER_OTHER};
static const char *const rules[TENANTS][2] = {
    {"00000000-0000-0000-0000-0000000000c1", "00000000-0000-0000-0000-0000000000c2"},
    {"00000000-0000-0000-0000-0000000000d1", "00000000-0000-0000-0000-0000000000d2"},
};

struct play {
    struct leader leader;
    struct redis_server redis;
    struct id epoch;
    _Atomic int64_t committed[TENANTS]; /* the newest revision whose COMMIT has returned */
    _Atomic uint64_t edits, matches, l2_hits, l3_loads;
    atomic_bool stop;
    pthread_mutex_t lock;
    char wrong[512]; /* the first violation; "": none */
};

struct hand {
    struct play *play;
    pthread_t thread;
    unsigned number;
};

static void PRINTF_LIKE(2, 3) note_wrong(struct play *p, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    pthread_mutex_lock(&p->lock);
    if (p->wrong[0] == '\0')
        (void)vsnprintf(p->wrong, sizeof(p->wrong), fmt, ap);
    pthread_mutex_unlock(&p->lock);
    va_end(ap);
    atomic_store(&p->stop, true);
}

static bool ok(struct play *p, const char *what, enum err err, const struct err_info *info)
{
    if (err != ERR_OK)
        note_wrong(p, "%s: %s", what, info->text);
    return err == ERR_OK;
}

static struct id id_of(const char *text)
{
    struct id id;

    return id_parse(str_of(text), &id) == ERR_OK ? id : ID_ZERO;
}

static int64_t ask(struct play *p, struct db_session *s, const struct db_stmt *stmt, const struct id *tenant)
{
    struct arena arena = {0};
    struct db_args a;
    struct db_result *r = NULL;
    struct err_info info = {0};
    int64_t v = 0;

    db_args_init(&a, &arena);
    db_arg_id(&a, tenant);
    if (ok(p, "ask", db_query(s, stmt, &a, &r, &info), &info))
        v = db_i64(r, 0, 0);
    db_result_free(r);
    arena_free(&arena);
    return v;
}

/* What the statements that take events and timings read. */
static int64_t ask_version(struct play *p, struct db_session *s, const struct id *tenant)
{
    static const struct db_stmt stmt = {"test_version",
                                        "select version from automation.ruleset_state where tenant_id = $1"};

    return ask(p, s, &stmt, tenant);
}

/* ---- editors ---------------------------------------------------------------------------------------------------------------- */

static void raise_to(_Atomic int64_t *at, int64_t v)
{
    int64_t now = atomic_load(at);

    while (now < v && !atomic_compare_exchange_weak(at, &now, v))
        ;
}

/* An UPDATE locks rows in the order in which it meets them, which two of them need not share: both rules are locked by name first. */
static void edit(struct play *p, struct db_session *s, unsigned which, unsigned n)
{
    static const struct db_stmt stmt = {"test_revision",
                                        "select max(revision) from automation.rules where tenant_id = $1"};
    const struct id tenant = id_of(tenants[which]);
    const bool kept = n % 5 != 0;
    struct err_info info = {0};
    char sql[512];

    (void)snprintf(sql, sizeof(sql),
                   "begin; select from automation.rules where tenant_id = '%s' order by rule_id for update;"
                   " update automation.rules set definition = jsonb_set(definition, '{name}', to_jsonb(%u || ' ' || "
                   "pg_backend_pid())) where tenant_id = '%s';"
                   " update automation.rules set validated_revision = revision where tenant_id = '%s'",
                   tenants[which], n, tenants[which], tenants[which]);
    if (!ok(p, "edit", db_exec(s, sql, NULL, &info), &info))
        return;
    const int64_t revision = ask(p, s, &stmt, &tenant);
    if (ok(p, "commit", db_exec(s, kept ? "commit" : "rollback", NULL, &info), &info) && kept)
        raise_to(&p->committed[which], revision);
    atomic_fetch_add(&p->edits, 1);
}

static void *edit_all(void *arg)
{
    struct hand *h = arg;
    struct db_session *s = test_pg_session(&h->play->leader.pg);

    for (unsigned n = 0; !atomic_load(&h->play->stop); n++)
        edit(h->play, s, (n + h->number) % 3 == 0, n);
    db_close(s);
    return NULL;
}

/* ---- readers ---------------------------------------------------------------------------------------------------------------- */

struct reader {
    struct play *play;
    struct db_session *s;
    struct cache *cache;
    struct rulesets *rulesets;
    struct cache_stats seen;
};

/* Both rules are of one revision, which is no older than what had been committed before the version was read. */
static void match_once(struct reader *r, unsigned which)
{
    const int64_t committed = atomic_load(&r->play->committed[which]);
    const struct id tenant = id_of(tenants[which]), one = id_of(rules[which][0]), two = id_of(rules[which][1]);
    const int64_t version = ask_version(r->play, r->s, &tenant);
    int64_t first = 0, second = 0;
    struct match *m = NULL;
    struct err_info info = {0};

    if (!ok(r->play, "rulesets", rulesets_get(r->rulesets, r->s, &tenant, version, &m, &info), &info))
        return;
    if (match_get(m, &one, &first) == NULL || match_get(m, &two, &second) == NULL)
        note_wrong(r->play, "a rule is missing");
    else if (first != second)
        note_wrong(r->play, "revisions %" PRId64 " and %" PRId64 " in one set", first, second);
    else if (first < committed)
        note_wrong(r->play, "revision %" PRId64 " after the commit of %" PRId64 " had returned", first, committed);
}

static void count(struct reader *r)
{
    const struct cache_stats now = rulesets_stats(r->rulesets);

    atomic_fetch_add(&r->play->l2_hits, now.l2_hits - r->seen.l2_hits);
    atomic_fetch_add(&r->play->l3_loads, now.l3_loads - r->seen.l3_loads);
    atomic_fetch_add(&r->play->matches, 1);
    r->seen = now;
}

static void *read_all(void *arg)
{
    struct hand *h = arg;
    struct reader r = {.play = h->play, .s = test_pg_session(&h->play->leader.pg)};

    r.cache = cache_new(&(struct cache_config){.url = h->play->redis.url, .timeout_ms = 50});
    r.rulesets = rulesets_new(h->number == 0 ? RULESETS_BYTES : SMALL_ROOM);
    rulesets_use_cache(r.rulesets, r.cache);
    rulesets_epoch(r.rulesets, &h->play->epoch);
    for (unsigned n = h->number; !atomic_load(&h->play->stop); n++) {
        cache_connect(r.cache);
        match_once(&r, n % TENANTS);
        count(&r);
    }
    rulesets_free(r.rulesets);
    cache_free(r.cache);
    db_close(r.s);
    return NULL;
}

/* ---- the play --------------------------------------------------------------------------------------------------------------- */

static void read_epoch(struct play *p)
{
    static const struct db_stmt stmt = {"test_epoch", "select epoch from automation_priv.epoch"};
    struct db_result *r = NULL;

    cr_assert_eq(db_query(p->leader.lead.db, &stmt, NULL, &r, NULL), ERR_OK);
    p->epoch = db_id(r, 0, 0);
    db_result_free(r);
}

static bool open_play(struct play *p)
{
    if (!leader_open(&p->leader))
        return false;
    leader_rule(&p->leader, "c1", ON_SIGNED "," LEADER_TASK);
    leader_rule(&p->leader, "c2", ON_SIGNED "," LEADER_TASK);
    leader_work(&p->leader);
    leader_sql(&p->leader,
               "insert into automation.rules (tenant_id, rule_id, name, status, definition)"
               " select '" LEADER_OTHER "', replace(rule_id::text, 'c', 'd')::uuid, name, status, definition"
               " from automation.rules");
    leader_work(&p->leader);
    redis_server_start(&p->redis, NULL);
    read_epoch(p);
    for (int i = 0; i < TENANTS; i++)
        atomic_store(&p->committed[i], 1);
    return true;
}

static void close_play(struct play *p)
{
    redis_server_stop(&p->redis);
    leader_close(&p->leader);
}

static void start(struct play *p, struct hand *hands, unsigned n, void *(*main)(void *arg))
{
    for (unsigned i = 0; i < n; i++) {
        hands[i] = (struct hand){.play = p, .number = i};
        cr_assert_eq(pthread_create(&hands[i].thread, NULL, main, &hands[i]), 0);
    }
}

static void join(struct hand *hands, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        pthread_join(hands[i].thread, NULL);
}

/* Until so many more are counted; the test's fixture has no event to wait for. */
static void until_more(struct play *p, _Atomic uint64_t *counter, uint64_t more, const char *what)
{
    const int64_t deadline = clock_mono_ms() + PATIENCE_MS;
    const uint64_t aim = atomic_load(counter) + more;

    while (atomic_load(counter) < aim && !atomic_load(&p->stop)) {
        if (clock_mono_ms() > deadline)
            note_wrong(p, "no progress: %s", what);
        (void)poll(NULL, 0, LOOK_EVERY_MS);
    }
}

static void lap(struct play *p, const char *what)
{
    until_more(p, &p->edits, LAPS / 2, what);
    until_more(p, &p->matches, LAPS, what);
}

/* A database restored to `saved`: the rows of then, the same numbers again, a new epoch; nobody leads meanwhile. */
static void save(struct play *p)
{
    leader_sql(&p->leader, "create table saved_rules as table automation.rules;"
                           "create table saved_state as table automation.ruleset_state");
}

static void restore(struct play *p)
{
    leader_sql(
        &p->leader,
        "set session_replication_role = replica;"
        "delete from automation.rules; insert into automation.rules select * from saved_rules;"
        "delete from automation.rule_versions v using saved_rules s where (v.tenant_id, v.rule_id) = (s.tenant_id, "
        "s.rule_id) and v.revision > s.revision;"
        "update automation.ruleset_state s set version = x.version from saved_state x where x.tenant_id = "
        "s.tenant_id; select automation_priv.new_epoch()");
    for (int i = 0; i < TENANTS; i++)
        atomic_store(&p->committed[i], 1);
    read_epoch(p);
}

/* Redis is emptied, killed, restarted, frozen: matching goes on, no rules of before a commit are used, and Redis serves again. */
static void trouble(struct play *p)
{
    struct rsession *s = redis_session(p->redis.url);

    until_more(p, &p->l2_hits, LAPS, "sets from Redis");
    redis_run(s, "FLUSHALL");
    rsession_close(s);
    lap(p, "after FLUSHALL");
    redis_server_kill(&p->redis);
    lap(p, "without Redis");
    redis_server_restart(&p->redis);
    until_more(p, &p->l2_hits, LAPS, "sets from Redis, which is back");
    redis_server_freeze(&p->redis);
    lap(p, "with a frozen Redis");
    redis_server_thaw(&p->redis);
    until_more(p, &p->l2_hits, LAPS, "sets from Redis, which answers again");
}

Test(cache_edits, no_match_uses_rules_older_than_a_commit_that_had_returned)
{
    static struct play p = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct hand editors[EDITORS], readers[READERS];
    if (!open_play(&p))
        return;
    save(&p);
    for (int epoch = 0; epoch < 2; epoch++) {
        atomic_store(&p.stop, false);
        start(&p, editors, EDITORS, edit_all);
        start(&p, readers, READERS, read_all);
        if (epoch == 0)
            trouble(&p);
        else
            lap(&p, "after a restore");
        atomic_store(&p.stop, true);
        join(editors, EDITORS);
        join(readers, READERS);
        cr_assert_str_empty(p.wrong, "%s", p.wrong);
        restore(&p);
    }
    cr_expect_gt(atomic_load(&p.l3_loads), 0);
    close_play(&p);
}

/* The same from outside, through the leader's own duties: the run of an event that was published after a COMMIT had returned. */
Test(cache_edits, a_run_is_of_the_revision_that_stood_when_its_event_was_published)
{
    enum { EVENTS = 60 };
    struct leader t;
    if (!leader_open(&t))
        return;
    leader_rule(&t, "c1", ON_SIGNED "," LEADER_TASK);
    leader_work(&t);
    for (int n = 0; n < EVENTS; n++) {
        leader_sql(&t,
                   "update automation.rules set definition = jsonb_set(definition, '{name}', '\"%d\"');"
                   "update automation.rules set validated_revision = revision",
                   n);
        leader_sql(&t, "select automation.publish_event('" LEADER_TENANT "', 'contract.signed', '" LEADER_WEDDING
                       "', jsonb_build_object('stood', revision)) from automation.rules");
        if (n % 3 == 0)
            leader_work(&t);
    }
    leader_work(&t);
    cr_expect_eq(leader_i64(&t, "select count(*) from automation.runs"), EVENTS);
    cr_expect_eq(leader_i64(&t, "select count(*) from automation.runs where rule_revision < (context #>> "
                                "'{event,stood}')::bigint"),
                 0);
    leader_close(&t);
}

/* Single flight: a burst of events after an edit asks the database for the rules once. */
Test(cache_edits, a_burst_after_an_edit_is_one_load)
{
    enum { BURST = 50 };
    struct leader t;
    if (!leader_open(&t))
        return;
    leader_rule(&t, "c1", ON_SIGNED "," LEADER_TASK);
    leader_work(&t);
    leader_event(&t, "e1", "contract.signed", "{}");
    leader_work(&t);
    const struct cache_stats before = rulesets_stats(t.lead.rules);
    leader_sql(&t,
               "update automation.rules set definition = jsonb_set(definition, '{name}', '\"new\"');"
               "update automation.rules set validated_revision = revision;"
               "select automation.publish_event('" LEADER_TENANT "', 'contract.signed', '" LEADER_WEDDING
               "', '{}') from generate_series(1, %d)",
               BURST);
    leader_work(&t);
    const struct cache_stats after = rulesets_stats(t.lead.rules);
    cr_expect_eq(after.l3_loads - before.l3_loads, 1);
    cr_expect_geq(after.l1_hits - before.l1_hits, BURST - 1);
    cr_expect_eq(leader_i64(&t, "select count(*) from automation.runs where rule_revision = 2"), BURST);
    leader_close(&t);
}
