/* hash: thin calls into libcrypto. The digest is fetched once per process, since an implicit fetch costs more than the
 * hash of a short text. */
#include "common/core/hash.h"

#include <limits.h>
#include <pthread.h>
#include <stdlib.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

static EVP_MD *sha256;
static pthread_once_t sha256_once = PTHREAD_ONCE_INIT;

static void must(bool ok)
{
    if (!ok)
        abort();
}

static void fetch_sha256(void)
{
    sha256 = EVP_MD_fetch(NULL, "SHA2-256", NULL);
    must(sha256 != NULL);
}

/* A struct hash is an EVP_MD_CTX under another name. */
static EVP_MD_CTX *ctx_of(struct hash *h)
{
    return (EVP_MD_CTX *)h;
}

struct hash *hash_new(void)
{
    must(pthread_once(&sha256_once, fetch_sha256) == 0);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    must(ctx != NULL && EVP_DigestInit_ex2(ctx, sha256, NULL) == 1);
    return (struct hash *)ctx;
}

void hash_put(struct hash *h, const void *p, size_t n)
{
    if (n > 0)
        must(EVP_DigestUpdate(ctx_of(h), p, n) == 1);
}

void hash_done(struct hash *h, uint8_t out[HASH_SIZE])
{
    must(EVP_DigestFinal_ex(ctx_of(h), out, NULL) == 1);
    EVP_MD_CTX_free(ctx_of(h));
}

void hash_hmac(uint8_t out[HASH_SIZE], const void *key, size_t key_n, const void *p, size_t n)
{
    must(pthread_once(&sha256_once, fetch_sha256) == 0);
    must(key_n <= INT_MAX);
    unsigned len = 0;
    /* HMAC() takes a NULL key as "the last one": an empty key still needs an address. */
    must(HMAC(sha256, key_n > 0 ? key : "", (int)key_n, p, n, out, &len) != NULL && len == HASH_SIZE);
}

bool hash_equal(const void *a, const void *b, size_t n)
{
    return CRYPTO_memcmp(a, b, n) == 0;
}
