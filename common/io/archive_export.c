/* archive_export: see archive.h. A killed export leaves at most a file without its name, or one that the book does not know; the next
 * one writes both anew. */
#include "common/io/archive_private.h"

#include "common/base/clock.h"
#include "common/base/str.h"
#include "common/io/archive_file.h"
#include "common/io/die.h"
#include "common/io/settings.h"

#define TELL_EVERY_BYTES 65536

struct export
{
    struct archive *a;
    struct manifest *m;
    struct archive_writer *writer;
    int64_t pieces; /* the header, and the rows */
    int64_t told_bytes;
};

static enum err take_row(void *arg, const char *p, size_t n, struct err_info *info)
{
    struct export *e = arg;
    enum err err = archive_writer_put(e->writer, p, n, info);

    e->pieces++;
    e->m->raw_bytes += (int64_t)n;
    if (err == ERR_OK && e->m->raw_bytes - e->told_bytes >= TELL_EVERY_BYTES) {
        e->told_bytes = e->m->raw_bytes;
        die_at("archive_exporting");
        err = archive_tell(e->a, e->m->leaf, "export", e->pieces - 1, e->m->n_rows, info);
    }
    return err;
}

/* What is counted and what is copied is one snapshot. */
static enum err copy_rows(struct export *e, struct err_info *info)
{
    struct db_session *db = e->a->db;
    struct manifest *m = e->m;
    enum err err = archive_tell(e->a, m->leaf, "count", 0, 0, info);

    if (err == ERR_OK)
        err = db_exec(db, "begin isolation level repeatable read read only", NULL, info);
    if (err != ERR_OK)
        return err;
    err = store_archive_columns(db, m->leaf, m, info);
    if (err == ERR_OK)
        err = store_archive_facts(db, m->leaf, m, info);
    if (err == ERR_OK)
        err = store_archive_copy_out(db, m->leaf, m, take_row, e, info);
    if (err == ERR_OK && e->pieces - 1 != m->n_rows)
        err = err_set(info, ERR_STATE, "%s: %lld rows were copied of %lld", m->leaf, (long long)e->pieces - 1,
                      (long long)m->n_rows);
    return archive_end(e->a, err, info);
}

static enum err write_data(struct archive *a, struct manifest *m, struct err_info *info)
{
    struct export e = {.a = a, .m = m};
    char name[ARCHIVE_NAME_SIZE];
    enum err err = ERR_OK;

    archive_data_name(name, m->leaf);
    err = archive_writer_open(a->config.dir, name, &e.writer, info);
    if (err == ERR_OK)
        err = copy_rows(&e, info);
    if (err == ERR_OK)
        err = archive_writer_finish(e.writer, m->sha256, &m->bytes, info);
    archive_writer_close(e.writer);
    return err;
}

static enum err write_manifest(struct archive *a, const struct manifest *m, struct err_info *info)
{
    char name[ARCHIVE_NAME_SIZE];
    struct buf text = {0};
    enum err err = ERR_OK;

    archive_manifest_name(name, m->leaf);
    manifest_format(m, &text);
    err = archive_file_put(a->config.dir, name, &text, info);
    buf_free(&text);
    return err;
}

enum err archive_export(struct archive *a, const char *leaf, const struct store_leaf *part, struct err_info *info)
{
    struct manifest m = {.lo_us = part->lo_us, .hi_us = part->hi_us, .created_us = clock_wall_us()};
    enum err err = archive_need_dir(a, info);

    (void)str_copy(m.leaf, sizeof(m.leaf), leaf);
    (void)str_copy(m.tool, sizeof(m.tool), "usher " USHER_VERSION);
    (void)str_copy(m.server, sizeof(m.server), a->server);
    if (err == ERR_OK)
        err = write_data(a, &m, info);
    if (err == ERR_OK) {
        die_at("archive_renamed");
        err = write_manifest(a, &m, info);
    }
    if (err == ERR_OK) {
        die_at("archive_manifest");
        err = db_exec(a->db, "begin", NULL, info);
    }
    if (err == ERR_OK)
        err = archive_end(a, store_archive_exported(a->db, &m, info), info);
    if (err == ERR_OK)
        die_at("archive_exported");
    manifest_free(&m);
    return err;
}
