/* hash: SHA-256 and HMAC-SHA256 from OpenSSL. No OpenSSL type or header is seen outside hash.c, since OpenSSL's names
 * collide with ours (ERR_STATE). All functions abort when OpenSSL fails, which it does only without memory or without its
 * default provider. */
#ifndef COMMON_CORE_HASH_H
#define COMMON_CORE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HASH_SIZE 32

struct hash;
struct hash *hash_new(void);
void hash_put(struct hash *h, const void *p, size_t n);
void hash_done(struct hash *h, uint8_t out[HASH_SIZE]); /* frees h */

/* HMAC-SHA256 (RFC 2104) of one piece of memory. */
void hash_hmac(uint8_t out[HASH_SIZE], const void *key, size_t key_n, const void *p, size_t n);

/* Compares in a time that depends on n only. */
bool hash_equal(const void *a, const void *b, size_t n);

#endif
