/* migrate_dir: the folder of migration files, read whole and checked before anything runs. Other files than *.sql are not
 * looked at; a *.sql file of another form of name is refused, since it was meant to be run. */
#include "common/io/migrate_private.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/mem.h"

#define MIN_DIGITS 3
#define MAX_DIGITS 9 /* fits an int */
#define NO_TRANSACTION "-- no-transaction"

static bool is_sql(const char *name)
{
    size_t n = strlen(name);
    return name[0] != '.' && n > 4 && strcmp(name + n - 4, ".sql") == 0;
}

/* NNN_name.sql; 0 when the name has another form. */
static int version_of(const char *name)
{
    size_t digits = strspn(name, "0123456789");
    size_t rest = strspn(name + digits, "abcdefghijklmnopqrstuvwxyz0123456789_-");
    bool good = digits >= MIN_DIGITS && digits <= MAX_DIGITS && name[digits] == '_' && rest > 1 &&
                strcmp(name + digits + rest, ".sql") == 0;
    return good ? (int)strtol(name, NULL, 10) : 0;
}

static enum err read_file(const char *path, struct buf *text, struct err_info *info)
{
    char block[16384];
    enum err err = ERR_OK;
    FILE *f = fopen(path, "re");
    if (!f)
        return err_set(info, ERR_IO, "%s: %s", path, strerror(errno));
    for (size_t n = fread(block, 1, sizeof(block), f); n > 0 && err == ERR_OK; n = fread(block, 1, sizeof(block), f)) {
        buf_put(text, block, n);
        if (text->len > MIGRATE_MAX_FILE_BYTES)
            err = err_set(info, ERR_LIMIT, "%s: larger than %d bytes", path, MIGRATE_MAX_FILE_BYTES);
    }
    if (err == ERR_OK && ferror(f))
        err = err_set(info, ERR_IO, "%s: %s", path, strerror(errno));
    fclose(f);
    return err;
}

static bool first_line_is(struct str text, const char *line)
{
    size_t n = strlen(line);
    if (text.n < n || memcmp(text.p, line, n) != 0)
        return false;
    for (; n < text.n && text.p[n] != '\n'; n++)
        if (!strchr(" \t\r", text.p[n]))
            return false;
    return true;
}

static enum err check_statements(const char *path, const struct migrate_file *file, struct err_info *info)
{
    struct str text = {buf_text(&file->text), file->text.len};
    struct str statement;
    size_t at = 0;
    int n = 0;
    while (migrate_sql_next(text, &at, &statement)) {
        int line = migrate_sql_line(text, (size_t)(statement.p - text.p));
        n++;
        if (migrate_sql_ends_transaction(statement))
            return err_set(info, ERR_INVALID,
                           "%s:%d: a migration runs in a transaction of the runner's: no BEGIN, COMMIT or "
                           "ROLLBACK here",
                           path, line);
        if (file->no_transaction && n > 1)
            return err_set(info, ERR_INVALID, "%s:%d: a no-transaction file holds one statement only", path, line);
    }
    return n > 0 ? ERR_OK : err_set(info, ERR_INVALID, "%s: no statement in it", path);
}

static enum err load_file(struct migrate_file *file, const char *dir, struct err_info *info)
{
    struct buf path = {0};
    buf_printf(&path, "%s/%s", dir, file->name);
    enum err err = read_file(buf_text(&path), &file->text, info);
    if (err == ERR_OK && !str_is_utf8((struct str){buf_text(&file->text), file->text.len}))
        err = err_set(info, ERR_INVALID, "%s: not valid UTF-8 text", buf_text(&path));
    if (err == ERR_OK) {
        file->no_transaction = first_line_is((struct str){buf_text(&file->text), file->text.len}, NO_TRANSACTION);
        err = check_statements(buf_text(&path), file, info);
    }
    if (err == ERR_OK) {
        struct hash *hash = hash_new();
        hash_put(hash, file->text.data, file->text.len);
        hash_done(hash, file->sha256);
    }
    buf_free(&path);
    return err;
}

static int by_version(const void *a, const void *b)
{
    const struct migrate_file *x = a;
    const struct migrate_file *y = b;
    return x->version != y->version ? (x->version > y->version) - (x->version < y->version) : strcmp(x->name, y->name);
}

static enum err list_files(struct migrate_dir *d, DIR *dir, struct err_info *info)
{
    for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        if (!is_sql(e->d_name))
            continue;
        int version = version_of(e->d_name);
        if (version == 0)
            return err_set(info, ERR_INVALID, "%s/%s: the name is not of the form 030_what_it_does.sql", d->path,
                           e->d_name);
        if (d->n == MIGRATE_MAX_FILES)
            return err_set(info, ERR_LIMIT, "%s: more than %d files", d->path, MIGRATE_MAX_FILES);
        d->files = mem_realloc(d->files, (size_t)(d->n + 1) * sizeof(d->files[0]));
        d->files[d->n++] = (struct migrate_file){.version = version, .name = mem_strdup(e->d_name)};
    }
    return d->n > 0 ? ERR_OK
                    : err_set(info, ERR_INVALID, "%s: no migration files (NNN_name.sql) in this folder", d->path);
}

enum err migrate_dir_load(struct migrate_dir *d, const char *path, struct err_info *info)
{
    d->path = path;
    DIR *dir = opendir(path);
    if (!dir)
        return err_set(info, ERR_IO, "%s: %s", path, strerror(errno));
    enum err err = list_files(d, dir, info);
    closedir(dir);
    if (err != ERR_OK)
        return err;
    qsort(d->files, (size_t)d->n, sizeof(d->files[0]), by_version);
    for (int i = 1; i < d->n; i++)
        if (d->files[i].version == d->files[i - 1].version)
            return err_set(info, ERR_INVALID, "%s: %s and %s have the same number", path, d->files[i - 1].name,
                           d->files[i].name);
    for (int i = 0; i < d->n && err == ERR_OK; i++)
        err = load_file(&d->files[i], path, info);
    return err;
}

void migrate_dir_free(struct migrate_dir *d)
{
    for (int i = 0; i < d->n; i++) {
        mem_free(d->files[i].name);
        buf_free(&d->files[i].text);
    }
    mem_free(d->files);
    d->files = NULL;
    d->n = 0;
}

struct migrate_file *migrate_dir_find(const struct migrate_dir *d, int version)
{
    for (int i = 0; i < d->n; i++)
        if (d->files[i].version == version)
            return &d->files[i];
    return NULL;
}
