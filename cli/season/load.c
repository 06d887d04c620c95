/* load: see load.h. All lines are one transaction; each stands behind a savepoint, so that a bad one takes nothing
 * with it. */
#include "cli/season/load.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/mem.h"
#include "common/io/db.h"
#include "common/io/settings.h"

#define FILE_MAX_BYTES (64L * 1024 * 1024)

struct loader {
    struct db_session *db;
    const char *dir;
    season_report report;
    void *arg;
    struct season_counts *counts;
    int64_t seq;
    struct arena arena;
};

struct part {
    const char *file;
    const char *kind;
    size_t counter; /* offset in struct season_counts */
};

static const struct part parts[] = {
    {"tenants.jsonl", "tenant", offsetof(struct season_counts, tenants)},
    {"vendors.jsonl", "vendor", offsetof(struct season_counts, vendors)},
    {"rules.jsonl", "rule", offsetof(struct season_counts, rules)},
    {"weddings.jsonl", "wedding", offsetof(struct season_counts, weddings)},
    {"events.jsonl", "event", offsetof(struct season_counts, events)},
};

static enum err read_file(const char *dir, const char *name, struct buf *out, struct err_info *info)
{
    char path[1024], chunk[16384];
    size_t n;
    enum err err = ERR_OK;
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *f = fopen(path, "rbe");
    if (!f)
        return err_set(info, errno == ENOENT ? ERR_NOTFOUND : ERR_IO, "%s: %s", path, strerror(errno));
    while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0 && out->len < FILE_MAX_BYTES)
        buf_put(out, chunk, n);
    if (ferror(f))
        err = err_set(info, ERR_IO, "%s: %s", path, strerror(errno));
    else if (out->len >= FILE_MAX_BYTES)
        err = err_set(info, ERR_LIMIT, "%s: more than %ld MiB", path, FILE_MAX_BYTES >> 20);
    (void)fclose(f);
    return err;
}

static void bad_line(struct loader *l, const char *file, int number, const char *text)
{
    struct buf line = {0};
    buf_printf(&line, "%s:%d: %s", file, number, text);
    l->report(l->arg, buf_text(&line));
    l->counts->bad++;
    buf_free(&line);
}

/* {"file": "rules/x.json"} instead of a definition: the document stands in a file of its own. */
static enum err include_definition(struct loader *l, json_t *line, struct err_info *info)
{
    const char *file = json_string_value(json_object_get(line, "file"));
    struct buf text = {0};
    json_error_t why;
    if (!file)
        return ERR_OK;
    if (strstr(file, "..") || file[0] == '/')
        return err_set(info, ERR_INVALID, "file \"%s\": expected a path inside the season's folder", file);
    enum err err = read_file(l->dir, file, &text, info);
    if (err == ERR_OK) {
        json_t *definition = json_loadb(text.data ? text.data : "", text.len, JSON_REJECT_DUPLICATES, &why);
        if (!definition)
            err = err_set(info, ERR_INVALID, "%s, line %d column %d: %s", file, why.line, why.column, why.text);
        else
            json_object_set_new(line, "definition", definition);
        json_object_del(line, "file");
    }
    buf_free(&text);
    return err;
}

static enum err store_line(struct loader *l, const char *kind, json_t *line, struct err_info *info)
{
    static const struct db_stmt stmt = {"season_load", "select season.load($1, $2, $3)"};
    struct db_args args;
    char *text = json_dumps(line, JSON_COMPACT);
    db_args_init(&args, &l->arena);
    db_arg_cstr(&args, kind);
    db_arg_json(&args, str_of(text));
    db_arg_i64(&args, l->seq);
    enum err err = db_query(l->db, &stmt, &args, NULL, info);
    free(text);
    arena_reset(&l->arena);
    return err;
}

/* Losing the database ends the load; anything else is this line's error. */
static bool is_fatal(enum err err)
{
    return err == ERR_CONN_LOST || err == ERR_TIMEOUT || err == ERR_CANCELED;
}

static enum err load_line(struct loader *l, const struct part *part, int number, struct str text, struct err_info *info)
{
    json_error_t why;
    json_t *line = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES, &why);
    l->seq++;
    if (!line) {
        char message[256];
        snprintf(message, sizeof(message), "column %d: %s", why.column, why.text);
        bad_line(l, part->file, number, message);
        return ERR_OK;
    }
    enum err err = db_exec(l->db, "savepoint line", NULL, info);
    if (err == ERR_OK)
        err = include_definition(l, line, info);
    if (err == ERR_OK)
        err = store_line(l, part->kind, line, info);
    json_decref(line);
    if (err == ERR_OK) {
        (*(int64_t *)(void *)((char *)l->counts + part->counter))++;
        return db_exec(l->db, "release line", NULL, info);
    }
    if (is_fatal(err))
        return err;
    bad_line(l, part->file, number, info->text);
    return db_exec(l->db, "rollback to line", NULL, info);
}

static enum err load_part(struct loader *l, const struct part *part, struct err_info *info)
{
    struct buf text = {0};
    enum err err = read_file(l->dir, part->file, &text, info);
    const char *at = buf_text(&text), *end = at + text.len;
    for (int number = 1; err == ERR_OK && at < end; number++) {
        const char *eol = memchr(at, '\n', (size_t)(end - at));
        size_t n = eol ? (size_t)(eol - at) : (size_t)(end - at);
        if (n && at[0] != '#')
            err = load_line(l, part, number, (struct str){at, n}, info);
        at += n + 1;
    }
    buf_free(&text);
    return err;
}

enum err season_home(const struct settings *settings, char out[SEASON_PATH_MAX], struct err_info *info)
{
    char *migrations = settings_find_migrations(settings, info);
    if (!migrations)
        return ERR_NOTFOUND;
    snprintf(out, SEASON_PATH_MAX, "%s/../examples/season", migrations);
    mem_free(migrations);
    return ERR_OK;
}

enum err season_load(struct db_session *db, const char *home, const char *dir, bool strict, season_report report,
                     void *arg, struct season_counts *counts, struct err_info *info)
{
    struct err_info unused = {0}, detail = {0};
    struct loader l = {.db = db, .dir = dir, .report = report, .arg = arg, .counts = counts};
    struct buf sql = {0};
    *counts = (struct season_counts){0};
    info = info ? info : &unused;
    enum err err = read_file(home, "season.sql", &sql, info);
    if (err == ERR_OK)
        err = db_exec(db, "begin", NULL, info);
    if (err == ERR_OK)
        err = db_exec(db, buf_text(&sql), NULL, info);
    for (size_t i = 0; err == ERR_OK && i < sizeof(parts) / sizeof(parts[0]); i++)
        err = load_part(&l, &parts[i], info);
    if (err == ERR_OK && strict && counts->bad)
        err = err_set(info, ERR_INVALID, "%lld bad lines: nothing was loaded", (long long)counts->bad);
    if (err == ERR_OK)
        err = db_exec(db, "commit", NULL, info);
    else if (db_exec(db, "rollback", NULL, &detail) != ERR_OK)
        report(arg, detail.text);
    buf_free(&sql);
    arena_free(&l.arena);
    return err;
}
