/* cache: see cache.h.
 *
 * What this process has stored or found is remembered (tenant, version, size), least recently used last, so that it can be removed
 * from Redis. What another leader stored and this one never asked for goes by its time to live. */
#include "common/io/cache.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/list.h"
#include "common/base/log.h"
#include "common/base/map.h"
#include "common/base/mem.h"
#include "common/io/rconn.h"

#define OFF_FIRST_MS 1000
#define OFF_MAX_MS 60000
#define FULL_MS 10000    /* nothing is stored for so long after Redis refused a write */
#define REMOVE_BATCH 256 /* in one pipeline */
/* Redis's own cost of a key, rounded up; it also bounds what is remembered of very small sets. */
#define KEY_BYTES 512
#define NUMBER_SIZE 24

struct kept {
    struct list lru;
    struct id tenant;
    int64_t version;
    size_t bytes;
};

struct cache {
    struct cache_config config;
    char kept_s[NUMBER_SIZE];
    struct id epoch;
    struct rsession *session;     /* NULL: not connected */
    int64_t off_until_ms, off_ms; /* the breaker; off_ms 0: it worked last time */
    int64_t full_until_ms;
    enum err failed; /* what was logged */

    struct map by_tenant;
    struct list lru; /* the most recently used first */
    size_t bytes;
    struct buf value;
    struct cache_set set;
    struct cache_stats stats;
};

struct cache *cache_new(const struct cache_config *config)
{
    struct cache *c = mem_zalloc(sizeof(*c));

    c->config = *config;
    if (c->config.kept_s == 0)
        c->config.kept_s = CACHE_KEPT_SECONDS;
    if (c->config.max_bytes == 0)
        c->config.max_bytes = CACHE_MAX_BYTES;
    if (c->config.timeout_ms == 0)
        c->config.timeout_ms = CACHE_COMMAND_MS;
    (void)snprintf(c->kept_s, sizeof(c->kept_s), "%" PRId64, c->config.kept_s);
    list_init(&c->lru);
    return c;
}

static void forget(struct cache *c, struct kept *k)
{
    (void)map_remove(&c->by_tenant, &k->tenant, sizeof(k->tenant));
    list_remove(&k->lru);
    c->bytes -= k->bytes;
    mem_free(k);
}

static void forget_all(struct cache *c)
{
    for (struct list *it = list_first(&c->lru); it != NULL; it = list_first(&c->lru))
        forget(c, LIST_OWNER(it, struct kept, lru));
}

void cache_free(struct cache *c)
{
    if (c == NULL)
        return;
    rsession_close(c->session);
    forget_all(c);
    map_free(&c->by_tenant);
    buf_free(&c->value);
    cache_set_free(&c->set);
    mem_free(c);
}

const struct cache_stats *cache_stats(const struct cache *c)
{
    return &c->stats;
}

const char *cache_key(const struct id *epoch, const struct id *tenant, int64_t version, char out[CACHE_KEY_SIZE])
{
    char epoch_text[ID_TEXT_SIZE], tenant_text[ID_TEXT_SIZE];

    (void)snprintf(out, CACHE_KEY_SIZE, "usher:{0}:rules:%s:%s:%" PRId64, id_format(epoch, epoch_text),
                   id_format(tenant, tenant_text), version);
    return out;
}

/* What is remembered is under keys of the epoch before: nobody will ask for those, and they go by their time to live. */
void cache_epoch(struct cache *c, const struct id *epoch)
{
    if (id_eq(&c->epoch, epoch))
        return;
    forget_all(c);
    c->epoch = *epoch;
}

/* ---- the breaker --------------------------------------------------------------------------------------------------------- */

static void failed(struct cache *c, enum err err, const struct err_info *info)
{
    if (c->session != NULL && !rsession_alive(c->session)) {
        rsession_close(c->session);
        c->session = NULL;
    }
    c->stats.l2_failed++;
    if (c->failed != err)
        log_warn("rules.cache_off", L_ERR(err), L_STR("reason", info->text),
                 L_STR("effect", "rules come from PostgreSQL"));
    c->failed = err;
    c->off_ms = c->off_ms == 0 ? OFF_FIRST_MS : c->off_ms * 2 > OFF_MAX_MS ? OFF_MAX_MS : c->off_ms * 2;
    c->off_until_ms = clock_mono_ms() + c->off_ms;
}

static void worked(struct cache *c)
{
    if (c->failed != ERR_OK)
        log_info("rules.cache_on", L_MS("off", c->off_ms));
    c->failed = ERR_OK;
    c->off_ms = 0;
}

static bool is_on(const struct cache *c)
{
    return c->session != NULL && !id_is_zero(&c->epoch) && clock_mono_ms() >= c->off_until_ms;
}

void cache_connect(struct cache *c)
{
    const struct rconn_config config = {
        .url = c->config.url,
        .name = "usher-scheduler rules",
        .connect_ms = c->config.timeout_ms,
        .command_ms = c->config.timeout_ms,
    };
    struct err_info info = {0};
    enum err err;

    if (c->config.url == NULL || c->session != NULL || clock_mono_ms() < c->off_until_ms)
        return;
    err = rsession_open(&config, &c->session, &info);
    if (err == ERR_OK)
        return;
    c->session = NULL;
    failed(c, err, &info);
}

/* ---- what is in Redis ---------------------------------------------------------------------------------------------------- */

static void append_removal(struct cache *c, const struct kept *k)
{
    char key[CACHE_KEY_SIZE];

    rsession_append(c->session, 2,
                    (struct str[]){STR("UNLINK"), str_of(cache_key(&c->epoch, &k->tenant, k->version, key))});
}

static void read_removals(struct cache *c, size_t n)
{
    enum err first = ERR_OK;
    struct err_info info = {0}, ignored = {0};

    for (size_t i = 0; i < n; i++) {
        const struct reply *reply = NULL;
        enum err err = rsession_read(c->session, &reply, first == ERR_OK ? &info : &ignored);
        if (first == ERR_OK)
            first = err;
    }
    if (first != ERR_OK)
        failed(c, first, &info);
}

/* The least recently used first, until no more than that is left. */
static void shrink(struct cache *c, size_t bytes)
{
    while (c->bytes > bytes && is_on(c)) {
        size_t n = 0;
        for (; c->bytes > bytes && n < REMOVE_BATCH; n++) {
            struct kept *k = LIST_OWNER(c->lru.prev, struct kept, lru);
            append_removal(c, k);
            forget(c, k);
        }
        read_removals(c, n);
    }
}

/* That version of the tenant's set is in Redis. No command is sent: what cache_get returns is borrowed from the last reply. */
static void remember(struct cache *c, const struct id *tenant, int64_t version, size_t bytes)
{
    struct kept *k = map_get(&c->by_tenant, tenant, sizeof(*tenant));

    if (k == NULL) {
        k = mem_zalloc(sizeof(*k));
        k->tenant = *tenant;
        list_init(&k->lru);
        (void)map_put(&c->by_tenant, tenant, sizeof(*tenant), k);
    }
    list_remove(&k->lru);
    list_prepend(&c->lru, &k->lru);
    c->bytes += bytes + KEY_BYTES - k->bytes;
    k->bytes = bytes + KEY_BYTES;
    k->version = version;
}

static void stored(struct cache *c, const struct id *tenant, int64_t version, size_t bytes)
{
    const struct kept *k = map_get(&c->by_tenant, tenant, sizeof(*tenant));

    c->stats.l2_stored++;
    if (k != NULL && k->version != version) {
        append_removal(c, k);
        read_removals(c, 1);
    }
    remember(c, tenant, version, bytes);
    shrink(c, c->config.max_bytes);
}

/* ---- look-ups ------------------------------------------------------------------------------------------------------------ */

/* Another type of value under our key (ERR_REDIS) is a value that does not decode, and no trouble of Redis. */
static bool fetch(struct cache *c, const char *key, struct str *value)
{
    const struct reply *reply = NULL;
    struct err_info info = {0};
    enum err err =
        rsession_command(c->session, 4, (struct str[]){STR("GETEX"), str_of(key), STR("EX"), str_of(c->kept_s)}, &reply,
                         &info);

    if (err != ERR_OK && err != ERR_REDIS) {
        failed(c, err, &info);
        return false;
    }
    worked(c);
    *value = err == ERR_OK && reply->type == REPLY_STRING ? reply->s : (struct str){NULL, 0};
    if (err == ERR_REDIS)
        c->stats.l2_refused++;
    return value->p != NULL;
}

static bool decode(struct cache *c, struct str value, const struct id *tenant, int64_t version, struct cache_set *out)
{
    enum err err;

    cache_set_free(&c->set);
    err = cache_set_decode(value, tenant, version, &c->set);
    *out = c->set;
    if (err == ERR_OK)
        return true;
    c->stats.l2_refused++;
    log_warn("rules.cache_refused", L_ID("tenant", tenant), L_INT("version", version), L_ERR(err),
             L_INT("bytes", value.n));
    return false;
}

bool cache_get(struct cache *c, const struct id *tenant, int64_t version, struct cache_set *out)
{
    char key[CACHE_KEY_SIZE];
    struct str value = {NULL, 0};

    *out = (struct cache_set){.n = 0};
    if (!is_on(c)) {
        c->stats.l2_skipped++;
        return false;
    }
    if (!fetch(c, cache_key(&c->epoch, tenant, version, key), &value) || !decode(c, value, tenant, version, out)) {
        c->stats.l2_misses++;
        return false;
    }
    remember(c, tenant, version, value.n);
    c->stats.l2_hits++;
    return true;
}

void cache_put(struct cache *c, const struct id *tenant, int64_t version, const struct store_rule *rules, size_t n)
{
    char key[CACHE_KEY_SIZE];
    const struct reply *reply = NULL;
    struct err_info info = {0};
    enum err err;

    if (!is_on(c) || clock_mono_ms() < c->full_until_ms)
        return;
    if (cache_set_encode(tenant, version, rules, n, &c->value) != ERR_OK) {
        c->stats.l2_too_large++;
        return;
    }
    err = rsession_command(c->session, 5,
                           (struct str[]){STR("SET"),
                                          str_of(cache_key(&c->epoch, tenant, version, key)),
                                          {c->value.data, c->value.len},
                                          STR("EX"),
                                          str_of(c->kept_s)},
                           &reply, &info);
    if (err == ERR_OK) {
        worked(c);
        stored(c, tenant, version, c->value.len);
    } else if (err == ERR_REDIS_FULL) {
        c->full_until_ms = clock_mono_ms() + FULL_MS;
        shrink(c, 0);
    } else {
        failed(c, err, &info);
    }
}
