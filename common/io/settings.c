/* settings: tables of settings, their checks, and the common start of the daemons.
 *
 * Happy path: conf_load fills the struct, the checks add nothing, the log starts, -1 says "run".
 * Failure: every error of the table and of the checks is printed to standard error, one a line, and the exit code is 78. */
#include "common/io/settings.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/str.h"
#include "common/io/rconn.h"

#define DEFAULT_FILE "/etc/usher/usher.conf"
#define DEFAULT_QUEUES "critical,default,bulk"
#define MIGRATIONS_PROBE "030_automation_rules_schema.sql"
#ifndef USHER_DATA_DIR /* the build says where migrations/ is installed */
#define USHER_DATA_DIR "/usr/local/share/usher"
#endif
#define PARENTS_SEARCHED 4 /* build/<kind>/bin/usher is three folders below the repository's root */

static const char *const log_levels[] = {"debug", "info", "warn", "error", NULL};
static const char *const log_formats[] = {"auto", "logfmt", "json", NULL};
static const char *const environments[] = {"production", "development", NULL};
const char *const settings_smtp_tls[] = {"none", "try", "require", NULL};

/* Every program's struct begins with struct settings, so that these offsets are right in all of them. */
/* clang-format off */
#define COMMON(field) offsetof(struct settings, field)
#define COMMON_ROWS \
    SETTING_STR("database-url", COMMON(database_url), "DATABASE_URL", NULL, CONF_URL, \
                "PostgreSQL: postgresql://user@host/db; unset: libpq's PG* variables"), \
    SETTING_BOOL("database-pooled", COMMON(database_pooled), "DATABASE_POOLED", \
                 "database-url leads through a transaction pooler: for commands that read or enqueue"), \
    SETTING_STR("maint-database-url", COMMON(maint_database_url), "USHER_MAINT_DATABASE_URL", NULL, CONF_URL, \
                "direct connection of the maintenance login; unset: database-url"), \
    SETTING_STR("redis-url", COMMON(redis_url), "REDIS_URL", "redis://127.0.0.1:6379/0", CONF_URL, \
                "Redis: redis://host:port/db or unix:///path"), \
    SETTING_CHOICE("log-level", COMMON(log_level), "USHER_LOG_LEVEL", "info", log_levels, "least level that is logged"), \
    SETTING_CHOICE("log-format", COMMON(log_format), "USHER_LOG_FORMAT", "auto", log_formats, \
                   "auto: logfmt on a terminal, JSON otherwise"), \
    SETTING_CHOICE("environment", COMMON(environment), "USHER_ENV", "production", environments, \
                   "development allows the stepped clock"), \
    SETTING_STR("migrations", COMMON(migrations), "USHER_MIGRATIONS", NULL, 0, \
                "folder of the migration files; unset: looked for near the program"), \
    SETTING_STR("archive-dir", COMMON(archive_dir), NULL, NULL, 0, \
                "folder of archived months of the log; unset: nothing is archived by itself"), \
    SETTING_INT("archive-after", COMMON(archive_after_months), NULL, "12", 1, 1200, \
                "months that a month of the log stays after its end"), \
    SETTING_MS("archive-grace", COMMON(archive_grace_ms), NULL, "7d", 0, INT64_C(31536000000), \
               "how long an archived and verified month stays in the database too"), \
    SETTING_INT("shards", COMMON(shards), "USHER_SHARDS", "1", 1, 1024, "logical shards of the streams; only 1 is supported")

/* What only makes sense as a flag. */
#define FLAG_ROWS \
    SETTING_BOOL("check-config", COMMON(check_config), NULL, "check and show the settings, then exit"), \
    SETTING_BOOL("help", COMMON(help), NULL, "show this text"), \
    SETTING_BOOL("version", COMMON(version), NULL, "show the version")

const struct conf_key settings_common_keys[] = {COMMON_ROWS, {.name = NULL}};

#define WORKER(field) offsetof(struct worker_settings, field)
static const struct conf_key worker_keys[] = {
    COMMON_ROWS,
    SETTING_INT("concurrency", WORKER(concurrency), NULL, "64", 1, 1024, "actions in progress at a time"),
    SETTING_STR("queues", WORKER(queues), NULL, DEFAULT_QUEUES, 0, "queues to serve, in turn"),
    SETTING_INT("batch", WORKER(batch), NULL, "1000", 1, 4096, "most jobs of one claim and of one settling transaction"),
    SETTING_MS("drain-timeout", WORKER(drain_timeout_ms), NULL, "25s", 0, 3600000,
               "how long a stopping worker lets its actions finish"),
    SETTING_STR("smtp-url", WORKER(smtp_url), NULL, NULL, CONF_URL,
                "mail relay: smtp://host:port or smtps://host; unset: mail is refused"),
    SETTING_STR("smtp-user", WORKER(smtp_user), NULL, NULL, 0, "login at the relay; unset: none"),
    SETTING_STR("smtp-password", WORKER(smtp_password), NULL, NULL, CONF_SECRET, "password at the relay"),
    SETTING_CHOICE("smtp-tls", WORKER(smtp_tls), NULL, "try", settings_smtp_tls, "STARTTLS at the relay"),
    SETTING_STR("mail-from", WORKER(mail_from), NULL, NULL, 0, "sender where a tenant names none"),
    SETTING_STR("egress-allow", WORKER(egress_allow), NULL, NULL, 0,
                "private address ranges (CIDR, comma-separated) that webhooks may reach"),
    SETTING_BOOL("egress-http", WORKER(egress_http), NULL, "allow http:// for webhooks"),
    SETTING_STR("webhook-secret", WORKER(webhook_secret), NULL, NULL, CONF_SECRET,
                "key that signs webhooks where an endpoint has none of its own"),
    FLAG_ROWS,
    {.name = NULL},
};

#define SCHEDULER(field) offsetof(struct scheduler_settings, field)
static const struct conf_key scheduler_keys[] = {
    COMMON_ROWS,
    SETTING_STR("queues", SCHEDULER(queues), NULL, DEFAULT_QUEUES, 0, "queues to admit jobs to, beside those of workers, kinds and jobs"),
    SETTING_INT("window", SCHEDULER(window), NULL, "300000", 64, 300000,
                "most jobs of a queue ahead of its workers, which is half a second of their work where that is fewer"),
    SETTING_MS("tick-interval", SCHEDULER(tick_ms), NULL, "1s", 10, 60000, "milestone tick and poll of the outbox"),
    SETTING_INT("dispatch-batch", SCHEDULER(dispatch_batch), NULL, "200", 1, 10000, "events of one dispatching transaction"),
    SETTING_INT("direct-max", SCHEDULER(direct_max), NULL, "100000", 1000, 10000000,
                "waiting bare entries of a queue beyond which they are moved to the ledger"),
    SETTING_INT("smear-above", SCHEDULER(smear_above), NULL, "0", 0, 1000000,
                "runs due in one minute beyond which they are spread over as many minutes as that takes; 0: never"),
    SETTING_MS("smear-within", SCHEDULER(smear_within_ms), NULL, "30m", 60000, 7200000,
               "longest time over which what is due in one minute is spread"),
    SETTING_MS("drain-timeout", SCHEDULER(drain_timeout_ms), NULL, "10s", 0, 3600000,
               "how long a stopping scheduler may finish what it began"),
    FLAG_ROWS,
    {.name = NULL},
};
/* clang-format on */

static const struct conf_key *const all_tables[] = {settings_common_keys, worker_keys, scheduler_keys, NULL};

void settings_foreign(void)
{
    conf_foreign(all_tables);
}

const char *settings_default_file(void)
{
    return access(DEFAULT_FILE, F_OK) == 0 ? DEFAULT_FILE : NULL;
}

/* ---- checks ---------------------------------------------------------------------------------------------------------- */

static bool is_postgres_url(const char *url)
{
    struct str s = str_of(url);

    return s.n == 0 || str_starts(s, "postgresql://") || str_starts(s, "postgres://") || strchr(url, '=') != NULL;
}

static void check_database_url(const char *name, const char *url, struct buf *errors)
{
    if (url != NULL && !is_postgres_url(url))
        buf_printf(errors, "%s: expected postgresql://user@host/db or key=value text\n", name);
}

void settings_check(const struct settings *s, struct buf *errors)
{
    struct err_info info = {0};

    check_database_url("database-url (DATABASE_URL)", s->database_url, errors);
    check_database_url("maint-database-url (USHER_MAINT_DATABASE_URL)", s->maint_database_url, errors);
    if (s->redis_url != NULL && rconn_check_url(s->redis_url, &info) != ERR_OK)
        buf_printf(errors, "redis-url (REDIS_URL): %s\n", info.text);
    if (s->shards > 1)
        buf_printf(errors,
                   "shards (USHER_SHARDS): %lld is not possible: more than one shard needs Redis Cluster support, "
                   "which this version does not have; only 1 is allowed\n",
                   (long long)s->shards);
}

static bool queue_name_ok(struct str name)
{
    static const char first[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    static const char rest[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";

    if (name.n == 0 || name.n > SETTINGS_QUEUE_NAME_MAX || strchr(first, name.p[0]) == NULL)
        return false;
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] == '\0' || strchr(rest, name.p[i]) == NULL)
            return false;
    }
    return true;
}

enum err settings_queues(const char *list, char names[SETTINGS_QUEUES_MAX][SETTINGS_QUEUE_NAME_MAX + 1], size_t *n,
                         struct err_info *info)
{
    const char *p = list;

    *n = 0;
    for (;;) {
        struct str name = {p, strcspn(p, ",")};
        if (*n == SETTINGS_QUEUES_MAX)
            return err_set(info, ERR_INVALID, "more than %d queues", SETTINGS_QUEUES_MAX);
        if (!queue_name_ok(name))
            return err_set(info, ERR_INVALID, "\"%.*s\" is no queue name (1 to %d of a-z 0-9 _ -)", (int)name.n, name.p,
                           SETTINGS_QUEUE_NAME_MAX);
        for (size_t i = 0; i < *n; i++) {
            if (str_is(name, names[i]))
                return err_set(info, ERR_INVALID, "queue %s is named twice", names[i]);
        }
        (void)str_copy_n(names[*n], SETTINGS_QUEUE_NAME_MAX + 1, name.p, name.n);
        (*n)++;
        if (p[name.n] == '\0')
            return ERR_OK;
        p += name.n + 1;
    }
}

static void check_queues(const char *list, struct buf *errors)
{
    char names[SETTINGS_QUEUES_MAX][SETTINGS_QUEUE_NAME_MAX + 1];
    struct err_info info = {0};
    size_t n = 0;

    if (list != NULL && settings_queues(list, names, &n, &info) != ERR_OK)
        buf_printf(errors, "queues (USHER_QUEUES): %s\n", info.text);
}

static void check_worker(const void *settings, struct buf *errors)
{
    const struct worker_settings *s = settings;

    check_queues(s->queues, errors);
    if (s->smtp_url != NULL && !str_starts(str_of(s->smtp_url), "smtp://") &&
        !str_starts(str_of(s->smtp_url), "smtps://"))
        buf_put_str(errors, "smtp-url (USHER_SMTP_URL): expected smtp://host:port or smtps://host\n");
    if (s->mail_from != NULL && strchr(s->mail_from, '@') == NULL)
        buf_put_str(errors, "mail-from (USHER_MAIL_FROM): expected an address with @\n");
    if (s->smtp_password != NULL && s->smtp_user == NULL)
        buf_put_str(errors, "smtp-password (USHER_SMTP_PASSWORD): needs smtp-user too\n");
}

static void check_scheduler(const void *settings, struct buf *errors)
{
    const struct scheduler_settings *s = settings;

    check_queues(s->queues, errors);
}

const struct settings_program settings_worker = {
    .name = "usher-worker",
    .role = "worker",
    .summary = "executes jobs of the queues",
    .keys = worker_keys,
    .size = sizeof(struct worker_settings),
    .check = check_worker,
};

const struct settings_program settings_scheduler = {
    .name = "usher-scheduler",
    .role = "scheduler",
    .summary = "turns milestones and events into jobs and admits them",
    .keys = scheduler_keys,
    .size = sizeof(struct scheduler_settings),
    .check = check_scheduler,
};

/* ---- start of a daemon ----------------------------------------------------------------------------------------------- */

static void print_help(const struct settings_program *program)
{
    struct buf text = {0};

    buf_printf(
        &text,
        "%s: %s\n\nUsage: %s [--config FILE] [settings]\n\nSettings (flag, then variable, then file, then default):\n",
        program->name, program->summary, program->name);
    conf_help(program->keys, &text);
    (void)fputs(buf_text(&text), stdout);
    buf_free(&text);
}

static void print_settings(const struct settings_program *program, const void *settings)
{
    struct buf text = {0};

    conf_show(program->keys, settings, &text);
    (void)fputs(buf_text(&text), stdout);
    buf_free(&text);
}

static void load(const struct settings_program *program, void *out, int argc, char **argv, struct buf *errors)
{
    struct conf_source source = {.file = settings_default_file(), .argc = argc - 1, .argv = argv + 1};
    const struct settings *common = out;
    int operands = 0;

    if (conf_load(program->keys, out, &source, &operands, errors) == ERR_OK && errors->len == 0 && !common->help) {
        settings_check(common, errors);
        if (program->check != NULL)
            program->check(out, errors);
    }
    for (int i = 0; i < operands; i++)
        buf_printf(errors, "%s: not expected here; every setting is a flag\n", source.argv[i]);
}

int settings_start(const struct settings_program *program, void *out, int argc, char **argv)
{
    const struct settings *common = out;
    struct buf errors = {0};
    int code = -1;

    settings_foreign();
    memset(out, 0, program->size);
    load(program, out, argc, argv, &errors);
    if (common->help) {
        print_help(program);
        code = 0;
    } else if (common->version) {
        (void)printf("%s %s\n", program->name, USHER_VERSION);
        code = 0;
    } else if (errors.len > 0) {
        (void)fprintf(stderr, "%s: bad settings\n%s", program->name, buf_text(&errors));
        code = SETTINGS_EXIT_CONFIG;
    } else if (common->check_config) {
        print_settings(program, out);
        code = 0;
    } else {
        log_init(program->role, (enum log_level)common->log_level, (enum log_format)common->log_format);
    }
    if (code >= 0)
        settings_free(program, out);
    buf_free(&errors);
    return code;
}

void settings_free(const struct settings_program *program, void *settings)
{
    conf_free(program->keys, settings);
}

/* ---- the folder of migrations ---------------------------------------------------------------------------------------- */

static char *folder_if_it_is_one(const char *base, const char *rest)
{
    struct buf path = {0};
    char *found = NULL;

    buf_printf(&path, "%s%s/%s", base, rest, MIGRATIONS_PROBE);
    if (access(buf_text(&path), R_OK) == 0)
        found = mem_strndup(path.data, path.len - sizeof(MIGRATIONS_PROBE)); /* with the slash before it */
    buf_free(&path);
    return found;
}

/* Removes the last component; false at the root. */
static bool to_parent(char *path)
{
    char *slash = strrchr(path, '/');

    if (slash == NULL || slash == path)
        return false;
    *slash = '\0';
    return true;
}

char *settings_find_migrations(const struct settings *s, struct err_info *info)
{
    char at[PATH_MAX];
    char *found = NULL;

    if (s->migrations != NULL)
        return mem_strdup(s->migrations);
    found = folder_if_it_is_one(".", "/migrations");
    ssize_t n = readlink("/proc/self/exe", at, sizeof(at) - 1);
    if (found == NULL && n > 0) {
        at[n] = '\0';
        for (int i = 0; found == NULL && i < PARENTS_SEARCHED && to_parent(at); i++) {
            found = folder_if_it_is_one(at, "/migrations");
            if (found == NULL)
                found = folder_if_it_is_one(at, "/share/usher/migrations");
        }
    }
    if (found == NULL)
        found = folder_if_it_is_one(USHER_DATA_DIR, "/migrations");
    if (found == NULL)
        (void)err_set(info, ERR_NOTFOUND, "no folder of migrations near the program; name it with --migrations");
    return found;
}
