/* archive_load: archives are read back. Whatever the file holds, it is believed only when its SHA-256, its columns, the number of its
 * rows, their digest and the rows of each tenant are those of the manifest; until then everything is in one transaction. */
#include "common/io/archive_private.h"

#include <string.h>

#include "common/base/mem.h"
#include "common/base/str.h"
#include "common/io/archive_file.h"
#include "common/io/die.h"

enum err archive_read_manifest(struct archive *a, const char *leaf, const struct store_leaf *part, struct manifest *m,
                               struct err_info *info)
{
    char name[ARCHIVE_NAME_SIZE];
    struct buf text = {0};
    enum err err = archive_need_dir(a, info);

    archive_manifest_name(name, leaf);
    if (err == ERR_OK)
        err = archive_file_get(a->config.dir, name, MANIFEST_BYTES_MAX, &text, info);
    if (err == ERR_OK)
        err = manifest_parse((struct str){buf_text(&text), text.len}, m, info);
    if (err == ERR_OK && (strcmp(m->leaf, leaf) != 0 || m->lo_us != part->lo_us || m->hi_us != part->hi_us))
        err = err_set(info, ERR_MALFORMED, "%s: the manifest is of %s, or of other bounds", name, m->leaf);
    if (err == ERR_OK && part->sha256[0] != '\0' && strcmp(m->sha256, part->sha256) != 0)
        err = err_set(info, ERR_MALFORMED, "%s: the manifest names another file than the database does", name);
    buf_free(&text);
    return err;
}

struct load {
    struct archive *a;
    const struct manifest *m;
    struct archive_reader *reader;
};

static enum err give_piece(void *arg, const char **p, size_t *n, struct err_info *info)
{
    struct load *l = arg;
    enum err err = archive_tell(l->a, l->m->leaf, "load", archive_reader_bytes(l->reader), l->m->bytes, info);

    die_at("archive_loading");
    return err == ERR_OK ? archive_reader_next(l->reader, p, n, info) : err;
}

/* What COPY refuses is the file's fault; what the server or the disk fail at is not. */
static enum err blame_file(enum err err, const char *leaf, struct err_info *info)
{
    struct err_info why = *info;

    return err == ERR_DB_DATA || err == ERR_DB_UNIQUE
               ? err_set(info, ERR_MALFORMED, "%s: its rows can not be loaded: %.200s", leaf, why.text)
               : err;
}

static enum err copy_file(struct load *l, const char *leaf, const char *table, bool frozen, struct err_info *info)
{
    char sha256[MANIFEST_HEX_SIZE];
    enum err err = store_archive_copy_in(l->a->db, table, l->m, frozen, give_piece, l, info);

    if (err != ERR_OK)
        return blame_file(err, leaf, info);
    archive_reader_sha256(l->reader, sha256);
    if (strcmp(sha256, l->m->sha256) != 0 || archive_reader_bytes(l->reader) != l->m->bytes)
        err = err_set(info, ERR_MALFORMED, "%s: SHA-256 of the file is %.16s…; the manifest says %.16s…", leaf, sha256,
                      l->m->sha256);
    return err;
}

static enum err compare(struct archive *a, const char *leaf, const char *table, const struct manifest *m,
                        struct err_info *info)
{
    struct manifest got = {.n_columns = m->n_columns};
    bool same = false;
    enum err err = archive_tell(a, leaf, "compare", 0, 0, info);

    memcpy(got.columns, m->columns, sizeof(got.columns));
    if (err == ERR_OK)
        err = store_archive_facts(a->db, table, &got, info);
    if (err == ERR_OK && got.n_rows != m->n_rows)
        err = err_set(info, ERR_MALFORMED, "%s: has %lld rows; the manifest says %lld", leaf, (long long)got.n_rows,
                      (long long)m->n_rows);
    if (err == ERR_OK && strcmp(got.digest, m->digest) != 0)
        err = err_set(info, ERR_MALFORMED, "%s: the rows are not those of the manifest (digest)", leaf);
    if (err == ERR_OK)
        err = store_archive_same(a->db, got.tenants, m->tenants, &same, info);
    if (err == ERR_OK && !same)
        err = err_set(info, ERR_MALFORMED, "%s: the tenants' rows are not those of the manifest", leaf);
    manifest_free(&got);
    return err;
}

static enum err check_columns(struct archive *a, const struct manifest *m, struct err_info *info)
{
    struct manifest now = {0};
    enum err err = store_archive_columns(a->db, NULL, &now, info);

    if (err == ERR_OK)
        err = manifest_fits(m, &now, info);
    manifest_free(&now);
    return err;
}

enum err archive_load(struct archive *a, const char *leaf, const char *table, const struct manifest *m, bool frozen,
                      struct err_info *info)
{
    struct load l = {.a = a, .m = m};
    char name[ARCHIVE_NAME_SIZE];
    enum err err = check_columns(a, m, info);

    archive_data_name(name, leaf);
    if (err == ERR_OK)
        err = archive_reader_open(a->config.dir, name, &l.reader, info);
    if (err == ERR_OK)
        err = copy_file(&l, leaf, table, frozen, info);
    archive_reader_close(l.reader);
    return err == ERR_OK ? compare(a, leaf, table, m, info) : err;
}

enum err archive_check(struct archive *a, const char *leaf, const struct store_leaf *part, struct manifest *m,
                       struct err_info *info)
{
    struct err_info ignored = {0};
    char table[ARCHIVE_NAME_SIZE];
    struct buf name = {0};
    enum err err = archive_read_manifest(a, leaf, part, m, info);

    buf_printf(&name, "verify_%s", leaf);
    (void)str_copy(table, sizeof(table), buf_text(&name));
    buf_free(&name);
    if (err == ERR_OK)
        err = db_exec(a->db, "begin", NULL, info);
    if (err != ERR_OK)
        return err;
    err = store_archive_scratch(a->db, leaf, info);
    if (err == ERR_OK)
        err = archive_load(a, leaf, table, m, true, info);
    enum err rolled = db_alive(a->db) ? db_exec(a->db, "rollback", NULL, err == ERR_OK ? info : &ignored) : err;
    return err != ERR_OK ? err : rolled;
}
