/* map: open-addressing hash map from a byte key to a pointer. Keys are copied; values are borrowed. SipHash-1-3 with a
 * per-process key, since keys come from outside (J.-P. Aumasson and D. J. Bernstein, "SipHash", 2012). */
#ifndef COMMON_BASE_MAP_H
#define COMMON_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map_slot;
/* Zero-initialise ({0}) before use. */
struct map {
    struct map_slot *slots;
    size_t n;
    size_t cap;
    size_t tombs; /* slots of removed keys, swept when the table is rebuilt */
};

void *map_get(const struct map *m, const void *key, size_t n); /* NULL when absent */
void *map_put(struct map *m, const void *key, size_t n,
              void *value);                                 /* value != NULL; returns the one replaced, or NULL */
void *map_remove(struct map *m, const void *key, size_t n); /* returns what was there, or NULL */
void map_free(struct map *m);

/* Iteration: start with *at = 0; returns false at the end. The map must not change meanwhile, except by removing the key just returned. */
bool map_next(const struct map *m, size_t *at, const void **key, size_t *key_n, void **value);

#endif
