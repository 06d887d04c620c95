/* manifest: see manifest.h. */
#include "common/core/manifest.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "common/core/civil.h"

#define FORMAT "usher-archive-1"
#define PREFIX "execution_logs_"
#define PREFIX_N (sizeof(PREFIX) - 1)

void manifest_free(struct manifest *m)
{
    arena_free(&m->arena);
    *m = (struct manifest){0};
}

bool manifest_leaf_ok(const char *leaf)
{
    struct civil month;
    char date[CIVIL_DATE_SIZE] = "yyyy-mm-01";

    if (strncmp(leaf, PREFIX, PREFIX_N) != 0 || strlen(leaf) != PREFIX_N + 7 || leaf[PREFIX_N + 4] != '_')
        return false;
    memcpy(date, leaf + PREFIX_N, 4);
    memcpy(date + 5, leaf + PREFIX_N + 5, 2);
    return civil_parse_date((struct str){date, CIVIL_DATE_SIZE - 1}, &month) == ERR_OK;
}

void manifest_hex(const uint8_t hash[HASH_SIZE], char out[MANIFEST_HEX_SIZE])
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < HASH_SIZE; i++) {
        out[2 * i] = digits[hash[i] >> 4];
        out[2 * i + 1] = digits[hash[i] & 15];
    }
    out[2 * HASH_SIZE] = '\0';
}

static void hash_columns(const struct manifest *m, char out[MANIFEST_HEX_SIZE])
{
    struct hash *h = hash_new();
    uint8_t sum[HASH_SIZE];

    for (size_t i = 0; i < m->n_columns; i++) {
        hash_put(h, m->columns[i].name, strlen(m->columns[i].name));
        hash_put(h, " ", 1);
        hash_put(h, m->columns[i].type, strlen(m->columns[i].type));
        hash_put(h, "\n", 1);
    }
    hash_done(h, sum);
    manifest_hex(sum, out);
}

static enum err take_columns(struct manifest *m, const json_t *list, struct err_info *info)
{
    const size_t n = json_array_size(list);

    if (n == 0 || n > MANIFEST_COLUMNS_MAX)
        return err_set(info, ERR_MALFORMED, "manifest: columns: expected a list of 1 to %d", MANIFEST_COLUMNS_MAX);
    for (size_t i = 0; i < n; i++) {
        const json_t *column = json_array_get(list, i);
        const char *name = json_string_value(json_array_get(column, 0));
        const char *type = json_string_value(json_array_get(column, 1));
        if (name == NULL || type == NULL || json_array_size(column) != 2)
            return err_set(info, ERR_MALFORMED, "manifest: columns[%zu]: expected [name, type]", i);
        m->columns[i] = (struct manifest_column){arena_strdup(&m->arena, name), arena_strdup(&m->arena, type)};
    }
    m->n_columns = n;
    hash_columns(m, m->columns_sha256);
    return ERR_OK;
}

static json_t *load(struct str text, struct err_info *info)
{
    json_error_t why;
    json_t *doc = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES, &why);

    if (doc == NULL)
        (void)err_set(info, ERR_MALFORMED, "manifest: line %d: %s", why.line, why.text);
    return doc;
}

enum err manifest_set_columns(struct manifest *m, struct str json, struct err_info *info)
{
    json_t *list = load(json, info);
    enum err err = list != NULL ? take_columns(m, list, info) : ERR_MALFORMED;

    json_decref(list);
    return err;
}

/* ---- writing ---------------------------------------------------------------------------------------------------------- */

static void put_text(struct buf *out, const char *key, const char *value)
{
    buf_printf(out, ",\n  \"%s\": ", key);
    buf_put_json(out, value, strlen(value));
}

static void put_number(struct buf *out, const char *key, int64_t value)
{
    buf_printf(out, ",\n  \"%s\": %lld", key, (long long)value);
}

static void put_time(struct buf *out, const char *key, int64_t us)
{
    char text[STR_TIME_SIZE];

    str_from_time(text, us);
    put_text(out, key, text);
}

void manifest_format(const struct manifest *m, struct buf *out)
{
    buf_put_str(out, "{\n  \"format\": \"" FORMAT "\"");
    put_text(out, "leaf", m->leaf);
    put_time(out, "from", m->lo_us);
    put_time(out, "before", m->hi_us);
    put_number(out, "rows", m->n_rows);
    put_text(out, "digest", m->digest);
    put_text(out, "sha256", m->sha256);
    put_number(out, "bytes", m->bytes);
    put_number(out, "raw_bytes", m->raw_bytes);
    buf_put_str(out, ",\n  \"columns\": [");
    for (size_t i = 0; i < m->n_columns; i++) {
        buf_put_str(out, i == 0 ? "[" : ", [");
        buf_put_json(out, m->columns[i].name, strlen(m->columns[i].name));
        buf_put_str(out, ", ");
        buf_put_json(out, m->columns[i].type, strlen(m->columns[i].type));
        buf_put_str(out, "]");
    }
    buf_put_str(out, "]");
    put_text(out, "columns_sha256", m->columns_sha256);
    put_text(out, "tool", m->tool);
    put_text(out, "server", m->server);
    put_time(out, "created_at", m->created_us);
    buf_printf(out, ",\n  \"tenants\": %s\n}\n", m->tenants);
}

/* ---- reading ------------------------------------------------------------------------------------------------------------ */

static enum err read_text(const json_t *doc, const char *key, char *out, size_t size, struct err_info *info)
{
    const char *value = json_string_value(json_object_get(doc, key));

    if (value == NULL || !str_copy(out, size, value))
        return err_set(info, ERR_MALFORMED, "manifest: %s: expected a text of at most %zu bytes", key, size - 1);
    return ERR_OK;
}

static enum err read_number(const json_t *doc, const char *key, int64_t *out, struct err_info *info)
{
    const json_t *value = json_object_get(doc, key);

    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return err_set(info, ERR_MALFORMED, "manifest: %s: expected a number that is not negative", key);
    *out = json_integer_value(value);
    return ERR_OK;
}

static enum err read_time(const json_t *doc, const char *key, int64_t *out, struct err_info *info)
{
    const char *value = json_string_value(json_object_get(doc, key));

    if (value == NULL || str_to_time(str_of(value), out) != ERR_OK)
        return err_set(info, ERR_MALFORMED, "manifest: %s: expected a time", key);
    return ERR_OK;
}

static enum err read_tenants(const json_t *doc, struct manifest *m, struct err_info *info)
{
    const json_t *tenants = json_object_get(doc, "tenants");
    char *text = json_is_object(tenants) ? json_dumps(tenants, JSON_COMPACT | JSON_SORT_KEYS) : NULL;

    if (text == NULL)
        return err_set(info, ERR_MALFORMED, "manifest: tenants: expected an object");
    m->tenants = arena_strdup(&m->arena, text);
    free(text);
    return ERR_OK;
}

static enum err read_columns(const json_t *doc, struct manifest *m, struct err_info *info)
{
    char written[MANIFEST_HEX_SIZE];
    enum err err = take_columns(m, json_object_get(doc, "columns"), info);

    if (err == ERR_OK)
        err = read_text(doc, "columns_sha256", written, sizeof(written), info);
    if (err == ERR_OK && strcmp(written, m->columns_sha256) != 0)
        err = err_set(info, ERR_MALFORMED, "manifest: columns_sha256 is not that of the columns");
    return err;
}

static enum err read_all(const json_t *doc, struct manifest *m, struct err_info *info)
{
    char format[MANIFEST_WORD_SIZE];
    const struct {
        const char *key;
        char *out;
        size_t size;
    } texts[] = {
        {"format", format, sizeof(format)},       {"leaf", m->leaf, sizeof(m->leaf)},
        {"digest", m->digest, sizeof(m->digest)}, {"sha256", m->sha256, sizeof(m->sha256)},
        {"tool", m->tool, sizeof(m->tool)},       {"server", m->server, sizeof(m->server)},
    };
    const struct {
        const char *key;
        int64_t *out;
    } numbers[] = {{"rows", &m->n_rows}, {"bytes", &m->bytes}, {"raw_bytes", &m->raw_bytes}},
      times[] = {{"from", &m->lo_us}, {"before", &m->hi_us}, {"created_at", &m->created_us}};
    enum err err = ERR_OK;

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]) && err == ERR_OK; i++)
        err = read_text(doc, texts[i].key, texts[i].out, texts[i].size, info);
    for (size_t i = 0; i < 3 && err == ERR_OK; i++)
        err = read_number(doc, numbers[i].key, numbers[i].out, info);
    for (size_t i = 0; i < 3 && err == ERR_OK; i++)
        err = read_time(doc, times[i].key, times[i].out, info);
    if (err == ERR_OK && strcmp(format, FORMAT) != 0)
        err = err_set(info, ERR_MALFORMED, "manifest: format is \"%s\"; expected \"" FORMAT "\"", format);
    if (err == ERR_OK && !manifest_leaf_ok(m->leaf))
        err = err_set(info, ERR_MALFORMED, "manifest: leaf: expected " PREFIX "YYYY_MM");
    if (err == ERR_OK)
        err = read_columns(doc, m, info);
    return err == ERR_OK ? read_tenants(doc, m, info) : err;
}

enum err manifest_parse(struct str text, struct manifest *m, struct err_info *info)
{
    json_t *doc = load(text, info);
    enum err err = doc != NULL ? read_all(doc, m, info) : ERR_MALFORMED;

    json_decref(doc);
    return err;
}

static const struct manifest_column *find_column(const struct manifest *m, const char *name)
{
    for (size_t i = 0; i < m->n_columns; i++) {
        if (strcmp(m->columns[i].name, name) == 0)
            return &m->columns[i];
    }
    return NULL;
}

enum err manifest_fits(const struct manifest *m, const struct manifest *now, struct err_info *info)
{
    for (size_t i = 0; i < m->n_columns; i++) {
        const struct manifest_column *had = &m->columns[i], *has = find_column(now, had->name);
        if (has == NULL)
            return err_set(info, ERR_STATE, "the archive's column %s is not in the log any more", had->name);
        if (strcmp(has->type, had->type) != 0)
            return err_set(info, ERR_STATE, "column %s was %s in the archive and is %s now", had->name, had->type,
                           has->type);
    }
    return ERR_OK;
}
