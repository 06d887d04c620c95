/* cache_set: see cache_set.h. Written with msgpack-c, read by hand: the reader knows the one shape there is, allocates once, and not
 * before a declared count has been held against the bytes that are left. */
#include "common/io/cache_set.h"

#include <msgpack.h>
#include <stdbool.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/core/hash.h"
#include "common/core/match.h"

#define FORMAT 1
#define TOP_ITEMS 5
#define RULE_ITEMS 3
#define ID_BYTES 16
#define BIN_HEAD_BYTES 2 /* of a bin 8 */
#define RULE_MIN_BYTES (1 + BIN_HEAD_BYTES + ID_BYTES + 1 + 1)
#define RULE_MAX_HEADS_BYTES (1 + BIN_HEAD_BYTES + ID_BYTES + 9 + 5)
#define SET_HEADS_BYTES 96 /* all but the rules, rounded up */

/* ---- writing ------------------------------------------------------------------------------------------------------------- */

static int write_buf(void *data, const char *p, size_t n)
{
    buf_put(data, p, n);
    return 0;
}

static void digest_of(struct str bytes, uint8_t out[HASH_SIZE])
{
    struct hash *h = hash_new();

    hash_put(h, bytes.p, bytes.n);
    hash_done(h, out);
}

/* On the high side. */
static size_t size_of(const struct store_rule *rules, size_t n)
{
    size_t bytes = SET_HEADS_BYTES;

    for (size_t i = 0; i < n && bytes <= CACHE_SET_MAX_BYTES; i++)
        bytes += RULE_MAX_HEADS_BYTES + rules[i].definition.n;
    return bytes;
}

static void put_rule(msgpack_packer *pk, const struct store_rule *rule)
{
    msgpack_pack_array(pk, RULE_ITEMS);
    msgpack_pack_bin_with_body(pk, rule->rule_id.b, ID_BYTES);
    msgpack_pack_int64(pk, rule->revision);
    msgpack_pack_str_with_body(pk, rule->definition.p, rule->definition.n);
}

enum err cache_set_encode(const struct id *tenant, int64_t version, const struct store_rule *rules, size_t n,
                          struct buf *out)
{
    const size_t most_bytes = size_of(rules, n);
    uint8_t digest[HASH_SIZE];
    msgpack_packer pk;

    buf_reset(out);
    if (most_bytes > CACHE_SET_MAX_BYTES || n > MATCH_RULES_MAX)
        return ERR_LIMIT;
    buf_reserve(out, most_bytes);
    msgpack_packer_init(&pk, out, write_buf);
    msgpack_pack_array(&pk, TOP_ITEMS);
    msgpack_pack_int64(&pk, FORMAT);
    msgpack_pack_bin_with_body(&pk, tenant->b, ID_BYTES);
    msgpack_pack_int64(&pk, version);
    msgpack_pack_array(&pk, n);
    for (size_t i = 0; i < n; i++)
        put_rule(&pk, &rules[i]);
    digest_of((struct str){out->data, out->len}, digest);
    msgpack_pack_bin_with_body(&pk, digest, sizeof(digest));
    return ERR_OK;
}

/* ---- reading: https://github.com/msgpack/msgpack/blob/master/spec.md, "Formats" ------------------------------------------ */

/* Once `bad`, everything reads as zero. */
struct reader {
    struct str in;
    size_t at;
    bool bad;
};

static const char *take(struct reader *r, size_t n)
{
    const char *p = r->in.p + r->at;

    if (r->bad || r->in.n - r->at < n) {
        r->bad = true;
        return NULL;
    }
    r->at += n;
    return p;
}

static uint8_t take_head(struct reader *r)
{
    const char *p = take(r, 1);

    return p != NULL ? (uint8_t)*p : 0;
}

static uint64_t take_be(struct reader *r, size_t n)
{
    const char *p = take(r, n);
    uint64_t v = 0;

    for (size_t i = 0; p != NULL && i < n; i++)
        v = v << 8 | (uint8_t)p[i];
    return v;
}

static uint64_t refuse(struct reader *r)
{
    r->bad = true;
    return 0;
}

static uint64_t take_count(struct reader *r)
{
    const uint8_t head = take_head(r);

    if (head >= 0x90 && head <= 0x9f)
        return head & 0x0f;
    if (head == 0xdc || head == 0xdd)
        return take_be(r, head == 0xdc ? 2 : 4);
    return refuse(r);
}

static int64_t take_int(struct reader *r)
{
    const uint8_t head = take_head(r);
    uint64_t v;

    if (head <= 0x7f)
        return head;
    if (head < 0xcc || head > 0xcf)
        return (int64_t)refuse(r);
    v = take_be(r, (size_t)1 << (head - 0xcc));
    return v <= INT64_MAX ? (int64_t)v : (int64_t)refuse(r);
}

static struct str take_text(struct reader *r)
{
    const uint8_t head = take_head(r);
    struct str s = {NULL, 0};

    if (head >= 0xa0 && head <= 0xbf)
        s.n = head & 0x1f;
    else if (head >= 0xd9 && head <= 0xdb)
        s.n = take_be(r, (size_t)1 << (head - 0xd9));
    else
        (void)refuse(r);
    s.p = take(r, s.n);
    return s;
}

static void take_bin(struct reader *r, void *out, size_t n)
{
    const bool fits = take_head(r) == 0xc4 && take_head(r) == n;
    const char *p = fits ? take(r, n) : NULL;

    memset(out, 0, n);
    if (p != NULL)
        memcpy(out, p, n);
    else
        r->bad = true;
}

static void take_rule(struct reader *r, struct store_rule *out)
{
    *out = (struct store_rule){.tenant_id = ID_ZERO};
    if (take_count(r) != RULE_ITEMS)
        r->bad = true;
    take_bin(r, out->rule_id.b, ID_BYTES);
    out->revision = take_int(r);
    out->definition = take_text(r);
}

static enum err take_rules(struct reader *r, struct cache_set *out)
{
    const uint64_t n = take_count(r);

    if (r->bad || n > (r->in.n - r->at) / RULE_MIN_BYTES || n > MATCH_RULES_MAX)
        return ERR_MALFORMED;
    /* One more, so that an empty set is not an allocation of nothing. */
    out->rules = mem_try_alloc((n + 1) * sizeof(*out->rules));
    if (out->rules == NULL)
        return ERR_NOMEM;
    for (out->n = 0; out->n < n && !r->bad; out->n++)
        take_rule(r, &out->rules[out->n]);
    return r->bad ? ERR_MALFORMED : ERR_OK;
}

static enum err take_digest(struct reader *r)
{
    uint8_t expected[HASH_SIZE], found[HASH_SIZE];

    digest_of((struct str){r->in.p, r->at}, expected);
    take_bin(r, found, sizeof(found));
    if (r->bad || r->at != r->in.n || memcmp(expected, found, sizeof(found)) != 0)
        return ERR_MALFORMED;
    return ERR_OK;
}

enum err cache_set_decode(struct str bytes, const struct id *tenant, int64_t version, struct cache_set *out)
{
    struct reader r = {.in = bytes};
    struct id whose;
    int64_t format, which;
    enum err err;

    *out = (struct cache_set){.n = 0};
    if (bytes.n > CACHE_SET_MAX_BYTES)
        return ERR_LIMIT;
    if (take_count(&r) != TOP_ITEMS)
        return ERR_MALFORMED;
    format = take_int(&r);
    take_bin(&r, whose.b, ID_BYTES);
    which = take_int(&r);
    if (r.bad)
        return ERR_MALFORMED;
    if (format != FORMAT || !id_eq(&whose, tenant) || which != version)
        return ERR_INVALID;
    err = take_rules(&r, out);
    if (err == ERR_OK)
        err = take_digest(&r);
    if (err != ERR_OK)
        cache_set_free(out);
    return err;
}

void cache_set_free(struct cache_set *set)
{
    mem_free(set->rules);
    *set = (struct cache_set){.n = 0};
}
