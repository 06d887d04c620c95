/* cmd: from the words of the command line to a command's run().
 *
 * Happy path: options before the command are set aside, the longest path that the words begin with names the command, its
 * rows and the common ones form one table of settings for conf_load, run() is called, standard output is flushed.
 * Failure: an unknown command, option or operand ends with EXIT_USAGE and a suggestion; wrong settings in environment or
 * file with EXIT_CONFIG; all errors of one call are printed, not only the first. */
#include "cli/cmd.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/usage.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/str.h"

#define TYPED_WORDS 2    /* of an unknown command that are repeated to the user */
#define OPTIONS_ALIGN 16 /* of a command's struct behind the common one */
#define COMMON_SIZE ((sizeof(struct cmd_common) + OPTIONS_ALIGN - 1) / OPTIONS_ALIGN * OPTIONS_ALIGN)

const struct conf_key cmd_common_keys[] = {
    SETTING_BOOL("json", offsetof(struct cmd_common, json), NULL, "print JSON"),
    SETTING_BOOL("help", offsetof(struct cmd_common, settings.help), NULL, "show this text"),
    {.name = NULL},
};

/* One loaded command line. */
struct call {
    const struct cmd *cmd;
    struct conf_key *keys; /* common and own rows; NULL-name terminated */
    char *block;           /* struct cmd_common, then the command's struct */
    char **words;          /* options and operands, without the command; joined texts are in `arena` */
    int n_words;
    int operands;
    struct arena arena;
};

/* ---- finding the command --------------------------------------------------------------------------------------------- */

static int path_length(const char *path, int n, char *const *words)
{
    int used = 0;

    for (;;) {
        size_t len = strcspn(path, " ");
        if (used == n || !str_is((struct str){path, len}, words[used]))
            return 0;
        used++;
        if (path[len] == '\0')
            return used;
        path += len + 1;
    }
}

const struct cmd *cmd_find(const struct cmd *const *table, int n, char *const *words, int *used)
{
    const struct cmd *found = NULL;

    *used = 0;
    for (; *table != NULL; table++) {
        int length = path_length((*table)->path, n, words);
        if (length > *used) {
            *used = length;
            found = *table;
        }
    }
    return found;
}

static const struct conf_key *find_key(const struct conf_key *keys, struct str name)
{
    for (; keys->name != NULL; keys++) {
        if (str_is(name, keys->name))
            return keys;
    }
    return NULL;
}

/* Options that stand before the command are common ones; returns where the command's words begin. */
static int skip_leading_options(int argc, char **argv)
{
    int i = 1;

    while (i < argc && argv[i][0] == '-') {
        struct str name = {argv[i] + strspn(argv[i], "-"), 0};
        name.n = strcspn(name.p, "=");
        bool joined = name.p[name.n] == '=';
        const struct conf_key *key = find_key(settings_common_keys, name);
        bool takes_value = (key != NULL && key->type != CONF_BOOL) || str_is(name, "config");
        i += takes_value && !joined ? 2 : 1;
    }
    return i < argc ? i : argc;
}

static bool asks_for_help(int n, char *const *words)
{
    for (int i = 0; i < n; i++) {
        if (strcmp(words[i], "--help") == 0 || strcmp(words[i], "-h") == 0)
            return true;
    }
    return false;
}

/* The words as they were typed, up to the first option; then with fewer of them, until something is near. */
static void put_unknown(const struct cmd *const *table, int n, char *const *words, struct buf *out)
{
    struct str near = {"", 0};
    struct buf typed = {0};
    int shown = 0;

    while (shown < n && shown < TYPED_WORDS && words[shown][0] != '-')
        shown++;
    for (int take = shown; take > 0 && near.n == 0; take--) {
        buf_reset(&typed);
        for (int i = 0; i < take; i++)
            buf_printf(&typed, "%s%s", i > 0 ? " " : "", words[i]);
        if (take == shown)
            buf_printf(out, "usher: %s: unknown command", buf_text(&typed));
        near = usage_suggest(table, buf_text(&typed));
    }
    if (near.n > 0)
        buf_printf(out, "; did you mean \"usher %.*s\"?", (int)near.n, near.p);
    buf_put_str(out, "\nusher: `usher help` lists the commands\n");
    buf_free(&typed);
}

/* The words do not begin with a command: help that was asked for, or an error. */
static int answer_no_command(const struct cmd *const *table, int argc, char **argv, int at)
{
    const char *noun = at < argc && usage_is_noun(table, argv[at]) ? argv[at] : NULL;
    bool incomplete = at == argc || (noun != NULL && (at + 1 == argc || argv[at + 1][0] == '-'));
    bool help = asks_for_help(argc - 1, argv + 1) && incomplete;
    struct buf text = {0};

    if (incomplete)
        usage_put_list(table, noun, &text);
    else
        put_unknown(table, argc - at, argv + at, &text);
    (void)fputs(buf_text(&text), help ? stdout : stderr);
    buf_free(&text);
    return help ? EXIT_OK : EXIT_USAGE;
}

/* ---- loading its options --------------------------------------------------------------------------------------------- */

static size_t count_keys(const struct conf_key *keys)
{
    size_t n = 0;

    while (keys != NULL && keys[n].name != NULL)
        n++;
    return n;
}

static void make_table(struct call *call)
{
    size_t n_settings = count_keys(settings_common_keys);
    size_t n_common = count_keys(cmd_common_keys);
    size_t n_own = count_keys(call->cmd->options);
    struct conf_key *k = mem_zalloc((n_settings + n_common + n_own + 1) * sizeof(*k));

    call->keys = k;
    memcpy(k, settings_common_keys, n_settings * sizeof(*k));
    k += n_settings;
    memcpy(k, cmd_common_keys, n_common * sizeof(*k));
    k += n_common;
    if (n_own > 0)
        memcpy(k, call->cmd->options, n_own * sizeof(*k));
    for (size_t i = 0; i < n_own; i++)
        k[i].offset += COMMON_SIZE;
    for (size_t i = 0; i < n_common + n_own; i++) {
        struct conf_key *own = call->keys + n_settings + i;
        own->env = own->env == NULL ? "" : own->env; /* "" is no variable's name */
    }
}

static const struct conf_key *many_key(const struct call *call, const char *word)
{
    const struct conf_key *key = NULL;

    if (strncmp(word, "--", 2) == 0)
        key = find_key(call->keys, (struct str){word + 2, strcspn(word + 2, "=")});
    return key != NULL && (key->flags & CMD_MANY) != 0 ? key : NULL;
}

/* The value of the option at words[*at], which may be the next word; NULL when it is missing. */
static const char *option_value(char *const *words, int n, int *at)
{
    const char *equals = strchr(words[*at], '=');

    if (equals != NULL)
        return equals + 1;
    if (*at + 1 >= n)
        return NULL;
    (*at)++;
    return words[*at];
}

/* conf_load keeps the last value of an option; those of a CMD_MANY are joined into one word first. */
static void join_many(struct call *call, const struct conf_key *key)
{
    const char *joined = NULL;
    int kept = 0, i = 0;

    for (; i < call->n_words && strcmp(call->words[i], "--") != 0; i++) {
        int start = i;
        const char *value = many_key(call, call->words[i]) == key ? option_value(call->words, call->n_words, &i) : NULL;
        if (value == NULL)
            call->words[kept++] = call->words[start];
        else if (joined == NULL)
            joined = value;
        else
            joined = arena_printf(&call->arena, "%s\n%s", joined, value);
    }
    for (; i < call->n_words; i++)
        call->words[kept++] = call->words[i];
    call->n_words = kept;
    if (joined == NULL)
        return;
    memmove(call->words + 1, call->words, (size_t)kept * sizeof(*call->words));
    call->words[0] = arena_printf(&call->arena, "--%s=%s", key->name, joined);
    call->n_words++;
}

static bool names_a_server(int n, char *const *words)
{
    static const char *const flags[] = {"--database-url", "--redis-url", "--config"};

    for (int i = 0; i < n; i++) {
        for (size_t f = 0; f < sizeof(flags) / sizeof(flags[0]); f++) {
            if (str_starts(str_of(words[i]), flags[f]))
                return true;
        }
    }
    return getenv("DATABASE_URL") != NULL || getenv("REDIS_URL") != NULL || getenv("USHER_CONFIG") != NULL ||
           getenv("PGHOST") != NULL;
}

/* Never a mixture: the file of a development system counts only when nothing names another system. */
static const char *default_file(const struct call *call)
{
    static const char dev_file[] = CMD_DEV_FOLDER "/" CMD_DEV_FILE;

    if (!names_a_server(call->n_words, call->words) && access(dev_file, R_OK) == 0)
        return dev_file;
    return settings_default_file();
}

/* Without words only environment and file count. */
static bool load_with(struct call *call, bool words, struct buf *errors)
{
    static char *const nothing[] = {NULL};
    bool plain = (call->cmd->flags & CMD_NO_SETTINGS) != 0;
    struct conf_source source = {.file = plain ? NULL : default_file(call),
                                 .argc = words ? call->n_words : 0,
                                 .argv = call->words,
                                 .environ_ = plain ? nothing : NULL};
    struct cmd_common *common = (struct cmd_common *)(void *)call->block;

    if (conf_load(call->keys, call->block, &source, &call->operands, errors) != ERR_OK || common->settings.help)
        return errors->len == 0;
    if (!plain)
        settings_check(&common->settings, errors);
    if (call->cmd->check != NULL && words)
        call->cmd->check(call->block + COMMON_SIZE, errors);
    return errors->len == 0;
}

static void check_operands(const struct call *call, struct buf *errors)
{
    const struct cmd *cmd = call->cmd;

    if (call->operands < cmd->min_operands)
        buf_put_str(errors, cmd->min_operands == 1 ? "an operand is missing\n" : "operands are missing\n");
    if (cmd->max_operands >= 0 && call->operands > cmd->max_operands)
        buf_printf(errors, "%s: not expected here\n", call->words[cmd->max_operands]);
    if (errors->len > 0)
        usage_put_line(cmd, errors);
}

/* Errors that are there without the options too come from environment or file. */
static int blame(struct call *call, const struct buf *errors)
{
    struct buf again = {0};
    int code = EXIT_USAGE;

    (void)fprintf(stderr, "usher %s: wrong usage or settings\n%s", call->cmd->path, buf_text(errors));
    for (struct conf_key *k = call->keys; k->name != NULL; k++)
        k->flags &= ~(unsigned)CONF_REQUIRED;
    conf_free(call->keys, call->block);
    if (!load_with(call, false, &again))
        code = EXIT_CONFIG;
    buf_free(&again);
    return code;
}

/* ---- running --------------------------------------------------------------------------------------------------------- */

static int run_loaded(const struct cmd *const *table, struct call *call)
{
    struct cmd_common *common = (struct cmd_common *)(void *)call->block;
    struct buf errors = {0};
    int code = EXIT_OK;

    if (!load_with(call, true, &errors) && !common->settings.help) {
        code = blame(call, &errors);
    } else if (common->settings.help) {
        buf_reset(&errors);
        usage_put_command(call->cmd, &errors);
        (void)fputs(buf_text(&errors), stdout);
    } else {
        check_operands(call, &errors);
        if (errors.len > 0) {
            (void)fprintf(stderr, "usher %s: %s", call->cmd->path, buf_text(&errors));
            code = EXIT_USAGE;
        }
    }
    if (errors.len == 0) {
        call->words[call->operands] = NULL;
        struct cmd_run run = {.cmd = call->cmd,
                              .table = table,
                              .settings = &common->settings,
                              .options = call->cmd->options == NULL ? NULL : call->block + COMMON_SIZE,
                              .json = common->json,
                              .n_operands = call->operands,
                              .operands = call->words};
        log_init("usher", (enum log_level)common->settings.log_level, (enum log_format)common->settings.log_format);
        code = call->cmd->run(&run);
    }
    buf_free(&errors);
    return code;
}

static int flush(int code)
{
    if (fflush(stdout) == 0 && ferror(stdout) == 0)
        return code;
    if (errno == EPIPE) /* the reader has seen enough */
        return code;
    (void)fprintf(stderr, "usher: standard output: %s\n", strerror(errno));
    return code == EXIT_OK ? EXIT_FAILED : code;
}

int cmd_main(const struct cmd *const *table, int argc, char **argv)
{
    struct call call = {0};
    int used = 0;
    int at = skip_leading_options(argc, argv);
    char version[] = "version";
    char *version_word[] = {version};

    (void)signal(SIGPIPE, SIG_IGN);
    settings_foreign();
    call.cmd = cmd_find(table, argc - at, argv + at, &used);
    if (call.cmd == NULL && argc > 1 && (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)) {
        call.cmd = cmd_find(table, 1, version_word, &used);
        at = used = 1;
    }
    if (call.cmd == NULL)
        return flush(answer_no_command(table, argc, argv, at));

    call.block = mem_zalloc(COMMON_SIZE + call.cmd->options_size);
    call.words = mem_zalloc((size_t)(argc + 2) * sizeof(*call.words)); /* one more for a joined option, one for NULL */
    for (int i = 1; i < argc; i++) {
        if (i < at || i >= at + used)
            call.words[call.n_words++] = argv[i];
    }
    make_table(&call);
    for (const struct conf_key *k = call.keys; k->name != NULL; k++) {
        if ((k->flags & CMD_MANY) != 0)
            join_many(&call, k);
    }
    int code = run_loaded(table, &call);
    conf_free(call.keys, call.block);
    mem_free(call.keys);
    mem_free(call.block);
    mem_free(call.words);
    arena_free(&call.arena);
    return flush(code);
}

/* ---- for commands ---------------------------------------------------------------------------------------------------- */

int cmd_fail(const struct cmd_run *run, enum exit_code code, const char *fmt, ...)
{
    va_list ap;

    (void)fprintf(stderr, "usher %s: ", run->cmd->path);
    va_start(ap, fmt);
    (void)vfprintf(stderr, fmt, ap);
    va_end(ap);
    (void)fputc('\n', stderr);
    return (int)code;
}

enum exit_code cmd_exit_code(enum err err)
{
    switch (err) {
    case ERR_OK: return EXIT_OK;
    case ERR_NOTFOUND: return EXIT_NOT_FOUND;
    case ERR_EXISTS:
    case ERR_STATE:
    case ERR_DB_UNIQUE: return EXIT_CONFLICT;
    case ERR_REFUSED:
    case ERR_CONN_LOST:
    case ERR_TIMEOUT:
    case ERR_REDIS_LOADING: return EXIT_UNAVAILABLE;
    case ERR_BUSY:
    case ERR_DB_LOCK:
    case ERR_REDIS_FULL:
    case ERR_NOMEM: return EXIT_TEMPORARY;
    case ERR_CANCELED: return EXIT_INTERRUPTED;
    case ERR_INVALID:
    case ERR_MALFORMED:
    case ERR_LIMIT:
    case ERR_DENIED:
    case ERR_IO:
    case ERR_DB:
    case ERR_DB_BROKEN:
    case ERR_DB_DATA:
    case ERR_DB_FEATURE:
    case ERR_REDIS:
    case ERR_REDIS_NOGROUP:
    case ERR_REDIS_NOSCRIPT:
    case ERR_COUNT: break;
    }
    return EXIT_FAILED;
}

char **cmd_split(const char *joined, size_t *n)
{
    const char *text = joined == NULL ? "" : joined;
    size_t count = text[0] == '\0' ? 0 : 1;

    for (const char *p = text; *p != '\0'; p++)
        count += *p == '\n';
    /* The array and the text behind it are one allocation. */
    size_t head = (count + 1) * sizeof(char *);
    char **items = mem_zalloc(head + strlen(text) + 1);
    char *at = (char *)items + head;
    memcpy(at, text, strlen(text) + 1);
    for (size_t i = 0; i < count; i++) {
        items[i] = at;
        at += strcspn(at, "\n");
        *at++ = '\0';
    }
    if (n != NULL)
        *n = count;
    return items;
}
