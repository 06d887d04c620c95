/* rules_cache: see rules_cache.h. */
#include "tests/bench/rules_cache.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/core/key.h"
#include "tests/bench/report.h"
#include "tests/support/leader.h"
#include "tests/support/postgres.h"

enum {
    TENANTS = 200,
    RULES_EACH = 50,
    QUESTIONS = 100000,
    QUESTIONS_AN_EDIT = 1000,
    LOADS = 5,
    HELD = 10000,
    PREPARE_MS = 600000 /* 20,000 rules pass the checks of the schema in one statement */
};

struct cached {
    struct leader leader;
    struct db_session *db; /* the host's */
    struct id tenants[TENANTS];
    int64_t versions[TENANTS];
    double shares[TENANTS]; /* of the questions, summed up */
    uint64_t dice;
};

static _Noreturn void die(const char *what, const char *why)
{
    (void)fprintf(stderr, "bench_rules: %s: %s\n", what, why);
    exit(2);
}

static struct db_result *run(struct cached *c, const struct db_stmt *stmt, struct db_args *args)
{
    struct db_result *r = NULL;
    struct err_info info = {0};

    if (db_query(c->db, stmt, args, &r, &info) != ERR_OK)
        die(stmt->name, info.text);
    return r;
}

static void open_host(struct cached *c)
{
    const struct db_session_config config = {.url = c->leader.pg.url, .name = "bench_rules", .statement_ms = PREPARE_MS};
    struct err_info info = {0};

    if (db_open(&config, &c->db, &info) != ERR_OK)
        die("connect", info.text);
}

/* ---- tenants and rules ---- */

static int64_t version_of(struct cached *c, const struct id *tenant)
{
    static const struct db_stmt stmt = {"bench_version",
                                        "select version from automation.ruleset_state where tenant_id = $1"};
    struct arena arena = {0};
    struct db_args a;
    struct db_result *r;
    int64_t version;

    db_args_init(&a, &arena);
    db_arg_id(&a, tenant);
    r = run(c, &stmt, &a);
    version = db_i64(r, 0, 0);
    db_result_free(r);
    arena_free(&arena);
    return version;
}

/* The rules become those of LEADER_TENANT, the first RULES_EACH of them every other tenant's. */
static void put_rules(struct cached *c, const json_t *rules)
{
    static const struct db_stmt stmt = {
        "bench_rules", "insert into automation.rules (tenant_id, rule_id, name, status, definition) select "
                       "t.tenant_id, gen_random_uuid(), d.v ->> 'name', 'active', d.v from automation.tenants t, "
                       "jsonb_array_elements($1) with ordinality d (v, n) where t.tenant_id = '" LEADER_TENANT
                       "' or (t.name = 'bench' and d.n <= $2)"};
    char *text = json_dumps(rules, JSON_COMPACT);
    struct err_info info = {0};
    struct arena arena = {0};
    struct db_args a;

    db_args_init(&a, &arena);
    db_arg_json(&a, str_of(text));
    db_arg_i64(&a, RULES_EACH);
    db_result_free(run(c, &stmt, &a));
    if (db_exec(c->db,
                "update automation.rules set validated_revision = revision; analyze automation.rules, "
                "automation.rule_versions",
                NULL, &info) != ERR_OK)
        die("validated_revision", info.text);
    arena_free(&arena);
    free(text);
}

static void make_tenants(struct cached *c)
{
    static const struct db_stmt stmt = {
        "bench_tenants", "insert into automation.tenants (tenant_id, name) select gen_random_uuid(), 'bench' from "
                         "generate_series(1, $1::bigint) returning tenant_id"};
    struct arena arena = {0};
    struct db_args a;
    struct db_result *r;
    double sum = 0;

    db_args_init(&a, &arena);
    db_arg_i64(&a, TENANTS);
    r = run(c, &stmt, &a);
    for (int i = 0; i < TENANTS; i++) {
        c->tenants[i] = db_id(r, i, 0);
        sum += 1.0 / (i + 1);
        c->shares[i] = sum;
    }
    db_result_free(r);
    arena_free(&arena);
}

/* ---- loading ---- */

static struct match *get(struct cached *c, const struct id *tenant, int64_t version)
{
    struct match *m = NULL;
    struct err_info info = {0};

    if (rulesets_get(c->leader.lead.rules, c->leader.lead.db, tenant, version, &m, &info) != ERR_OK)
        die("rulesets_get", info.text);
    return m;
}

static double load_ms(struct cached *c, const struct id *tenant, int64_t version, size_t expected, bool warm)
{
    double v[LOADS];

    for (int i = 0; i < LOADS; i++) {
        if (!warm)
            redis_run(c->leader.redis, "FLUSHDB");
        rulesets_clear(c->leader.lead.rules);
        const double from_ms = report_now_ms();
        if (match_count(get(c, tenant, version)) != expected)
            die("load", "another number of rules");
        v[i] = report_now_ms() - from_ms;
    }
    return report_median(v, LOADS);
}

static void measure_loads(struct cached *c, size_t expected, struct rules_cache_figures *out)
{
    static double v[HELD];
    struct id tenant;

    if (id_parse(str_of(LEADER_TENANT), &tenant) != ERR_OK)
        abort();
    const int64_t version = version_of(c, &tenant);
    out->cold_ms = load_ms(c, &tenant, version, expected, false);
    const struct cache_stats before = rulesets_stats(c->leader.lead.rules);
    out->warm_ms = load_ms(c, &tenant, version, expected, true);
    if (rulesets_stats(c->leader.lead.rules).l3_loads != before.l3_loads)
        die("load", "a set that was to come from Redis came from PostgreSQL");
    for (int i = 0; i < HELD; i++) {
        const double from_ms = report_now_ms();
        (void)get(c, &tenant, version);
        v[i] = (report_now_ms() - from_ms) * 1e3;
    }
    (void)report_median(v, HELD); /* sorts */
    out->held_p99_us = v[HELD / 100 * 99];
}

/* ---- hit rates ---- */

static int pick(struct cached *c)
{
    double at;
    int from = 0, to = TENANTS - 1;

    c->dice ^= c->dice << 13;
    c->dice ^= c->dice >> 7;
    c->dice ^= c->dice << 17;
    at = (double)(c->dice >> 11) / (double)(UINT64_C(1) << 53) * c->shares[TENANTS - 1];
    while (from < to) {
        const int middle = (from + to) / 2;
        if (c->shares[middle] < at)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

/* A host's edit of one rule, and the leader's stamp on the new revision. */
static void edit(struct cached *c, int which)
{
    static const struct db_stmt steps[] = {
        {"bench_edit", "update automation.rules set definition = jsonb_set(definition, '{name}', "
                       "to_jsonb(clock_timestamp()::text)) where tenant_id = $1 and rule_id = "
                       "(select min(rule_id::text)::uuid from automation.rules where tenant_id = $1)"},
        {"bench_stamp", "update automation.rules set validated_revision = revision where tenant_id = $1 and "
                        "validated_revision is distinct from revision"},
    };
    const int64_t before = c->versions[which];
    struct arena arena = {0};
    struct db_args a;

    db_args_init(&a, &arena);
    db_arg_id(&a, &c->tenants[which]);
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
        db_result_free(run(c, &steps[i], &a));
    c->versions[which] = version_of(c, &c->tenants[which]);
    if (c->versions[which] == before)
        die("bench_edit", "the rules have no new version");
    arena_free(&arena);
}

/* A question with memory, or of Redis alone; what that does not have is loaded and stored. */
static void question(struct cached *c, int which, bool memory)
{
    struct cache_set set;

    if (!memory && cache_get(c->leader.lead.cache, &c->tenants[which], c->versions[which], &set))
        return;
    if (!memory)
        rulesets_clear(c->leader.lead.rules);
    (void)get(c, &c->tenants[which], c->versions[which]);
}

static double hit_percent(struct cached *c, bool memory)
{
    const uint64_t before = rulesets_stats(c->leader.lead.rules).l3_loads;

    c->dice = UINT64_C(88172645463325252);
    redis_run(c->leader.redis, "FLUSHDB");
    rulesets_clear(c->leader.lead.rules);
    for (int i = 0; i < TENANTS; i++)
        c->versions[i] = version_of(c, &c->tenants[i]);
    for (int i = 0; i < QUESTIONS; i++) {
        if (i % QUESTIONS_AN_EDIT == QUESTIONS_AN_EDIT / 2)
            edit(c, pick(c));
        question(c, pick(c), memory);
    }
    return 100.0 * (1.0 - (double)(rulesets_stats(c->leader.lead.rules).l3_loads - before) / QUESTIONS);
}

void rules_cache_measure(const json_t *rules, struct rules_cache_figures *out)
{
    static struct cached c;
    struct postgres postgres = {0};
    struct redis_server redis = {0};
    bool more = false;

    postgres_start(&postgres);
    redis_server_start(&redis, NULL);
    setenv("USHER_TEST_REDIS_URL", redis.url, 1);
    if (!leader_open(&c.leader) || lead_round(&c.leader.lead, &more) != ERR_OK)
        die("servers", "not started");
    open_host(&c);
    make_tenants(&c);
    put_rules(&c, rules);
    measure_loads(&c, json_array_size(rules), out);
    out->without_pg = hit_percent(&c, true);
    out->redis_only = hit_percent(&c, false);
    db_close(c.db);
    leader_close(&c.leader);
    redis_server_stop(&redis);
    postgres_stop(&postgres);
}
