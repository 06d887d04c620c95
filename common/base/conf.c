/* conf: every source fills one candidate per setting, the strongest source wins, and only then texts become values.
 *
 * Rules that the header leaves open: an empty environment variable counts as unset; an empty text leaves a CONF_STR unset
 * (NULL), so that an empty flag can undo a variable; a flag given twice takes its last value; a key twice in one file is an
 * error; source->file may be absent, a file named by --config or USHER_CONFIG may not; keys of the other programs' tables may
 * stand in the file, so that one file serves all; -h means --help where the table has it.
 *
 * Failure: nothing stops at the first error. A setting in error holds zero or NULL, so that conf_free is safe. */
#include "common/base/conf.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/conf_priv.h"
#include "common/base/mem.h"
#include "common/base/str.h"

#define MAX_FILE_BYTES ((size_t)256 * 1024) /* of a configuration file or of a secret's file */
#define MAX_NAME 64                         /* longer names are not compared when a suggestion is looked for */

enum rank { RANK_NONE, RANK_DEFAULT, RANK_FILE, RANK_ENV, RANK_FLAG };

struct candidate {
    enum rank rank;
    const char *text;
    const char *origin;
};

struct load {
    const struct conf_key *keys;
    size_t n;
    struct candidate *found; /* one per key */
    struct arena arena;
    struct buf *errors;
    size_t n_errors;
    char *const *environ_;
    const char *file;
    bool file_required;
};

/* Origins outlive conf_load for conf_show; one node per loaded settings struct, until its conf_free. */
struct origins {
    struct origins *next;
    const void *settings;
    size_t n;
    char **text;
};

static struct origins *all_origins;
static const struct conf_key *const *foreign_tables;

void conf_foreign(const struct conf_key *const *tables)
{
    foreign_tables = tables;
}

const char *conf_origin(const void *settings, size_t i)
{
    for (const struct origins *o = all_origins; o != NULL; o = o->next) {
        if (o->settings == settings && i < o->n)
            return o->text[i];
    }
    return "";
}

static void origins_forget(const void *settings)
{
    for (struct origins **at = &all_origins; *at != NULL; at = &(*at)->next) {
        struct origins *o = *at;
        if (o->settings != settings)
            continue;
        *at = o->next;
        for (size_t i = 0; i < o->n; i++)
            mem_free(o->text[i]);
        mem_free(o->text);
        mem_free(o);
        return;
    }
}

static void origins_keep(const void *settings, const struct load *l)
{
    struct origins *o = mem_zalloc(sizeof(*o));

    origins_forget(settings);
    o->settings = settings;
    o->n = l->n;
    o->text = mem_zalloc(l->n * sizeof(*o->text));
    for (size_t i = 0; i < l->n; i++)
        o->text[i] = mem_strdup(l->found[i].origin == NULL ? "" : l->found[i].origin);
    o->next = all_origins;
    all_origins = o;
}

static void offer(struct load *l, size_t i, enum rank rank, const char *text, const char *origin)
{
    if (rank >= l->found[i].rank)
        l->found[i] = (struct candidate){rank, text, origin};
}

static const struct conf_key *find_key(const struct conf_key *keys, struct str name)
{
    for (const struct conf_key *k = keys; k->name != NULL; k++) {
        if (str_is(name, k->name))
            return k;
    }
    return NULL;
}

/* ---- suggestions ---- */

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t m = a < b ? a : b;

    return m < c ? m : c;
}

/* Edits (insert, delete, replace) between two names, by the usual one-row table. */
static size_t distance(const char *a, const char *b)
{
    size_t row[MAX_NAME + 1];
    size_t n = strlen(b);

    if (strlen(a) > MAX_NAME || n > MAX_NAME)
        return MAX_NAME;
    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1] != '\0'; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            size_t replace = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
            diagonal = row[j];
            row[j] = min3(row[j] + 1, row[j - 1] + 1, replace);
        }
    }
    return row[n];
}

/* The prefix says nothing about likeness, and DATABASE_URL lacks it. */
static const char *without_prefix(const char *name)
{
    return str_starts(str_of(name), "USHER_") ? name + strlen("USHER_") : name;
}

static void report_unknown(struct load *l, const char *what, const char *name, bool variable)
{
    size_t best = strlen(without_prefix(name)) / 4 + 2; /* farther names are no help */
    char best_name[CONF_ENV_SIZE] = "";
    char env[CONF_ENV_SIZE];

    for (size_t i = 0; i < l->n; i++) {
        const char *candidate = variable ? conf_env_name(&l->keys[i], env) : l->keys[i].name;
        size_t d = distance(without_prefix(name), without_prefix(candidate));
        if (d < best) {
            best = d;
            (void)str_copy(best_name, sizeof(best_name), candidate);
        }
    }
    l->n_errors++;
    buf_printf(l->errors, "%s%s: unknown", what, name);
    if (best_name[0] != '\0')
        buf_printf(l->errors, "; did you mean %s?", best_name);
    buf_put_char(l->errors, '\n');
}

/* ---- flags ---- */

/* Takes one flag at argv[at]; returns how many words it used. */
static int take_flag(struct load *l, struct conf_source *source, int at)
{
    const char *word = source->argv[at];
    bool is_long = strncmp(word, "--", 2) == 0;
    bool is_help = strcmp(word, "-h") == 0;
    const char *name = is_help ? "help" : word + (is_long ? 2 : 1);
    size_t name_n = strcspn(name, "=");
    const char *value = name[name_n] == '=' ? name + name_n + 1 : NULL;
    const char *flag_name = arena_strndup(&l->arena, name, name_n);
    const struct conf_key *key = find_key(l->keys, (struct str){name, name_n});
    bool is_config = str_is((struct str){name, name_n}, "config");
    int used = 1;

    if ((!is_long && !is_help) || (key == NULL && !is_config)) {
        report_unknown(l, is_long || is_help ? "--" : "-", flag_name, false);
        return used;
    }
    if (value == NULL && key != NULL && key->type == CONF_BOOL) {
        value = "true";
    } else if (value == NULL && at + 1 < source->argc) {
        value = source->argv[at + 1];
        used = 2;
    } else if (value == NULL) {
        l->n_errors++;
        buf_printf(l->errors, "--%s: needs a value\n", flag_name);
        return used;
    }
    if (key != NULL)
        offer(l, (size_t)(key - l->keys), RANK_FLAG, value, arena_printf(&l->arena, "--%s", flag_name));
    if (is_config) {
        l->file = value;
        l->file_required = true;
    }
    return used;
}

static int take_flags(struct load *l, struct conf_source *source)
{
    int operands = 0;
    bool flags_end = false;

    for (int at = 0; at < source->argc;) {
        char *word = source->argv[at];
        if (!flags_end && strcmp(word, "--") == 0) {
            flags_end = true;
            at++;
        } else if (!flags_end && word[0] == '-' && word[1] != '\0') {
            at += take_flag(l, source, at);
        } else {
            /* Never overtakes `at`, so no word is lost before it was read. */
            source->argv[operands++] = word;
            at++;
        }
    }
    return operands;
}

/* ---- files ---- */

/* NULL after an error, which is then reported under `name`. */
static char *read_file(struct load *l, const char *name, const char *path)
{
    char *text = arena_alloc(&l->arena, MAX_FILE_BYTES + 1);
    FILE *f = fopen(path, "re");
    size_t n = f == NULL ? 0 : fread(text, 1, MAX_FILE_BYTES + 1, f);
    bool failed = f == NULL || ferror(f) != 0;
    int code = errno;

    if (f != NULL)
        (void)fclose(f);
    if (!failed && n <= MAX_FILE_BYTES && memchr(text, '\0', n) == NULL) {
        text[n] = '\0';
        return text;
    }
    l->n_errors++;
    buf_printf(l->errors, "%s: file %s: ", name, path);
    if (failed)
        buf_printf(l->errors, "%s\n", strerror(code));
    else if (n > MAX_FILE_BYTES)
        buf_printf(l->errors, "longer than %zu bytes\n", MAX_FILE_BYTES);
    else
        buf_put_str(l->errors, "holds a NUL byte\n");
    return NULL;
}

static char *trim(char *s)
{
    s += strspn(s, " \t\r");
    size_t n = strlen(s);
    while (n > 0 && strchr(" \t\r", s[n - 1]) != NULL)
        n--;
    s[n] = '\0';
    return s;
}

static bool foreign_key(struct str name)
{
    for (size_t t = 0; foreign_tables != NULL && foreign_tables[t] != NULL; t++) {
        if (find_key(foreign_tables[t], name) != NULL)
            return true;
    }
    return false;
}

static void take_line(struct load *l, char *line, int number)
{
    char *text = trim(line);
    char *equals = strchr(text, '=');
    const char *origin = arena_printf(&l->arena, "%s:%d", l->file, number);

    if (text[0] == '\0' || text[0] == '#')
        return;
    if (equals == NULL) {
        l->n_errors++;
        buf_printf(l->errors, "%s: expected \"name = value\"\n", origin);
        return;
    }
    *equals = '\0';
    const char *name = trim(text);
    const struct conf_key *key = find_key(l->keys, str_of(name));
    if (key == NULL) {
        if (!foreign_key(str_of(name)))
            report_unknown(l, arena_printf(&l->arena, "%s: ", origin), name, false);
        return;
    }
    size_t i = (size_t)(key - l->keys);
    if (l->found[i].rank == RANK_FILE) {
        l->n_errors++;
        buf_printf(l->errors, "%s: %s was set before, at %s\n", origin, name, l->found[i].origin);
        return;
    }
    offer(l, i, RANK_FILE, trim(equals + 1), origin);
}

static void take_file(struct load *l)
{
    int number = 1;

    if (l->file == NULL || l->file[0] == '\0' || (!l->file_required && access(l->file, F_OK) != 0))
        return;
    char *line = read_file(l, "config", l->file);
    while (line != NULL) {
        char *end = strchr(line, '\n');
        if (end != NULL)
            *end = '\0';
        take_line(l, line, number++);
        line = end == NULL ? NULL : end + 1;
    }
}

/* ---- environment ---- */

static const char *env_get(const struct load *l, const char *name)
{
    size_t n = strlen(name);

    for (size_t i = 0; l->environ_ != NULL && l->environ_[i] != NULL; i++) {
        const char *entry = l->environ_[i];
        if (strncmp(entry, name, n) == 0 && entry[n] == '=' && entry[n + 1] != '\0')
            return entry + n + 1;
    }
    return NULL;
}

static void take_variable(struct load *l, size_t i)
{
    char buffer[CONF_ENV_SIZE];
    const char *name = arena_strdup(&l->arena, conf_env_name(&l->keys[i], buffer));
    const char *file_name = arena_printf(&l->arena, "%s_FILE", name);
    const char *value = env_get(l, name);
    const char *path = env_get(l, file_name);

    if (value != NULL && path != NULL) {
        l->n_errors++;
        buf_printf(l->errors, "%s: %s and %s are both set; keep one\n", l->keys[i].name, name, file_name);
        return;
    }
    if (value != NULL)
        offer(l, i, RANK_ENV, value, name);
    if (path == NULL)
        return;
    char *text = read_file(l, l->keys[i].name, path);
    if (text == NULL)
        return;
    size_t n = strlen(text);
    while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r'))
        text[--n] = '\0';
    offer(l, i, RANK_ENV, text, file_name);
}

static bool table_has_variable(const struct conf_key *keys, struct str name)
{
    char env[CONF_ENV_SIZE];

    for (const struct conf_key *k = keys; k->name != NULL; k++) {
        const char *known = conf_env_name(k, env);
        if (!str_starts(name, known))
            continue;
        struct str rest = {name.p + strlen(known), name.n - strlen(known)};
        if (rest.n == 0 || str_is(rest, "_FILE"))
            return true;
    }
    return false;
}

static void check_variable(struct load *l, const char *entry)
{
    struct str name = {entry, strcspn(entry, "=")};

    if (!str_starts(name, "USHER_") || str_is(name, "USHER_CONFIG") || table_has_variable(l->keys, name))
        return;
    if (str_starts(name, "USHER_TEST_") || str_starts(name, "USHER_CONFORMANCE_"))
        return;
    for (size_t t = 0; foreign_tables != NULL && foreign_tables[t] != NULL; t++) {
        if (table_has_variable(foreign_tables[t], name))
            return;
    }
    report_unknown(l, "", arena_strndup(&l->arena, name.p, name.n), true);
}

static void take_environment(struct load *l)
{
    const char *config = env_get(l, "USHER_CONFIG");

    for (size_t i = 0; l->environ_ != NULL && l->environ_[i] != NULL; i++)
        check_variable(l, l->environ_[i]);
    for (size_t i = 0; i < l->n; i++)
        take_variable(l, i);
    if (config != NULL && !l->file_required) {
        l->file = config;
        l->file_required = true;
    }
}

/* ---- settling ---- */

static void settle(struct load *l, size_t i, void *settings)
{
    const struct conf_key *key = &l->keys[i];
    const struct candidate *c = &l->found[i];
    char env[CONF_ENV_SIZE];
    bool empty = c->text == NULL || c->text[0] == '\0';

    conf_clear(key, settings);
    if (empty && (key->flags & CONF_REQUIRED) != 0) {
        l->n_errors++;
        buf_printf(l->errors, "%s: required; set %s or --%s\n", key->name, conf_env_name(key, env), key->name);
        return;
    }
    if (c->text == NULL || conf_store(key, c->text, settings))
        return;
    l->n_errors++;
    buf_printf(l->errors, "%s: found \"", key->name);
    conf_put_shown(key, c->text, l->errors);
    buf_printf(l->errors, "\" in %s; allowed: ", c->origin);
    conf_put_allowed(key, l->errors);
    buf_put_char(l->errors, '\n');
}

enum err conf_load(const struct conf_key *keys, void *out, struct conf_source *source, int *operands, struct buf *errors)
{
    struct load l = {.keys = keys, .errors = errors, .file = source->file};

    while (keys[l.n].name != NULL)
        l.n++;
    l.environ_ = source->environ_ == NULL ? environ : source->environ_;
    l.found = mem_zalloc(l.n * sizeof(*l.found));
    for (size_t i = 0; i < l.n; i++) {
        if (keys[i].def != NULL)
            offer(&l, i, RANK_DEFAULT, keys[i].def, "default");
    }
    *operands = take_flags(&l, source);
    take_environment(&l);
    take_file(&l);
    for (size_t i = 0; i < l.n; i++)
        settle(&l, i, out);
    origins_keep(out, &l);
    mem_free(l.found);
    arena_free(&l.arena);
    return l.n_errors == 0 ? ERR_OK : ERR_INVALID;
}

void conf_free(const struct conf_key *keys, void *out)
{
    for (const struct conf_key *k = keys; k->name != NULL; k++) {
        char *text = NULL;
        if (k->type == CONF_STR) {
            memcpy(&text, (char *)out + k->offset, sizeof(text));
            mem_free(text);
        }
        conf_clear(k, out);
    }
    origins_forget(out);
}
