#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/io/settings.h"

#define MAX_WORDS 8

/* settings_start with the words behind the program's name. */
static int start(const struct settings_program *program, void *out, const char *const *words)
{
    char *argv[MAX_WORDS + 2] = {NULL};
    int argc = 1;

    argv[0] = mem_strdup(program->name);
    for (; words[argc - 1] != NULL; argc++)
        argv[argc] = mem_strdup(words[argc - 1]);
    char *all[MAX_WORDS + 2];
    memcpy(all, argv, sizeof(all)); /* conf_load moves words */
    int code = settings_start(program, out, argc, argv);
    for (int i = 0; i < argc; i++)
        mem_free(all[i]);
    return code;
}

static void forget_environment(void)
{
    cr_assert_eq(clearenv(), 0);
}

static char *read_all(FILE *f)
{
    static char text[16384];
    size_t n = fread(text, 1, sizeof(text) - 1, f);

    text[n] = '\0';
    return text;
}

Test(settings, defaults_of_a_worker, .init = forget_environment)
{
    struct worker_settings s;

    cr_assert_eq(start(&settings_worker, &s, (const char *const[]){NULL}), -1);
    cr_expect_eq(s.concurrency, 64);
    cr_expect_str_eq(s.queues, "critical,default,bulk");
    cr_expect_eq(s.batch, 1000);
    cr_expect_eq(s.drain_timeout_ms, 25000);
    cr_expect_eq(s.smtp_tls, 1);
    cr_expect_not(s.egress_http);
    cr_expect_null(s.smtp_url);
    cr_expect_null(s.common.database_url);
    cr_expect_eq(s.common.environment, SETTINGS_PRODUCTION);
    cr_expect_eq(s.common.shards, 1);
    settings_free(&settings_worker, &s);
    cr_expect_null(s.queues);
}

Test(settings, defaults_of_a_scheduler, .init = forget_environment)
{
    struct scheduler_settings s;

    cr_assert_eq(start(&settings_scheduler, &s, (const char *const[]){NULL}), -1);
    cr_expect_eq(s.window, 300000);
    cr_expect_eq(s.tick_ms, 1000);
    cr_expect_geq(s.dispatch_batch, 1);
    cr_expect_eq(s.direct_max, 100000);
    cr_expect_eq(s.smear_above, 0);
    cr_expect_eq(s.smear_within_ms, 30 * 60 * 1000);
    cr_expect_str_eq(s.common.redis_url, "redis://127.0.0.1:6379/0");
    settings_free(&settings_scheduler, &s);
}

Test(settings, flags_win_over_the_environment, .init = forget_environment)
{
    struct worker_settings s;

    (void)setenv("USHER_CONCURRENCY", "7", 1);
    (void)setenv("USHER_BATCH", "8", 1);
    (void)setenv("DATABASE_URL", "postgresql://a@b/c", 1);
    (void)setenv("USHER_ENV", "development", 1);
    cr_assert_eq(start(&settings_worker, &s, (const char *const[]){"--concurrency", "9", NULL}), -1);
    cr_expect_eq(s.concurrency, 9);
    cr_expect_eq(s.batch, 8);
    cr_expect_str_eq(s.common.database_url, "postgresql://a@b/c");
    cr_expect_eq(s.common.environment, SETTINGS_DEVELOPMENT);
    settings_free(&settings_worker, &s);
}

Test(settings, variables_of_the_other_programs_are_known, .init = forget_environment)
{
    struct scheduler_settings s;

    (void)setenv("USHER_CONCURRENCY", "7", 1);
    (void)setenv("USHER_MAINT_DATABASE_URL", "postgresql://m@b/c", 1);
    cr_assert_eq(start(&settings_scheduler, &s, (const char *const[]){NULL}), -1);
    cr_expect_str_eq(s.common.maint_database_url, "postgresql://m@b/c");
    settings_free(&settings_scheduler, &s);
}

Test(settings, every_error_is_reported_at_once_and_the_code_is_78, .init = forget_environment)
{
    static const char *const expected[] = {
        "concurrency",  "USHER_CONCURRENCIES",   "REDIS_URL",
        "USHER_SHARDS", "Redis Cluster",         "queue bulk is named twice",
        "smtp://",      "expected an address",   "smtp-user",
        "DATABASE_URL", "surplus: not expected",
    };
    struct worker_settings s;

    cr_redirect_stderr();
    (void)setenv("REDIS_URL", "http://x", 1);
    (void)setenv("DATABASE_URL", "mysql://x", 1);
    (void)setenv("USHER_SHARDS", "4", 1);
    (void)setenv("USHER_QUEUES", "bulk,default,bulk", 1);
    (void)setenv("USHER_SMTP_URL", "mail.example", 1);
    (void)setenv("USHER_SMTP_PASSWORD", "secret-word", 1);
    (void)setenv("USHER_MAIL_FROM", "nobody", 1);
    cr_assert_eq(start(&settings_worker, &s, (const char *const[]){"surplus", NULL}), 78);
    (void)setenv("USHER_CONCURRENCIES", "1", 1);
    cr_assert_eq(start(&settings_worker, &s, (const char *const[]){"--concurrency", "0", NULL}), 78);
    (void)fflush(stderr);
    const char *text = read_all(cr_get_redirected_stderr());
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
        cr_expect(strstr(text, expected[i]) != NULL, "\"%s\" is missing in:\n%s", expected[i], text);
    cr_expect_null(strstr(text, "secret-word"));
    cr_expect_null(s.queues, "freed after an error");
}

Test(settings, help_version_and_check_config_end_with_0, .init = forget_environment)
{
    struct worker_settings s;

    cr_redirect_stdout();
    (void)setenv("USHER_SMTP_USER", "mailer", 1);
    (void)setenv("USHER_SMTP_PASSWORD", "secret-word", 1);
    cr_expect_eq(start(&settings_worker, &s, (const char *const[]){"--help", NULL}), 0);
    cr_expect_eq(start(&settings_worker, &s, (const char *const[]){"--version", NULL}), 0);
    cr_expect_eq(start(&settings_worker, &s, (const char *const[]){"--check-config", NULL}), 0);
    (void)fflush(stdout);
    const char *text = read_all(cr_get_redirected_stdout());
    cr_expect_not_null(strstr(text, "Usage: usher-worker"));
    cr_expect_not_null(strstr(text, "USHER_CONCURRENCY"));
    cr_expect_not_null(strstr(text, "usher-worker " USHER_VERSION));
    cr_expect_not_null(strstr(text, "smtp-user = mailer   # from USHER_SMTP_USER"));
    cr_expect_not_null(strstr(text, "smtp-password = ***"));
    cr_expect_null(strstr(text, "secret-word"));
}

Test(settings, queue_lists)
{
    static const struct {
        const char *list;
        size_t n; /* 0: refused */
        const char *last;
    } rows[] = {
        {"default", 1, "default"},
        {"a,b-1,c_2", 3, "c_2"},
        {"0", 1, "0"},
        {"q1,q2,q3,q4,q5,q6,q7,q8,q9,q10,q11,q12,q13,q14,q15,q16", 16, "q16"},
        {"q1,q2,q3,q4,q5,q6,q7,q8,q9,q10,q11,q12,q13,q14,q15,q16,q17", 0, NULL},
        {"a234567890123456789012345678901b", 1, "a234567890123456789012345678901b"},
        {"a234567890123456789012345678901bc", 0, NULL},
        {"", 0, NULL},
        {"a,", 0, NULL},
        {",a", 0, NULL},
        {"a,,b", 0, NULL},
        {"a, b", 0, NULL},
        {"Default", 0, NULL},
        {"-a", 0, NULL},
        {"a,b,a", 0, NULL},
        {"a:b", 0, NULL},
    };
    char names[SETTINGS_QUEUES_MAX][SETTINGS_QUEUE_NAME_MAX + 1];

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct err_info info = {0};
        size_t n = 0;
        enum err err = settings_queues(rows[i].list, names, &n, &info);
        cr_expect_eq(err, rows[i].n > 0 ? ERR_OK : ERR_INVALID, "\"%s\": %s", rows[i].list, info.text);
        if (rows[i].n == 0) {
            cr_expect_neq(info.text[0], '\0');
            continue;
        }
        cr_assert_eq(n, rows[i].n, "\"%s\"", rows[i].list);
        cr_expect_str_eq(names[n - 1], rows[i].last);
    }
}

Test(settings, checks_of_addresses)
{
    static const struct {
        const char *database_url, *redis_url;
        int64_t shards;
        bool ok;
    } rows[] = {
        {NULL, NULL, 1, true},
        {"", "redis://h", 1, true},
        {"postgres://u@h/d", "redis://:pw@h:1/2", 1, true},
        {"postgresql:///d?host=/run", "unix:///run/r.sock", 1, true},
        {"host=/run dbname=d", "redis+unix:///r.sock?db=1", 1, true},
        {"h/d", "redis://h", 1, false},
        {NULL, "rediss://h", 1, false},
        {NULL, "h:6379", 1, false},
        {NULL, "redis://h", 2, false},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct settings s = {.shards = rows[i].shards};
        struct buf errors = {0};
        s.database_url = rows[i].database_url == NULL ? NULL : mem_strdup(rows[i].database_url);
        s.redis_url = rows[i].redis_url == NULL ? NULL : mem_strdup(rows[i].redis_url);
        settings_check(&s, &errors);
        cr_expect_eq(errors.len == 0, rows[i].ok, "row %zu: %s", i, buf_text(&errors));
        buf_free(&errors);
        mem_free(s.database_url);
        mem_free(s.redis_url);
    }
}

Test(settings, migrations_are_found_in_the_working_folder_or_as_named)
{
    char folder[] = "/tmp/test-settings-XXXXXX";
    char file[256], sub[128];
    char named[] = "elsewhere";
    struct settings s = {0};
    struct err_info info = {0};

    cr_assert_not_null(mkdtemp(folder));
    (void)snprintf(sub, sizeof(sub), "%s/migrations", folder);
    (void)snprintf(file, sizeof(file), "%s/030_automation_rules_schema.sql", sub);
    cr_assert_eq(mkdir(sub, 0700), 0);
    FILE *f = fopen(file, "w");
    cr_assert_not_null(f);
    (void)fclose(f);
    cr_assert_eq(chdir(folder), 0);
    char *found = settings_find_migrations(&s, &info);
    cr_expect_str_eq(found, "./migrations");
    mem_free(found);
    s.migrations = named;
    found = settings_find_migrations(&s, &info);
    cr_expect_str_eq(found, "elsewhere");
    mem_free(found);
    (void)unlink(file);
    (void)rmdir(sub);
    (void)rmdir(folder);
}
