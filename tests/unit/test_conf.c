/* conf: precedence, operands, every type, errors, masking, help. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "common/base/conf.h"

struct settings {
    char *database_url;
    char *redis_url;
    char *token;
    char *name;
    int64_t workers;
    int64_t timeout_ms;
    int64_t max_bytes;
    int64_t format;
    bool verbose;
};

static const char *const formats[] = {"auto", "logfmt", "json", NULL};
#define AT(field) offsetof(struct settings, field)
static const struct conf_key keys[] = {
    {.name = "database-url",
     .type = CONF_STR,
     .offset = AT(database_url),
     .flags = CONF_URL,
     .env = "DATABASE_URL",
     .help = "the database"},
    {.name = "redis-url",
     .type = CONF_STR,
     .offset = AT(redis_url),
     .def = "redis://localhost",
     .flags = CONF_URL,
     .env = "REDIS_URL"},
    {.name = "api-token", .type = CONF_STR, .offset = AT(token), .flags = CONF_SECRET, .help = "token"},
    {.name = "name", .type = CONF_STR, .offset = AT(name), .def = "usher"},
    {.name = "workers", .type = CONF_INT, .offset = AT(workers), .def = "2", .min = 1, .max = 64, .help = "processes"},
    {.name = "drain-timeout", .type = CONF_MS, .offset = AT(timeout_ms), .def = "30s", .min = 0, .max = 3600000},
    {.name = "max-payload", .type = CONF_BYTES, .offset = AT(max_bytes), .def = "64KiB", .min = 1024, .max = 1048576},
    {.name = "log-format", .type = CONF_CHOICE, .offset = AT(format), .def = "auto", .choices = formats},
    {.name = "verbose", .type = CONF_BOOL, .offset = AT(verbose)},
    {.name = NULL},
};

/* One load; `args` and `env` are NULL-terminated. */
struct load {
    struct settings s;
    struct buf errors;
    enum err err;
    int operands;
    char *argv[16]; /* conf_load moves these words about */
    char *words[16];
    char *env[16];
};

static void load_file(struct load *l, const char *file, const char *const *args, const char *const *env)
{
    struct conf_source source = {.file = file, .argv = l->argv, .environ_ = l->env};

    memset(l, 0, sizeof(*l));
    memset(&l->s, 0x5a, sizeof(l->s)); /* conf_load must set every field */
    for (int i = 0; args != NULL && args[i] != NULL; i++)
        l->argv[source.argc++] = l->words[i] = strdup(args[i]);
    for (int i = 0; env != NULL && env[i] != NULL; i++)
        l->env[i] = strdup(env[i]);
    l->err = conf_load(keys, &l->s, &source, &l->operands, &l->errors);
}

static void load(struct load *l, const char *const *args, const char *const *env)
{
    load_file(l, NULL, args, env);
}

static void unload(struct load *l)
{
    conf_free(keys, &l->s);
    buf_free(&l->errors);
    for (int i = 0; i < 16; i++) {
        free(l->words[i]);
        free(l->env[i]);
    }
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static const char *write_file(char path[32], const char *text)
{
    (void)snprintf(path, 32, "/tmp/test-conf.XXXXXX");
    int fd = mkstemp(path);

    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    (void)close(fd);
    return path;
}

static void expect_error(const char *const *args, const char *const *env, const char *want)
{
    struct load l;

    load(&l, args, env);
    cr_assert_eq(l.err, ERR_INVALID, "expected: %s", want);
    cr_assert_str_eq(buf_text(&l.errors), want);
    unload(&l);
}

Test(conf, defaults_fill_every_field)
{
    struct load l;

    load(&l, NULL, NULL);
    cr_assert_eq(l.err, ERR_OK, "%s", buf_text(&l.errors));
    cr_assert_null(l.s.database_url);
    cr_assert_str_eq(l.s.redis_url, "redis://localhost");
    cr_assert_null(l.s.token);
    cr_assert_eq(l.s.workers, 2);
    cr_assert_eq(l.s.timeout_ms, 30000);
    cr_assert_eq(l.s.max_bytes, 65536);
    cr_assert_eq(l.s.format, 0);
    cr_assert_not(l.s.verbose);
    unload(&l);
    cr_assert_null(l.s.redis_url);
}

Test(conf, flag_beats_environment_beats_file_beats_default)
{
    char path[32];
    struct load l;
    const char *file =
        write_file(path, "# comment\n\nworkers = 5\nname =  from file \ndrain-timeout=5m\r\nlog-format = json");

    load_file(&l, file, WORDS("--workers", "7"), WORDS("USHER_WORKERS=6", "USHER_NAME=from env"));
    cr_assert_eq(l.err, ERR_OK, "%s", buf_text(&l.errors));
    cr_assert_eq(l.s.workers, 7);
    cr_assert_str_eq(l.s.name, "from env");
    cr_assert_eq(l.s.timeout_ms, 300000);
    cr_assert_eq(l.s.format, 2);
    unload(&l);
    (void)unlink(path);
}

Test(conf, flags_take_both_forms_and_the_last_one_counts)
{
    struct load l;

    load(&l, WORDS("--workers=3", "--workers", "4", "--verbose", "--max-payload=1MiB", "--name="), NULL);
    cr_assert_eq(l.err, ERR_OK, "%s", buf_text(&l.errors));
    cr_assert_eq(l.s.workers, 4);
    cr_assert(l.s.verbose);
    cr_assert_eq(l.s.max_bytes, 1048576);
    cr_assert_null(l.s.name, "an empty text unsets");
    unload(&l);
    load(&l, WORDS("--verbose=off"), WORDS("USHER_VERBOSE=yes"));
    cr_assert_eq(l.err, ERR_OK);
    cr_assert_not(l.s.verbose);
    unload(&l);
}

Test(conf, operands_move_to_the_front)
{
    struct load l;

    load(&l, WORDS("up", "--verbose", "now", "--workers", "3", "-", "--", "--name", "x"), NULL);
    cr_assert_eq(l.err, ERR_OK, "%s", buf_text(&l.errors));
    static const char *const want[] = {"up", "now", "-", "--name", "x"};
    cr_assert_eq(l.operands, 5);
    for (int i = 0; i < 5; i++)
        cr_assert_str_eq(l.argv[i], want[i]);
    cr_assert_eq(l.s.workers, 3);
    unload(&l);
}

Test(conf, every_bool_word)
{
    static const struct {
        const char *word;
        bool want;
    } rows[] = {{"true", true},   {"yes", true}, {"on", true},   {"1", true},
                {"false", false}, {"no", false}, {"off", false}, {"0", false}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct load l;
        char entry[64];
        (void)snprintf(entry, sizeof(entry), "USHER_VERBOSE=%s", rows[i].word);
        load(&l, NULL, WORDS(entry));
        cr_assert_eq(l.err, ERR_OK, "%s", rows[i].word);
        cr_assert_eq(l.s.verbose, rows[i].want, "%s", rows[i].word);
        unload(&l);
    }
}

Test(conf, errors_name_setting_source_value_and_what_is_allowed)
{
    expect_error(WORDS("--workers", "0"), NULL, "workers: found \"0\" in --workers; allowed: an integer from 1 to 64\n");
    expect_error(NULL, WORDS("USHER_WORKERS=65"),
                 "workers: found \"65\" in USHER_WORKERS; allowed: an integer from 1 to 64\n");
    expect_error(
        NULL, WORDS("USHER_DRAIN_TIMEOUT=2d"),
        "drain-timeout: found \"2d\" in USHER_DRAIN_TIMEOUT; allowed: a duration (250ms 30s 5m 2h 1d) from 0s to 1h\n");
    expect_error(
        NULL, WORDS("USHER_MAX_PAYLOAD=1"),
        "max-payload: found \"1\" in USHER_MAX_PAYLOAD; allowed: a size (500kB 64KiB 1MiB 2GiB) from 1KiB to 1MiB\n");
    expect_error(WORDS("--log-format=xml"), NULL,
                 "log-format: found \"xml\" in --log-format; allowed: one of auto, logfmt, json\n");
    expect_error(WORDS("--verbose=maybe"), NULL, "verbose: found \"maybe\" in --verbose; allowed: true or false\n");
    expect_error(WORDS("--name=\xff"), NULL, "name: found \"\xff\" in --name; allowed: UTF-8 text\n");
    expect_error(WORDS("--workers"), NULL, "--workers: needs a value\n");
}

Test(conf, all_errors_come_at_once)
{
    struct load l;

    load(&l, WORDS("--workers=x", "--nmae=y"), WORDS("USHER_MAX_PAYLOAD=z", "USHER_LOG_FORMT=json"));
    cr_assert_eq(l.err, ERR_INVALID);
    cr_assert_str_eq(buf_text(&l.errors),
                     "--nmae: unknown; did you mean name?\n"
                     "USHER_LOG_FORMT: unknown; did you mean USHER_LOG_FORMAT?\n"
                     "workers: found \"x\" in --workers; allowed: an integer from 1 to 64\n"
                     "max-payload: found \"z\" in USHER_MAX_PAYLOAD; allowed: a size (500kB 64KiB 1MiB 2GiB) "
                     "from 1KiB to 1MiB\n");
    cr_assert_eq(l.s.workers, 0, "a setting in error is zero");
    unload(&l);
}

Test(conf, unknown_names_are_errors)
{
    expect_error(WORDS("--zzzzzzzz"), NULL, "--zzzzzzzz: unknown\n");
    expect_error(WORDS("-v"), NULL, "-v: unknown\n");
    expect_error(WORDS("-h"), NULL, "--help: unknown\n");
    expect_error(NULL, WORDS("USHER_DATABASE_URL=x"), "USHER_DATABASE_URL: unknown; did you mean DATABASE_URL?\n");
    expect_error(NULL, WORDS("USHER_WORKERSS_FILE=x"), "USHER_WORKERSS_FILE: unknown\n");
}

Test(conf, variables_of_others_are_left_alone)
{
    static const struct conf_key other[] = {{.name = "api-port", .type = CONF_INT}, {.name = NULL}};
    static const struct conf_key *const tables[] = {other, NULL};
    char path[32];
    struct load l;

    conf_foreign(tables);
    const char *file = write_file(path, "api-port = 80\nworkers = 3\n");
    load_file(&l, file, NULL,
              WORDS("USHER_API_PORT=8080", "USHER_API_PORT_FILE=/x", "USHER_TEST_ANYTHING=1",
                    "USHER_CONFORMANCE_DIR=/x", "HOME=/", "USHER_WORKERS="));
    cr_assert_eq(l.err, ERR_OK, "%s", buf_text(&l.errors));
    cr_assert_eq(l.s.workers, 3, "an empty variable counts as unset");
    unload(&l);
    conf_foreign(NULL);
    expect_error(NULL, WORDS("USHER_API_PORT=8080"), "USHER_API_PORT: unknown\n");
    (void)unlink(path);
}

Test(conf, a_secret_may_lie_in_a_file)
{
    char path[32];
    char entry[64];
    char want[128];
    struct load l;

    (void)snprintf(entry, sizeof(entry), "USHER_API_TOKEN_FILE=%s", write_file(path, "s3cret\n"));
    load(&l, NULL, WORDS(entry));
    cr_assert_eq(l.err, ERR_OK, "%s", buf_text(&l.errors));
    cr_assert_str_eq(l.s.token, "s3cret");
    unload(&l);
    expect_error(NULL, WORDS(entry, "USHER_API_TOKEN=x"),
                 "api-token: USHER_API_TOKEN and USHER_API_TOKEN_FILE are both set; keep one\n");
    (void)unlink(path);
    (void)snprintf(want, sizeof(want), "api-token: file %s: No such file or directory\n", path);
    expect_error(NULL, WORDS(entry), want);
}

Test(conf, a_named_file_must_exist_and_a_usual_one_need_not)
{
    struct load l;

    load_file(&l, "/nonexistent/usher.conf", NULL, NULL);
    cr_assert_eq(l.err, ERR_OK);
    unload(&l);
    expect_error(WORDS("--config", "/nonexistent/a"), NULL, "config: file /nonexistent/a: No such file or directory\n");
    expect_error(NULL, WORDS("USHER_CONFIG=/nonexistent/b"), "config: file /nonexistent/b: No such file or directory\n");
    expect_error(WORDS("--config=/nonexistent/a"), WORDS("USHER_CONFIG=/nonexistent/b"),
                 "config: file /nonexistent/a: No such file or directory\n");
}

Test(conf, bad_lines_of_a_file_are_reported_with_their_number)
{
    char path[32];
    char want[400];
    struct load l;

    load_file(&l, write_file(path, "workers\nworkres = 3\nworkers = 3\nworkers = 4\nlog-format = xml\n"), NULL, NULL);
    (void)snprintf(want, sizeof(want),
                   "%s:1: expected \"name = value\"\n"
                   "%s:2: workres: unknown; did you mean workers?\n"
                   "%s:4: workers was set before, at %s:3\n"
                   "log-format: found \"xml\" in %s:5; allowed: one of auto, logfmt, json\n",
                   path, path, path, path, path);
    cr_assert_eq(l.err, ERR_INVALID);
    cr_assert_str_eq(buf_text(&l.errors), want);
    cr_assert_eq(l.s.workers, 3);
    unload(&l);
    (void)unlink(path);
}

Test(conf, a_required_setting_must_be_there)
{
    static const struct conf_key required[] = {{.name = "database-url",
                                                .type = CONF_STR,
                                                .offset = AT(database_url),
                                                .flags = CONF_REQUIRED,
                                                .env = "DATABASE_URL"},
                                               {.name = NULL}};
    static char *none[] = {NULL};
    struct conf_source source = {.environ_ = none};
    struct settings s = {0};
    struct buf errors = {0};
    int operands = 7;

    cr_assert_eq(conf_load(required, &s, &source, &operands, &errors), ERR_INVALID);
    cr_assert_str_eq(buf_text(&errors), "database-url: required; set DATABASE_URL or --database-url\n");
    cr_assert_eq(operands, 0);
    conf_free(required, &s);
    buf_free(&errors);
}

Test(conf, secrets_never_appear_in_errors)
{
    static const struct conf_key secret[] = {
        {.name = "pin", .type = CONF_INT, .offset = AT(workers), .min = 0, .max = 9, .flags = CONF_SECRET},
        {.name = NULL}};
    char entry[] = "USHER_PIN=hunter2";
    char *env[] = {entry, NULL};
    struct conf_source source = {.environ_ = env};
    struct settings s = {0};
    struct buf errors = {0};
    int operands = 0;

    cr_assert_eq(conf_load(secret, &s, &source, &operands, &errors), ERR_INVALID);
    cr_assert_str_eq(buf_text(&errors), "pin: found \"***\" in USHER_PIN; allowed: an integer from 0 to 9\n");
    conf_free(secret, &s);
    buf_free(&errors);
}

Test(conf, show_masks_and_names_the_source)
{
    struct load l;
    struct buf out = {0};

    load(&l, WORDS("--workers=3", "--redis-url=redis://:pa:ss@host:1/0"),
         WORDS("DATABASE_URL=postgresql://u:p@ss@h/db?sslmode=x", "USHER_API_TOKEN=t", "USHER_MAX_PAYLOAD=1500B"));
    conf_show(keys, &l.s, &out);
    cr_assert_str_eq(buf_text(&out), "database-url = postgresql://u:***@h/db?sslmode=x   # from DATABASE_URL\n"
                                     "redis-url = redis://:***@host:1/0   # from --redis-url\n"
                                     "api-token = ***   # from USHER_API_TOKEN\n"
                                     "name = usher   # from default\n"
                                     "workers = 3   # from --workers\n"
                                     "drain-timeout = 30s   # from default\n"
                                     "max-payload = 1500B   # from USHER_MAX_PAYLOAD\n"
                                     "log-format = auto   # from default\n"
                                     "verbose = false\n");
    buf_free(&out);
    unload(&l);
}

Test(conf, passwords_are_masked_in_every_form)
{
    static const struct {
        const char *url;
        const char *shown;
    } rows[] = {
        {"host=/tmp password=secret dbname=x", "host=/tmp password=*** dbname=x"},
        {"password = 'a b\\'c' user=u", "password = *** user=u"},
        {"password='unclosed", "password=***"},
        {"postgresql:///db?host=/tmp&password=secret&x=1", "postgresql:///db?host=/tmp&password=***&x=1"},
        {"redis://user@host", "redis://user@host"},
        {"redis://host:6379", "redis://host:6379"},
        {"redis://u:a/b@host", "redis://u:***@host"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct load l;
        struct buf out = {0};
        char want[200];
        load(&l, WORDS("--database-url", rows[i].url), NULL);
        conf_show(keys, &l.s, &out);
        (void)snprintf(want, sizeof(want), "database-url = %s   # from --database-url\n", rows[i].shown);
        cr_assert_eq(strncmp(buf_text(&out), want, strlen(want)), 0, "%s", buf_text(&out));
        buf_free(&out);
        unload(&l);
    }
}

Test(conf, help_and_markdown_come_from_the_table)
{
    struct buf help = {0};
    struct buf markdown = {0};

    conf_help(keys, &help);
    conf_markdown(keys, &markdown);
    cr_assert_not_null(strstr(buf_text(&help), "  --database-url URL          the database [DATABASE_URL]\n"), "%s",
                       buf_text(&help));
    cr_assert_not_null(strstr(buf_text(&help), "  --workers N                 processes [USHER_WORKERS; default 2]\n"));
    cr_assert_not_null(strstr(buf_text(&help), "  --log-format auto|logfmt|json\n"));
    cr_assert_not_null(strstr(buf_text(&help), "  --verbose  "));
    cr_assert_not_null(strstr(buf_text(&markdown),
                              "| `--workers` | `USHER_WORKERS` | an integer from 1 to 64 | `2` | processes |\n"),
                       "%s", buf_text(&markdown));
    buf_free(&help);
    buf_free(&markdown);
}
