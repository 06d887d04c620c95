/* map: linear probing over a power-of-two table that is never more than three quarters full (removed keys counted). Keys up to
 * 16 bytes (every id) lie in the slot itself.
 *
 * A removed key leaves a mark instead of moving its neighbours, so an iteration that removes what it was given visits
 * every other key exactly once; marks go when the table is rebuilt. */
#include "common/base/map.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/base/mem.h"

#define FIRST_CAP ((size_t)16)
#define SMALL_KEY ((size_t)16)

/* Values of map_slot.hash that are no hash. */
#define SLOT_EMPTY ((uint64_t)0)
#define SLOT_REMOVED ((uint64_t)1)
#define SLOT_FIRST_HASH ((uint64_t)2)

struct map_slot {
    uint64_t hash;
    size_t key_n;
    void *value;
    union {
        char small[SMALL_KEY];
        char *big;
    } key;
};

static uint64_t sip_key[2];
static pthread_once_t sip_once = PTHREAD_ONCE_INIT;

static void sip_key_init(void)
{
    ssize_t got;

    do {
        got = getrandom(sip_key, sizeof(sip_key), 0);
    } while (got < 0 && errno == EINTR);
    if (got != (ssize_t)sizeof(sip_key))
        abort();
}

static uint64_t rotl(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotl(v[1], 13) ^ v[0];
    v[0] = rotl(v[0], 32);
    v[2] += v[3];
    v[3] = rotl(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotl(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotl(v[1], 17) ^ v[2];
    v[2] = rotl(v[2], 32);
}

static uint64_t load_le(const unsigned char *p, size_t n)
{
    uint64_t v = 0;

    for (size_t i = 0; i < n; i++)
        v |= (uint64_t)p[i] << (8 * i);
    return v;
}

static void sip_block(uint64_t v[4], uint64_t m)
{
    v[3] ^= m;
    sip_round(v);
    v[0] ^= m;
}

/* SipHash-1-3: one round a block, three at the end. */
static uint64_t hash_of(const void *key, size_t n)
{
    const unsigned char *p = key;
    size_t left = n;

    (void)pthread_once(&sip_once, sip_key_init);
    uint64_t v[4] = {sip_key[0] ^ 0x736f6d6570736575U, sip_key[1] ^ 0x646f72616e646f6dU,
                     sip_key[0] ^ 0x6c7967656e657261U, sip_key[1] ^ 0x7465646279746573U};
    for (; left >= 8; left -= 8, p += 8)
        sip_block(v, load_le(p, 8));
    sip_block(v, load_le(p, left) | (uint64_t)n << 56);
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(v);
    uint64_t h = v[0] ^ v[1] ^ v[2] ^ v[3];
    return h < SLOT_FIRST_HASH ? h + SLOT_FIRST_HASH : h;
}

static const char *slot_key(const struct map_slot *s)
{
    return s->key_n <= SMALL_KEY ? s->key.small : s->key.big;
}

static bool slot_is(const struct map_slot *s, uint64_t hash, const void *key, size_t n)
{
    return s->hash == hash && s->key_n == n && (n == 0 || memcmp(slot_key(s), key, n) == 0);
}

static struct map_slot *find(const struct map *m, uint64_t hash, const void *key, size_t n)
{
    if (m->cap == 0)
        return NULL;
    for (size_t i = (size_t)hash & (m->cap - 1);; i = (i + 1) & (m->cap - 1)) {
        struct map_slot *s = &m->slots[i];
        if (s->hash == SLOT_EMPTY)
            return NULL;
        if (slot_is(s, hash, key, n))
            return s;
    }
}

static struct map_slot *free_slot(const struct map *m, uint64_t hash)
{
    size_t i = (size_t)hash & (m->cap - 1);

    while (m->slots[i].hash >= SLOT_FIRST_HASH)
        i = (i + 1) & (m->cap - 1);
    return &m->slots[i];
}

/* Doubles when live keys need it; a table full of removed keys is rebuilt at its size. */
static void make_room(struct map *m)
{
    struct map old = *m;

    if (m->cap > 0 && (m->n + m->tombs + 1) * 4 <= m->cap * 3)
        return;
    if (m->cap == 0)
        m->cap = FIRST_CAP;
    else if ((m->n + 1) * 2 > m->cap)
        m->cap *= 2;
    assert(m->cap <= SIZE_MAX / sizeof(*m->slots));
    m->slots = mem_zalloc(m->cap * sizeof(*m->slots));
    m->tombs = 0;
    for (size_t i = 0; i < old.cap; i++) {
        if (old.slots[i].hash >= SLOT_FIRST_HASH)
            *free_slot(m, old.slots[i].hash) = old.slots[i];
    }
    mem_free(old.slots);
}

void *map_get(const struct map *m, const void *key, size_t n)
{
    const struct map_slot *s = m->n == 0 ? NULL : find(m, hash_of(key, n), key, n);

    return s == NULL ? NULL : s->value;
}

void *map_put(struct map *m, const void *key, size_t n, void *value)
{
    uint64_t hash = hash_of(key, n);
    struct map_slot *s = find(m, hash, key, n);

    assert(value != NULL);
    if (s != NULL) {
        void *replaced = s->value;
        s->value = value;
        return replaced;
    }
    make_room(m);
    s = free_slot(m, hash);
    if (s->hash == SLOT_REMOVED)
        m->tombs--;
    *s = (struct map_slot){.hash = hash, .key_n = n, .value = value};
    if (n > SMALL_KEY)
        s->key.big = mem_strndup(key, n);
    else if (n > 0)
        memcpy(s->key.small, key, n);
    m->n++;
    return NULL;
}

static void slot_drop_key(struct map_slot *s)
{
    if (s->hash >= SLOT_FIRST_HASH && s->key_n > SMALL_KEY)
        mem_free(s->key.big);
}

void *map_remove(struct map *m, const void *key, size_t n)
{
    struct map_slot *s = m->n == 0 ? NULL : find(m, hash_of(key, n), key, n);

    if (s == NULL)
        return NULL;
    void *value = s->value;
    slot_drop_key(s);
    *s = (struct map_slot){.hash = SLOT_REMOVED};
    m->n--;
    m->tombs++;
    return value;
}

void map_free(struct map *m)
{
    for (size_t i = 0; i < m->cap; i++)
        slot_drop_key(&m->slots[i]);
    mem_free(m->slots);
    *m = (struct map){0};
}

bool map_next(const struct map *m, size_t *at, const void **key, size_t *key_n, void **value)
{
    while (*at < m->cap) {
        const struct map_slot *s = &m->slots[(*at)++];
        if (s->hash < SLOT_FIRST_HASH)
            continue;
        *key = slot_key(s);
        *key_n = s->key_n;
        *value = s->value;
        return true;
    }
    return false;
}
