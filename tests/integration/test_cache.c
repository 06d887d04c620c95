/* cache on real servers: rule sets come from Redis when they are not in memory, only ever those of the version asked for, and a Redis
 * that is away, frozen or full costs next to nothing. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>

#include "common/base/clock.h"
#include "scheduler/rulesets.h"
#include "tests/support/leader.h"

#define ON_SIGNED "\"trigger\":{\"type\":\"event\",\"event\":\"contract.signed\"}"
#define VERSION_OF(tenant) "select version from automation.ruleset_state where tenant_id = '" tenant "'"

static struct id id_of(const char *text)
{
    struct id id;

    cr_assert_eq(id_parse(str_of(text), &id), ERR_OK);
    return id;
}

static size_t get(struct leader *t, const char *tenant, int64_t version)
{
    const struct id id = id_of(tenant);
    struct match *m = NULL;
    struct err_info info = {0};

    cr_assert_eq(rulesets_get(t->lead.rules, t->lead.db, &id, version, &m, &info), ERR_OK, "%s", info.text);
    return match_count(m);
}

/* What a process that has just started has in memory. */
static void drop_first_level(struct leader *t)
{
    rulesets_free(t->lead.rules);
    t->lead.rules = rulesets_new(RULESETS_BYTES);
    rulesets_use_cache(t->lead.rules, t->lead.cache);
}

static int64_t version_of(struct leader *t)
{
    return leader_i64(t, VERSION_OF(LEADER_TENANT));
}

static int64_t keys(struct leader *t)
{
    return (int64_t)redis_run(t->redis, "KEYS usher:{0}:rules:*")->n;
}

static struct id epoch_of(struct leader *t)
{
    static const struct db_stmt stmt = {"test_epoch", "select epoch from automation_priv.epoch"};
    struct db_result *r = NULL;
    struct id epoch;

    cr_assert_eq(db_query(t->lead.db, &stmt, NULL, &r, NULL), ERR_OK);
    epoch = db_id(r, 0, 0);
    db_result_free(r);
    return epoch;
}

/* "COMMAND key arguments" for the tenant's set. */
static const struct reply *on_key(struct leader *t, const char *command, int64_t version, const char *arguments)
{
    const struct id epoch = epoch_of(t), tenant = id_of(LEADER_TENANT);
    char key[CACHE_KEY_SIZE], text[CACHE_KEY_SIZE + 64];

    snprintf(text, sizeof(text), "%s %s %s", command, cache_key(&epoch, &tenant, version, key), arguments);
    return redis_run(t->redis, text);
}

static bool open_with_rules(struct leader *t)
{
    if (!leader_open(t))
        return false;
    leader_rule(t, "c1", ON_SIGNED "," LEADER_TASK);
    leader_rule(t, "c2", ON_SIGNED "," LEADER_TASK);
    leader_work(t);
    return true;
}

/* Puts a private server in place of the leader's cache's own. */
static void use_server(struct leader *t, const struct redis_server *server, size_t max_bytes)
{
    const struct id epoch = epoch_of(t);

    cache_free(t->lead.cache);
    t->lead.cache = cache_new(&(struct cache_config){.url = server->url, .max_bytes = max_bytes});
    cache_connect(t->lead.cache);
    cache_epoch(t->lead.cache, &epoch);
    drop_first_level(t);
}

Test(cache, a_set_that_left_memory_comes_from_redis)
{
    struct leader t;
    if (!open_with_rules(&t))
        return;
    const int64_t version = version_of(&t);
    cr_expect_eq(get(&t, LEADER_TENANT, version), 2);
    cr_expect_eq(keys(&t), 1);
    cr_expect_gt(on_key(&t, "TTL", version, "")->i, CACHE_KEPT_SECONDS - 60);
    on_key(&t, "EXPIRE", version, "100");
    drop_first_level(&t);
    /* Nobody takes it from PostgreSQL now. */
    leader_sql(&t, "alter function automation_priv.load_ruleset(uuid) rename to gone");
    cr_expect_eq(get(&t, LEADER_TENANT, version), 2);
    cr_expect_eq(get(&t, LEADER_TENANT, version), 2);
    cr_expect_gt(on_key(&t, "TTL", version, "")->i, 100, "used, so kept for longer");
    const struct cache_stats s = rulesets_stats(t.lead.rules);
    cr_expect(s.l1_hits == 1 && s.l1_misses == 1 && s.l3_loads == 0);
    cr_expect(s.l2_hits == 1 && s.l2_misses == 1 && s.l2_stored == 1 && s.l2_refused == 0);
    leader_close(&t);
}

#define COUNTED(level)                                                                                                 \
    "select hits * 1000000 + misses * 1000 + skipped from automation_priv.rule_cache where level = " #level

Test(cache, its_counters_outlive_the_leader)
{
    struct leader t;
    if (!open_with_rules(&t))
        return;
    const int64_t version = version_of(&t);
    get(&t, LEADER_TENANT, version);
    get(&t, LEADER_TENANT, version);
    get(&t, LEADER_TENANT, version);
    leader_work(&t);
    leader_work(&t);
    cr_expect_eq(leader_i64(&t, COUNTED(1)), 2001000);
    cr_expect_eq(leader_i64(&t, COUNTED(2)), 1000);
    cr_expect_eq(leader_i64(&t, COUNTED(3)), 1000000);
    leader_takeover(&t);
    leader_work(&t);
    redis_run(t.redis, "CLIENT KILL TYPE normal SKIPME yes");
    get(&t, LEADER_TENANT, version);
    rulesets_clear(t.lead.rules);
    get(&t, LEADER_TENANT, version);
    leader_work(&t);
    cr_expect_eq(leader_i64(&t, COUNTED(1)), 2003000);
    cr_expect_eq(leader_i64(&t, COUNTED(2)), 2001, "the connection failed, then Redis was off");
    cr_expect_eq(leader_i64(&t, COUNTED(3)), 3000000);
    cr_expect_eq(leader_i64(&t, "select failed from automation_priv.rule_cache where level = 2"), 1);
    leader_close(&t);
}

Test(cache, a_new_leader_finds_what_the_one_before_stored)
{
    struct leader t;
    if (!open_with_rules(&t))
        return;
    cr_expect_eq(get(&t, LEADER_TENANT, version_of(&t)), 2);
    leader_takeover(&t);
    leader_event(&t, "e1", "contract.signed", "{}");
    leader_work(&t);
    cr_expect_eq(leader_i64(&t, "select count(*) from automation.runs where state = 'running'"), 2);
    const struct cache_stats s = rulesets_stats(t.lead.rules);
    cr_expect(s.l2_hits == 1 && s.l3_loads == 0, "%" PRIu64 " hits", s.l2_hits);
    leader_close(&t);
}

Test(cache, a_change_is_seen_and_replaces_the_older_set)
{
    struct leader t;
    if (!open_with_rules(&t))
        return;
    const int64_t before = version_of(&t);
    cr_expect_eq(get(&t, LEADER_TENANT, before), 2);
    leader_sql(&t, "delete from automation.rules where rule_id::text like '%%c2'");
    cr_expect_gt(version_of(&t), before);
    cr_expect_eq(get(&t, LEADER_TENANT, version_of(&t)), 1);
    cr_expect_eq(keys(&t), 1, "one set per tenant");
    cr_expect_eq(on_key(&t, "EXISTS", version_of(&t), "")->i, 1);
    leader_close(&t);
}

Test(cache, a_set_is_kept_under_the_version_that_it_was_loaded_with)
{
    struct leader t;
    if (!open_with_rules(&t))
        return;
    /* The event was read at `asked`; before the set is loaded the rules change. */
    const int64_t asked = version_of(&t);
    leader_sql(&t, "delete from automation.rules where rule_id::text like '%%c2'");
    cr_expect_eq(get(&t, LEADER_TENANT, asked), 1);
    cr_expect_eq(on_key(&t, "EXISTS", asked, "")->i, 0);
    cr_expect_eq(on_key(&t, "EXISTS", version_of(&t), "")->i, 1);
    leader_close(&t);
}

Test(cache, a_tenant_without_active_rules_is_known_to_have_none)
{
    struct leader t;
    if (!open_with_rules(&t))
        return;
    leader_sql(&t, "update automation.rules set status = 'paused'");
    cr_expect_eq(get(&t, LEADER_TENANT, version_of(&t)), 0);
    drop_first_level(&t);
    cr_expect_eq(get(&t, LEADER_TENANT, version_of(&t)), 0);
    cr_expect_eq(rulesets_stats(t.lead.rules).l3_loads, 0);
    cr_expect_eq(get(&t, LEADER_OTHER, 0), 0, "never had one");
    cr_expect_eq(get(&t, LEADER_OTHER, 0), 0);
    cr_expect_eq(rulesets_stats(t.lead.rules).l1_hits, 1);
    cr_expect_eq(keys(&t), 1);
    leader_close(&t);
}

Test(cache, a_restored_database_does_not_see_sets_of_its_past)
{
    struct leader t;
    if (!open_with_rules(&t))
        return;
    const int64_t version = version_of(&t);
    cr_expect_eq(get(&t, LEADER_TENANT, version), 2);
    /* The same number, other rules. */
    leader_sql(&t,
               "delete from automation.rules where rule_id::text like '%%c2';"
               "update automation.ruleset_state set version = %" PRId64 "; select automation_priv.new_epoch()",
               version);
    drop_first_level(&t);
    cr_expect_eq(get(&t, LEADER_TENANT, version), 2, "the leader has not looked yet: this is what the epoch is for");
    leader_work(&t);
    cr_expect_eq(get(&t, LEADER_TENANT, version), 1, "dropped from memory too");
    leader_close(&t);
}

/* A failover to a server that lacks the last commits tells nobody: no new epoch, the same session settings, another connection. */
Test(cache, a_new_session_begins_with_an_empty_memory)
{
    struct err_info info = {0};
    struct leader t;
    if (!open_with_rules(&t))
        return;
    const int64_t version = version_of(&t);
    cr_expect_eq(get(&t, LEADER_TENANT, version), 2);
    leader_sql(&t,
               "delete from automation.rules where rule_id::text like '%%c2';"
               "update automation.ruleset_state set version = %" PRId64 ";"
               "select pg_terminate_backend(%d)",
               version, db_backend_pid(t.lead.db));
    redis_run(t.redis, "FLUSHDB");
    while (db_exec(t.lead.db, "select 1", NULL, &info) == ERR_OK)
        ;
    cr_assert_eq(lead_connect(&t.lead, &info), ERR_OK, "%s", info.text);
    cr_expect_eq(get(&t, LEADER_TENANT, version), 1);
    leader_close(&t);
}

Test(cache, a_version_that_a_failover_lost_is_not_given_again)
{
    struct leader t;
    if (!open_with_rules(&t))
        return;
    const int64_t before = version_of(&t);
    leader_sql(&t, "update automation.rules set status = 'paused' where rule_id::text like '%%c1'");
    const int64_t lost = version_of(&t);
    leader_sql(&t, "update automation.ruleset_state set version = %" PRId64, before);
    leader_sql(&t, "update automation.rules set status = 'paused' where rule_id::text like '%%c2'");
    cr_expect_gt(version_of(&t), lost);
    leader_sql(&t, "update automation.ruleset_state set version = %" PRId64, before);
    leader_sql(&t, "insert into automation.rule_dependencies (tenant_id, rule_id, needs_rule_id) select tenant_id, "
                   "min(rule_id::text)::uuid, max(rule_id::text)::uuid from automation.rules group by 1");
    cr_expect_gt(version_of(&t), lost);
    leader_close(&t);
}

Test(cache, a_tenant_made_again_does_not_count_the_same_versions)
{
    struct leader t;
    if (!open_with_rules(&t))
        return;
    const int64_t before = version_of(&t);
    leader_sql(&t,
               "delete from automation.weddings; delete from automation.tenants where tenant_id = '" LEADER_TENANT "'");
    leader_sql(&t, "insert into automation.tenants (tenant_id, name) values ('" LEADER_TENANT "', 'A')");
    leader_rule(&t, "c1", ON_SIGNED "," LEADER_TASK);
    cr_expect_gt(version_of(&t), before);
    leader_close(&t);
}

Test(cache, a_damaged_value_is_a_miss_and_is_replaced)
{
    static const char *const damage[][2] = {{"SETRANGE", "30 x"}, {"SET", "x"}, {"APPEND", "x"}, {"SET", "{}"}};
    struct leader t;
    if (!open_with_rules(&t))
        return;
    const int64_t version = version_of(&t);
    cr_expect_eq(get(&t, LEADER_TENANT, version), 2);
    for (size_t i = 0; i < sizeof(damage) / sizeof(damage[0]); i++) {
        on_key(&t, damage[i][0], version, damage[i][1]);
        drop_first_level(&t);
        cr_expect_eq(get(&t, LEADER_TENANT, version), 2, "%s", damage[i][0]);
        cr_expect_eq(rulesets_stats(t.lead.rules).l2_refused, i + 1, "%s", damage[i][0]);
        cr_expect_eq(rulesets_stats(t.lead.rules).l3_loads, 1);
    }
    on_key(&t, "DEL", version, "");
    on_key(&t, "LPUSH", version, "x");
    drop_first_level(&t);
    cr_expect_eq(get(&t, LEADER_TENANT, version), 2, "a value of another type");
    drop_first_level(&t);
    cr_expect_eq(get(&t, LEADER_TENANT, version), 2);
    cr_expect_eq(rulesets_stats(t.lead.rules).l3_loads, 0, "replaced");
    leader_close(&t);
}

/* ---- trouble of Redis ------------------------------------------------------------------------------------------------------ */

Test(cache, a_frozen_redis_costs_one_deadline_and_then_nothing)
{
    struct redis_server server = {0};
    struct leader t;
    int64_t start;
    if (!open_with_rules(&t))
        return;
    const int64_t version = version_of(&t);
    redis_server_start(&server, NULL);
    use_server(&t, &server, 0);
    cr_expect_eq(get(&t, LEADER_TENANT, version), 2);
    redis_server_freeze(&server);
    drop_first_level(&t);
    start = clock_mono_ms();
    cr_expect_eq(get(&t, LEADER_TENANT, version), 2);
    cr_expect_geq(clock_mono_ms() - start, CACHE_COMMAND_MS);
    start = clock_mono_ms();
    for (int i = 0; i < 20; i++) {
        struct cache_set set;
        const struct id tenant = id_of(LEADER_TENANT);
        cache_connect(t.lead.cache);
        cr_expect_not(cache_get(t.lead.cache, &tenant, version, &set));
        cache_put(t.lead.cache, &tenant, version, NULL, 0);
    }
    cr_expect_lt(clock_mono_ms() - start, CACHE_COMMAND_MS, "%" PRId64 " ms", clock_mono_ms() - start);
    cr_expect_eq(rulesets_stats(t.lead.rules).l2_failed, 1);
    cr_expect_eq(rulesets_stats(t.lead.rules).l2_skipped, 20);
    redis_server_stop(&server);
    leader_close(&t);
}

Test(cache, a_redis_that_went_away_is_used_again_when_it_is_back)
{
    const int64_t deadline = clock_mono_ms() + 30000;
    const struct id tenant = id_of(LEADER_TENANT);
    struct redis_server server = {0};
    struct cache_set set;
    struct leader t;
    if (!open_with_rules(&t))
        return;
    const int64_t version = version_of(&t);
    redis_server_start(&server, NULL);
    use_server(&t, &server, 0);
    redis_server_kill(&server);
    cr_expect_eq(get(&t, LEADER_TENANT, version), 2);
    cr_expect_not(cache_get(t.lead.cache, &tenant, version, &set));
    redis_server_restart(&server);
    do {
        cr_assert_lt(clock_mono_ms(), deadline, "the cache stays off");
        cache_connect(t.lead.cache);
        cache_put(t.lead.cache, &tenant, version, NULL, 0);
    } while (!cache_get(t.lead.cache, &tenant, version, &set));
    cr_expect_eq(cache_stats(t.lead.cache)->l2_failed, 1);
    redis_server_stop(&server);
    leader_close(&t);
}

Test(cache, without_redis_rules_come_from_the_database)
{
    struct leader t;
    if (!open_with_rules(&t))
        return;
    cache_free(t.lead.cache);
    t.lead.cache = cache_new(&(struct cache_config){.url = NULL});
    cache_connect(t.lead.cache);
    drop_first_level(&t);
    cr_expect_eq(get(&t, LEADER_TENANT, version_of(&t)), 2);
    cr_expect_eq(rulesets_stats(t.lead.rules).l2_skipped, 1);
    cr_expect_eq(rulesets_stats(t.lead.rules).l2_failed, 0);
    leader_close(&t);
}
