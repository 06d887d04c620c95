/* cache on a Redis of its own: what it keeps there is bounded, and makes room for what matters more. */
#include <criterion/criterion.h>

#include "common/base/mem.h"
#include "common/io/cache.h"
#include "common/io/rconn.h"
#include "tests/support/redis.h"

struct bounded {
    struct redis_server server;
    struct rsession *s;
    struct cache *cache;
};

static void bounded_open(struct bounded *b, size_t max_bytes)
{
    static const struct id epoch = {{7}};

    redis_server_start(&b->server, NULL);
    b->s = redis_session(b->server.url);
    b->cache = cache_new(&(struct cache_config){.url = b->server.url, .max_bytes = max_bytes});
    cache_connect(b->cache);
    cache_epoch(b->cache, &epoch);
}

static void bounded_close(struct bounded *b)
{
    cache_free(b->cache);
    rsession_close(b->s);
    redis_server_stop(&b->server);
}

static void put_text(struct bounded *b, uint8_t tenant, size_t bytes)
{
    const struct id id = {{tenant}};
    char *text = mem_zalloc(bytes);
    const struct store_rule rule = {.revision = 1, .definition = {text, bytes}};

    cache_put(b->cache, &id, 1, &rule, 1);
    mem_free(text);
}

static bool has(struct bounded *b, uint8_t tenant)
{
    const struct id id = {{tenant}};
    struct cache_set set;

    return cache_get(b->cache, &id, 1, &set);
}

Test(cache_bounds, the_least_recently_used_sets_make_room)
{
    struct bounded b;

    bounded_open(&b, 100000);
    for (uint8_t i = 1; i <= 4; i++)
        put_text(&b, i, 24000);
    cr_expect(has(&b, 1));
    put_text(&b, 5, 24000);
    cr_expect(has(&b, 1), "used since");
    cr_expect_not(has(&b, 2));
    cr_expect(has(&b, 3) && has(&b, 4) && has(&b, 5));
    for (int i = 0; i < 255; i++)
        put_text(&b, (uint8_t)i, 200);
    cr_expect_leq(redis_run(b.s, "DBSIZE")->i, 100000 / 700);
    put_text(&b, 9, CACHE_SET_MAX_BYTES);
    cr_expect_eq(cache_stats(b.cache)->l2_too_large, 1);
    bounded_close(&b);
}

Test(cache_bounds, a_full_redis_gets_its_memory_back)
{
    struct bounded b;

    bounded_open(&b, 0);
    for (uint8_t i = 1; i <= 4; i++)
        put_text(&b, i, 1000);
    redis_run(b.s, "CONFIG SET maxmemory 1");
    cr_expect(has(&b, 1), "reading needs no memory");
    put_text(&b, 5, 1000);
    cr_expect_eq(redis_run(b.s, "DBSIZE")->i, 0);
    redis_run(b.s, "CONFIG SET maxmemory 0");
    put_text(&b, 5, 1000);
    cr_expect_eq(redis_run(b.s, "DBSIZE")->i, 0, "not at once again");
    cr_expect_eq(cache_stats(b.cache)->l2_failed, 0);
    bounded_close(&b);
}

Test(cache_bounds, a_redis_that_refuses_is_left_alone_for_a_while)
{
    struct bounded b;

    bounded_open(&b, 0);
    put_text(&b, 1, 1000);
    redis_run(b.s, "ACL SETUSER default -getex");
    cr_expect_not(has(&b, 1));
    cr_expect_eq(cache_stats(b.cache)->l2_failed, 1);
    for (int i = 0; i < 3; i++)
        cr_expect_not(has(&b, 1));
    cr_expect_eq(cache_stats(b.cache)->l2_failed, 1, "not asked again");
    cr_expect_eq(cache_stats(b.cache)->l2_skipped, 3);
    bounded_close(&b);
}
