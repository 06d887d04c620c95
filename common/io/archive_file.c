/* archive_file: see archive_file.h. */
#include "common/io/archive_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zstd.h>

#include "common/base/mem.h"
#include "common/core/hash.h"
#include "common/io/die.h"

#define LEVEL 3 /* of zstd: about 8 times smaller at 300 MB/s; level 9 takes three times as long for a tenth less */
#define IN_SIZE (128 * 1024)

static enum err fail(struct err_info *info, const char *what, const char *path)
{
    const int why = errno;

    return err_set(info, why == ENOENT ? ERR_NOTFOUND : ERR_IO, "%s: %s: %s", path, what, strerrordesc_np(why));
}

static enum err write_all(int fd, const char *path, const void *data, size_t n, struct err_info *info)
{
    const char *p = data;

    while (n > 0) {
        ssize_t put = write(fd, p, n);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return fail(info, "write", path);
        p += put;
        n -= (size_t)put;
    }
    return ERR_OK;
}

/* 0 bytes: the end. */
static enum err read_some(int fd, const char *path, void *p, size_t size, size_t *n, struct err_info *info)
{
    ssize_t got = 0;

    do
        got = read(fd, p, size);
    while (got < 0 && errno == EINTR);
    *n = got < 0 ? 0 : (size_t)got;
    return got < 0 ? fail(info, "read", path) : ERR_OK;
}

static char *join(const char *dir, const char *before, const char *name, const char *behind)
{
    struct buf path = {0};

    buf_printf(&path, "%s/%s%s%s", dir, before, name, behind);
    return path.data;
}

static enum err open_read(const char *path, int *fd, struct err_info *info)
{
    *fd = open(path, O_RDONLY | O_CLOEXEC);
    return *fd < 0 ? fail(info, "open", path) : ERR_OK;
}

/* A rename is on the disk when its folder is. */
static enum err sync_folder(const char *dir, struct err_info *info)
{
    enum err err = ERR_OK;
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return fail(info, "open", dir);
    if (fsync(fd) != 0)
        err = fail(info, "fsync", dir);
    (void)close(fd);
    return err;
}

/* ---- a file that has no name yet ------------------------------------------------------------------------------------------ */

struct unnamed {
    const char *dir;
    char *temp, *path;
    int fd; /* -1: closed */
    bool there;
};

static enum err unnamed_open(struct unnamed *u, const char *dir, const char *name, struct err_info *info)
{
    *u = (struct unnamed){.dir = dir, .temp = join(dir, ".", name, ".tmp"), .path = join(dir, "", name, "")};
    /* What a killed process left there is overwritten. */
    u->fd = open(u->temp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (u->fd < 0)
        return fail(info, "open", u->temp);
    u->there = true;
    return ERR_OK;
}

static enum err unnamed_finish(struct unnamed *u, struct err_info *info)
{
    int closed = 0;

    if (fsync(u->fd) != 0)
        return fail(info, "fsync", u->temp);
    closed = close(u->fd);
    u->fd = -1;
    if (closed != 0)
        return fail(info, "close", u->temp);
    die_at("archive_synced");
    if (rename(u->temp, u->path) != 0)
        return fail(info, "rename", u->temp);
    u->there = false;
    return sync_folder(u->dir, info);
}

static void unnamed_close(struct unnamed *u)
{
    if (u->fd >= 0)
        (void)close(u->fd);
    if (u->there)
        (void)unlink(u->temp);
    mem_free(u->temp);
    mem_free(u->path);
}

enum err archive_file_put(const char *dir, const char *name, const struct buf *text, struct err_info *info)
{
    struct unnamed u;
    enum err err = unnamed_open(&u, dir, name, info);

    if (err == ERR_OK)
        err = write_all(u.fd, u.temp, text->data, text->len, info);
    if (err == ERR_OK)
        err = unnamed_finish(&u, info);
    unnamed_close(&u);
    return err;
}

/* ---- writing -------------------------------------------------------------------------------------------------------------- */

struct archive_writer {
    struct unnamed file;
    ZSTD_CCtx *zstd;
    struct hash *hash; /* NULL: done */
    int64_t bytes;
    size_t size;
    char out[];
};

enum err archive_writer_open(const char *dir, const char *name, struct archive_writer **out, struct err_info *info)
{
    const size_t size = ZSTD_CStreamOutSize();
    struct archive_writer *w = mem_zalloc(sizeof(*w) + size);
    enum err err = unnamed_open(&w->file, dir, name, info);

    *out = NULL;
    w->size = size;
    w->hash = hash_new();
    w->zstd = ZSTD_createCCtx();
    if (err == ERR_OK &&
        (w->zstd == NULL || ZSTD_isError(ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_compressionLevel, LEVEL)) ||
         ZSTD_isError(ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_checksumFlag, 1))))
        err = err_set(info, ERR_NOMEM, "no memory to compress");
    if (err == ERR_OK)
        *out = w;
    else
        archive_writer_close(w);
    return err;
}

static enum err compress(struct archive_writer *w, ZSTD_inBuffer *in, ZSTD_EndDirective end, struct err_info *info)
{
    enum err err = ERR_OK;
    bool more = true;

    while (more && err == ERR_OK) {
        ZSTD_outBuffer out = {.dst = w->out, .size = w->size};
        const size_t left = ZSTD_compressStream2(w->zstd, &out, in, end);
        if (ZSTD_isError(left))
            return err_set(info, ERR_IO, "%s: compress: %s", w->file.temp, ZSTD_getErrorName(left));
        hash_put(w->hash, w->out, out.pos);
        w->bytes += (int64_t)out.pos;
        err = write_all(w->file.fd, w->file.temp, w->out, out.pos, info);
        more = end == ZSTD_e_end ? left > 0 : in->pos < in->size;
    }
    return err;
}

enum err archive_writer_put(struct archive_writer *w, const void *p, size_t n, struct err_info *info)
{
    ZSTD_inBuffer in = {.src = p, .size = n};

    return compress(w, &in, ZSTD_e_continue, info);
}

static void take_hash(struct hash **h, char sha256[MANIFEST_HEX_SIZE])
{
    uint8_t sum[HASH_SIZE];

    hash_done(*h, sum);
    *h = NULL;
    manifest_hex(sum, sha256);
}

enum err archive_writer_finish(struct archive_writer *w, char sha256[MANIFEST_HEX_SIZE], int64_t *bytes,
                               struct err_info *info)
{
    ZSTD_inBuffer in = {0};
    enum err err = compress(w, &in, ZSTD_e_end, info);

    if (err == ERR_OK)
        err = unnamed_finish(&w->file, info);
    if (err == ERR_OK) {
        take_hash(&w->hash, sha256);
        *bytes = w->bytes;
    }
    return err;
}

void archive_writer_close(struct archive_writer *w)
{
    uint8_t ignored[HASH_SIZE];

    if (w == NULL)
        return;
    if (w->hash != NULL)
        hash_done(w->hash, ignored);
    ZSTD_freeCCtx(w->zstd);
    unnamed_close(&w->file);
    mem_free(w);
}

/* ---- reading -------------------------------------------------------------------------------------------------------------- */

struct archive_reader {
    char *path;
    int fd;
    ZSTD_DCtx *zstd;
    struct hash *hash; /* NULL: done */
    int64_t bytes;
    ZSTD_inBuffer in;
    size_t wanted; /* 0: a frame has ended */
    bool any;
    char buffer[IN_SIZE];
    size_t size;
    char out[];
};

enum err archive_reader_open(const char *dir, const char *name, struct archive_reader **out, struct err_info *info)
{
    const size_t size = ZSTD_DStreamOutSize();
    struct archive_reader *r = mem_zalloc(sizeof(*r) + size);
    enum err err = ERR_OK;

    r->size = size;
    r->path = join(dir, "", name, "");
    r->hash = hash_new();
    r->zstd = ZSTD_createDCtx();
    err = open_read(r->path, &r->fd, info);
    if (err == ERR_OK && r->zstd == NULL)
        err = err_set(info, ERR_NOMEM, "no memory to decompress");
    *out = r;
    if (err != ERR_OK) {
        archive_reader_close(r);
        *out = NULL;
    }
    return err;
}

static enum err refill(struct archive_reader *r, bool *end, struct err_info *info)
{
    size_t n = 0;
    enum err err = read_some(r->fd, r->path, r->buffer, sizeof(r->buffer), &n, info);

    hash_put(r->hash, r->buffer, n);
    r->bytes += (int64_t)n;
    r->in = (ZSTD_inBuffer){.src = r->buffer, .size = n};
    *end = n == 0;
    return err;
}

enum err archive_reader_next(struct archive_reader *r, const char **p, size_t *n, struct err_info *info)
{
    ZSTD_outBuffer out = {.dst = r->out, .size = r->size};
    bool end = false;
    enum err err = ERR_OK;

    while (out.pos == 0 && err == ERR_OK) {
        if (r->in.pos == r->in.size)
            err = refill(r, &end, info);
        if (err == ERR_OK && end && (r->wanted > 0 || !r->any))
            err = err_set(info, ERR_MALFORMED, "%s: ends after %lld bytes, in the middle", r->path, (long long)r->bytes);
        if (err != ERR_OK || end)
            break;
        r->any = true;
        r->wanted = ZSTD_decompressStream(r->zstd, &out, &r->in);
        if (ZSTD_isError(r->wanted))
            err = err_set(info, ERR_MALFORMED, "%s: before byte %lld: %s", r->path, (long long)r->bytes,
                          ZSTD_getErrorName(r->wanted));
    }
    *p = r->out;
    *n = err == ERR_OK ? out.pos : 0;
    return err;
}

int64_t archive_reader_bytes(const struct archive_reader *r)
{
    return r->bytes;
}

void archive_reader_sha256(struct archive_reader *r, char sha256[MANIFEST_HEX_SIZE])
{
    take_hash(&r->hash, sha256);
}

void archive_reader_close(struct archive_reader *r)
{
    uint8_t ignored[HASH_SIZE];

    if (r == NULL)
        return;
    if (r->hash != NULL)
        hash_done(r->hash, ignored);
    if (r->fd >= 0)
        (void)close(r->fd);
    ZSTD_freeDCtx(r->zstd);
    mem_free(r->path);
    mem_free(r);
}

enum err archive_file_sha256(const char *dir, const char *name, char sha256[MANIFEST_HEX_SIZE], struct err_info *info)
{
    char *path = join(dir, "", name, "");
    char *buffer = mem_alloc(IN_SIZE);
    struct hash *h = hash_new();
    size_t n = 1;
    int fd = -1;
    enum err err = open_read(path, &fd, info);

    while (err == ERR_OK && n > 0) {
        err = read_some(fd, path, buffer, IN_SIZE, &n, info);
        hash_put(h, buffer, n);
    }
    take_hash(&h, sha256);
    if (fd >= 0)
        (void)close(fd);
    mem_free(buffer);
    mem_free(path);
    return err;
}

enum err archive_file_get(const char *dir, const char *name, size_t most, struct buf *out, struct err_info *info)
{
    char *path = join(dir, "", name, "");
    size_t n = 1;
    int fd = -1;
    enum err err = open_read(path, &fd, info);

    while (err == ERR_OK && n > 0) {
        buf_reserve(out, IN_SIZE);
        err = read_some(fd, path, out->data + out->len, IN_SIZE, &n, info);
        out->len += n;
        out->data[out->len] = '\0';
        if (err == ERR_OK && out->len > most)
            err = err_set(info, ERR_LIMIT, "%s: more than %zu bytes", path, most);
    }
    if (fd >= 0)
        (void)close(fd);
    mem_free(path);
    return err;
}
