#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cmd.h"
#include "cli/usage.h"
#include "common/base/mem.h"

#define MAX_WORDS 16

struct list_options {
    char *state;
    int64_t limit;
    bool all;
    char *labels;
};

/* What the last run saw. */
static struct {
    int runs;
    const char *path;
    bool json;
    int n_operands;
    char operands[128];
    char state[32];
    int64_t limit;
    bool all;
    char labels[64];
    char redis_url[128];
} seen;

static int run_any(struct cmd_run *run)
{
    seen.runs++;
    seen.path = run->cmd->path;
    seen.json = run->json;
    seen.n_operands = run->n_operands;
    for (int i = 0; i < run->n_operands; i++) {
        size_t n = strlen(seen.operands);
        (void)snprintf(seen.operands + n, sizeof(seen.operands) - n, "%s|", run->operands[i]);
    }
    cr_expect_null(run->operands[run->n_operands]);
    if (run->settings->redis_url != NULL)
        (void)snprintf(seen.redis_url, sizeof(seen.redis_url), "%s", run->settings->redis_url);
    return 0;
}

static int run_list(struct cmd_run *run)
{
    const struct list_options *o = run->options;

    (void)snprintf(seen.state, sizeof(seen.state), "%s", o->state == NULL ? "" : o->state);
    (void)snprintf(seen.labels, sizeof(seen.labels), "%s", o->labels == NULL ? "" : o->labels);
    seen.limit = o->limit;
    seen.all = o->all;
    return run_any(run);
}

static int run_failing(struct cmd_run *run)
{
    return cmd_fail(run, EXIT_NOT_FOUND, "no job %d", 7);
}

static void check_list(const void *options, struct buf *errors)
{
    const struct list_options *o = options;

    if (o->all && o->state != NULL)
        buf_put_str(errors, "--all and --state exclude each other\n");
}

#define AT(field) offsetof(struct list_options, field)
static const struct conf_key list_keys[] = {
    SETTING_STR("state", AT(state), NULL, NULL, 0, "only these"),
    SETTING_INT("limit", AT(limit), NULL, "50", 1, 1000, "at most"),
    SETTING_BOOL("all", AT(all), NULL, "finished ones too"),
    SETTING_STR("label", AT(labels), NULL, NULL, CMD_MANY, "with this label"),
    {.name = NULL},
};

static const struct cmd job_list = {.path = "job list",
                                    .summary = "list jobs",
                                    .options = list_keys,
                                    .options_size = sizeof(struct list_options),
                                    .examples = "usher job list --all\n",
                                    .check = check_list,
                                    .run = run_list};
static const struct cmd job_show = {
    .path = "job show", .summary = "show a job", .operands = "ID", .min_operands = 1, .max_operands = 1, .run = run_any};
static const struct cmd job = {.path = "job", .summary = "about jobs", .run = run_any};
static const struct cmd work = {.path = "work", .summary = "do it", .max_operands = -1, .run = run_any};
static const struct cmd fails = {.path = "fails", .summary = "always", .run = run_failing};
static const struct cmd dead_list = {.path = "dead list", .summary = "list dead letters", .run = run_any};
static const struct cmd version = {.flags = CMD_NO_SETTINGS, .path = "version", .summary = "show it", .run = run_any};
static const struct cmd *const table[] = {&job_list, &job_show, &job, &work, &fails, &dead_list, &version, NULL};

static int call(const char *const *words)
{
    char *argv[MAX_WORDS + 2] = {NULL}, *all[MAX_WORDS + 2];
    int argc = 1;

    memset(&seen, 0, sizeof(seen));
    argv[0] = mem_strdup("usher");
    for (; words[argc - 1] != NULL; argc++)
        argv[argc] = mem_strdup(words[argc - 1]);
    memcpy(all, argv, sizeof(all));
    int code = cmd_main(table, argc, argv);
    for (int i = 0; i < argc; i++)
        mem_free(all[i]);
    return code;
}
#define CALL(...) call((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

static void clean(void)
{
    cr_assert_eq(clearenv(), 0);
    cr_assert_eq(chdir("/"), 0);
    cr_redirect_stdout();
    cr_redirect_stderr();
}

static const char *text_of(FILE *f)
{
    static char text[16384];
    size_t n = 0;

    (void)fflush(NULL);
    n = fread(text, 1, sizeof(text) - 1, f);
    text[n] = '\0';
    return text;
}

static void expect_contains(const char *text, const char *part)
{
    cr_expect(strstr(text, part) != NULL, "\"%s\" is missing in:\n%s", part, text);
}

Test(cmd, runs_the_longest_path_that_fits, .init = clean)
{
    cr_expect_eq(CALL("job", "list"), EXIT_OK);
    cr_expect_str_eq(seen.path, "job list");
    cr_expect_eq(CALL("job"), EXIT_OK);
    cr_expect_str_eq(seen.path, "job");
    cr_expect_eq(CALL("job", "show", "42"), EXIT_OK);
    cr_expect_str_eq(seen.path, "job show");
    cr_expect_str_eq(seen.operands, "42|");
}

Test(cmd, options_stand_anywhere, .init = clean)
{
    cr_expect_eq(CALL("--json", "--redis-url", "redis://h1", "job", "show", "42"), EXIT_OK);
    cr_expect(seen.json);
    cr_expect_str_eq(seen.redis_url, "redis://h1");
    cr_expect_eq(CALL("--redis-url=redis://h2", "job", "show", "--json", "42"), EXIT_OK);
    cr_expect(seen.json);
    cr_expect_str_eq(seen.redis_url, "redis://h2");
    cr_expect_str_eq(seen.operands, "42|");
}

Test(cmd, own_options_and_defaults, .init = clean)
{
    cr_expect_eq(CALL("job", "list"), EXIT_OK);
    cr_expect_eq(seen.limit, 50);
    cr_expect_not(seen.all);
    cr_expect_eq(CALL("job", "list", "--limit", "7", "--state=done"), EXIT_OK);
    cr_expect_eq(seen.limit, 7);
    cr_expect_str_eq(seen.state, "done");
}

Test(cmd, own_options_have_no_variables, .init = clean)
{
    (void)setenv("LIMIT", "3", 1);
    cr_expect_eq(CALL("job", "list"), EXIT_OK);
    cr_expect_eq(seen.limit, 50);
    (void)setenv("USHER_LIMIT", "3", 1);
    cr_expect_eq(CALL("job", "list"), EXIT_CONFIG, "an unknown variable of ours is an error");
}

Test(cmd, repeated_options_are_joined, .init = clean)
{
    cr_expect_eq(CALL("job", "list", "--label", "a=1", "--limit", "3", "--label=b, c"), EXIT_OK);
    cr_expect_str_eq(seen.labels, "a=1\nb, c");
    cr_expect_eq(seen.limit, 3);
    cr_expect_eq(CALL("job", "list", "--label"), EXIT_USAGE);
}

Test(cmd, words_behind_two_dashes_are_left_alone, .init = clean)
{
    cr_expect_eq(CALL("work", "--json", "--", "psql", "--json", "-c", "select 1", "--", "--label"), EXIT_OK);
    cr_expect_str_eq(seen.operands, "psql|--json|-c|select 1|--|--label|");
}

Test(cmd, wrong_usage_ends_with_2_and_runs_nothing, .init = clean)
{
    static const char *const rows[][5] = {
        {NULL},
        {"jobb", "list"},
        {"dead"},
        {"dead", "lsit"},
        {"job", "list", "--limt", "3"},
        {"job", "list", "--limit", "0"},
        {"job", "list", "--limit", "many"},
        {"job", "list", "--all", "--state", "done"},
        {"job", "list", "surplus"},
        {"job", "show"},
        {"job", "show", "1", "2"},
        {"job", "-x"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        cr_expect_eq(call(rows[i]), EXIT_USAGE, "row %zu", i);
        cr_expect_eq(seen.runs, 0, "row %zu", i);
    }
    expect_contains(text_of(cr_get_redirected_stderr()), "did you mean \"usher job list\"?");
}

Test(cmd, wrong_settings_end_with_78_but_help_and_version_work, .init = clean)
{
    (void)setenv("REDIS_URL", "http://h", 1);
    cr_expect_eq(CALL("job", "list"), EXIT_CONFIG);
    cr_expect_eq(CALL("job", "list", "--redis-url", "redis://h"), EXIT_OK, "the flag wins");
    cr_expect_eq(CALL("--version"), EXIT_OK);
    cr_expect_str_eq(seen.path, "version");
    cr_expect_eq(CALL("-V"), EXIT_OK);
    cr_expect_eq(CALL("job", "list", "--help"), EXIT_OK);
    cr_expect_eq(seen.runs, 0);
}

Test(cmd, help_goes_to_standard_output, .init = clean)
{
    cr_expect_eq(CALL("--help"), EXIT_OK);
    cr_expect_eq(CALL("dead", "-h"), EXIT_OK);
    cr_expect_eq(CALL("job", "show", "-h"), EXIT_OK);
    const char *text = text_of(cr_get_redirected_stdout());
    expect_contains(text, "Usage: usher COMMAND");
    expect_contains(text, "Usage: usher dead COMMAND");
    expect_contains(text, "Usage: usher job show [options] ID");
    cr_expect_str_eq(text_of(cr_get_redirected_stderr()), "");
}

Test(cmd, a_failure_names_its_command, .init = clean)
{
    cr_expect_eq(CALL("fails"), EXIT_NOT_FOUND);
    cr_expect_str_eq(text_of(cr_get_redirected_stderr()), "usher fails: no job 7\n");
}

Test(cmd, the_file_of_a_running_dev_counts_only_when_nothing_else_is_named, .init = clean)
{
    char folder[] = "/tmp/test-cmd-XXXXXX";

    cr_assert_not_null(mkdtemp(folder));
    cr_assert_eq(chdir(folder), 0);
    cr_assert_eq(mkdir(CMD_DEV_FOLDER, 0700), 0);
    FILE *f = fopen(CMD_DEV_FOLDER "/" CMD_DEV_FILE, "w");
    cr_assert_not_null(f);
    (void)fputs("redis-url = unix:///dev.sock\n", f);
    (void)fclose(f);
    cr_expect_eq(CALL("work"), EXIT_OK);
    cr_expect_str_eq(seen.redis_url, "unix:///dev.sock");
    cr_expect_eq(CALL("work", "--database-url", "postgresql://h/d"), EXIT_OK);
    cr_expect_str_eq(seen.redis_url, "redis://127.0.0.1:6379/0");
    (void)setenv("DATABASE_URL", "postgresql://h/d", 1);
    cr_expect_eq(CALL("work"), EXIT_OK);
    cr_expect_str_eq(seen.redis_url, "redis://127.0.0.1:6379/0");
    (void)unlink(CMD_DEV_FOLDER "/" CMD_DEV_FILE);
    (void)rmdir(CMD_DEV_FOLDER);
    (void)rmdir(folder);
}

Test(cmd, splits_what_was_joined)
{
    static const struct {
        const char *joined;
        size_t n;
        const char *last;
    } rows[] = {{NULL, 0, NULL}, {"", 0, NULL}, {"a", 1, "a"}, {"a=1\nb=2", 2, "b=2"}, {"a\n", 2, ""}, {"\n", 2, ""}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t n = 99;
        char **items = cmd_split(rows[i].joined, &n);
        cr_assert_eq(n, rows[i].n, "row %zu", i);
        cr_expect_null(items[n]);
        if (n > 0)
            cr_expect_str_eq(items[n - 1], rows[i].last);
        mem_free(items);
    }
}

Test(cmd, exit_codes_of_errors)
{
    static const struct {
        enum err err;
        enum exit_code code;
    } rows[] = {{ERR_OK, EXIT_OK},
                {ERR_NOTFOUND, EXIT_NOT_FOUND},
                {ERR_STATE, EXIT_CONFLICT},
                {ERR_CONN_LOST, EXIT_UNAVAILABLE},
                {ERR_DB_LOCK, EXIT_TEMPORARY},
                {ERR_CANCELED, EXIT_INTERRUPTED},
                {ERR_DB, EXIT_FAILED}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        cr_expect_eq(cmd_exit_code(rows[i].err), rows[i].code, "%s", err_name(rows[i].err));
}

Test(usage, suggests_what_is_near_only)
{
    static const struct {
        const char *typed, *expected;
    } rows[] = {
        {"jbo", "job"},
        {"job lst", "job list"},
        {"job lsit", "job list"},
        {"dead", "dead"},
        {"ded", "dead"},
        {"wrok", "work"},
        {"verison", "version"},
        {"xxxxxxxx", ""},
        {"", ""},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", ""},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct str found = usage_suggest(table, rows[i].typed);
        cr_expect(str_is(found, rows[i].expected), "%s: found \"%.*s\"", rows[i].typed, (int)found.n, found.p);
    }
}

Test(usage, help_of_a_command_comes_from_its_table)
{
    struct buf b = {0};

    usage_put_command(&job_list, &b);
    const char *text = buf_text(&b);
    expect_contains(text, "usher job list: list jobs\n");
    expect_contains(text, "  usher job list --all\n");
    expect_contains(text, "--limit N");
    expect_contains(text, "(default 50)");
    expect_contains(text, "with this label (may be repeated)");
    expect_contains(text, "[DATABASE_URL]");
    expect_contains(text, "--json");
    cr_expect(strstr(text, "Examples") < strstr(text, "Usage"), "examples come first");
    buf_free(&b);
}

Test(usage, lists_and_nouns)
{
    struct buf b = {0};

    usage_put_list(table, "job", &b);
    expect_contains(buf_text(&b), "  job show                show a job\n");
    cr_expect_null(strstr(buf_text(&b), "dead list"));
    cr_expect(usage_is_noun(table, "job"));
    cr_expect(usage_is_noun(table, "dead"));
    cr_expect_not(usage_is_noun(table, "work"));
    cr_expect_not(usage_is_noun(table, "jo"));
    buf_reset(&b);
    usage_put_exit_codes(&b);
    expect_contains(buf_text(&b), "   69  PostgreSQL, Redis");
    buf_reset(&b);
    usage_put_settings(&b);
    expect_contains(buf_text(&b), "USHER_TICK_INTERVAL");
    buf_free(&b);
}
