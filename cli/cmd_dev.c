/* usher dev: the embedded starter on the command line.
 *
 * Happy path: stores, programs, one line of addresses on standard output, then nothing until a signal; or a command in the
 * foreground whose exit code becomes ours.
 * Failure: a message and the fitting exit code; in every case all that was started is stopped. */
#include <string.h>

#include "cli/cmd.h"
#include "cli/dev/dev.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/str.h"

#define TURN_MS 60000

struct dev_options {
    char *data;
    int64_t workers;
    bool no_children;
    bool children;
    bool no_migrate;
    char *log_dir;
    char *worker_args;
    char *env;
};

#define AT(field) offsetof(struct dev_options, field)
static const struct conf_key options[] = {
    SETTING_STR("data", AT(data), NULL, CMD_DEV_FOLDER, 0, "folder that holds everything"),
    SETTING_INT("workers", AT(workers), NULL, "2", 0, 64, "worker processes"),
    SETTING_BOOL("no-children", AT(no_children), NULL, "only PostgreSQL and Redis"),
    SETTING_BOOL("children", AT(children), NULL, "scheduler and workers beside COMMAND too"),
    SETTING_BOOL("no-migrate", AT(no_migrate), NULL, "leave the database as it is"),
    SETTING_STR("log-dir", AT(log_dir), NULL, NULL, 0,
                "where the programs log; \"-\": standard error; unset: log/ of the data folder"),
    SETTING_STR("worker-arg", AT(worker_args), NULL, NULL, CMD_MANY, "argument for the workers"),
    SETTING_STR("env", AT(env), NULL, NULL, CMD_MANY, "NAME=value for the programs"),
    {.name = NULL},
};

static void check(const void *opts, struct buf *errors)
{
    const struct dev_options *o = opts;
    size_t n = 0;
    char **env = cmd_split(o->env, &n);

    for (size_t i = 0; i < n; i++) {
        if (env[i][0] == '=' || strchr(env[i], '=') == NULL)
            buf_printf(errors, "--env %s: expected NAME=value\n", env[i]);
    }
    if (o->no_children && o->children)
        buf_put_str(errors, "--children and --no-children exclude each other\n");
    mem_free(env);
}

static void print_ready(const struct cmd_run *run, const struct dev *d)
{
    const struct dev_urls *urls = dev_urls(d);
    struct buf b = {0};

    if (run->json) {
        const char *const pairs[][2] = {{"database_url", urls->admin},
                                        {"worker_database_url", urls->worker},
                                        {"scheduler_database_url", urls->scheduler},
                                        {"redis_url", urls->redis},
                                        {"data", dev_data(d)}};
        for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
            buf_printf(&b, "%c\"%s\":", i == 0 ? '{' : ',', pairs[i][0]);
            buf_put_json(&b, pairs[i][1], strlen(pairs[i][1]));
        }
        buf_put_str(&b, "}\n");
    } else {
        buf_printf(&b, "DATABASE_URL='%s'\nREDIS_URL='%s'\n", urls->admin, urls->redis);
    }
    (void)fputs(buf_text(&b), stdout);
    (void)fflush(stdout);
    buf_free(&b);
}

/* Until a signal, the command's end or a failure. */
static int supervise(const struct cmd_run *run, struct dev *d)
{
    struct dev_report report = {0};

    for (;;) {
        switch (dev_turn(d, TURN_MS, &report)) {
        case DEV_RUNNING: break;
        case DEV_INTERRUPTED:
            log_info("dev.stop", L_STR("reason", "signal"));
            return run->n_operands > 0 ? EXIT_INTERRUPTED : EXIT_OK;
        case DEV_COMMAND_ENDED: return report.code;
        case DEV_FAILED: return cmd_fail(run, EXIT_CONFIG, "%s", report.text);
        }
    }
}

static int fail(const struct cmd_run *run, const struct err_info *info)
{
    switch (cmd_exit_code(info->code)) {
    case EXIT_TEMPORARY: /* the folder is in use */
    case EXIT_CONFLICT: return cmd_fail(run, EXIT_CONFLICT, "%s", info->text);
    case EXIT_INTERRUPTED: return cmd_fail(run, EXIT_INTERRUPTED, "%s", info->text);
    case EXIT_NOT_FOUND:
    case EXIT_UNAVAILABLE: return cmd_fail(run, EXIT_UNAVAILABLE, "%s", info->text);
    case EXIT_OK:
    case EXIT_FAILED:
    case EXIT_USAGE:
    case EXIT_CONFIG: break;
    }
    return cmd_fail(run, EXIT_FAILED, "%s", info->text);
}

static enum err start_programs(const struct cmd_run *run, struct dev *d, bool children, struct err_info *info)
{
    const struct dev_options *o = run->options;
    char **args = cmd_split(o->worker_args, NULL);
    char **env = cmd_split(o->env, NULL);
    struct dev_programs programs = {.workers = (int)o->workers, .worker_args = args, .env = env};
    enum err err = ERR_OK;

    if (children)
        err = dev_add_programs(d, &programs, info);
    if (err == ERR_OK && run->n_operands > 0)
        err = dev_run_command(d, run->operands, env, info);
    mem_free(args);
    mem_free(env);
    return err;
}

static int run_dev(struct cmd_run *run)
{
    const struct dev_options *o = run->options;
    bool children = o->children || (run->n_operands == 0 && !o->no_children);
    struct dev_config config = {.data = o->data == NULL ? CMD_DEV_FOLDER : o->data, .log_dir = o->log_dir};
    struct err_info info = {0};
    struct dev *d = NULL;
    char *migrations = NULL;
    int code = EXIT_OK;

    if (children && dev_check_programs(&info) != ERR_OK)
        return cmd_fail(run, EXIT_UNAVAILABLE, "%s", info.text);
    if (!o->no_migrate && (migrations = settings_find_migrations(run->settings, &info)) == NULL)
        return cmd_fail(run, EXIT_CONFIG, "%s", info.text);
    config.migrations = migrations;
    if (dev_start(&config, &d, &info) != ERR_OK || start_programs(run, d, children, &info) != ERR_OK) {
        code = fail(run, &info);
    } else {
        if (run->n_operands == 0)
            print_ready(run, d);
        code = supervise(run, d);
    }
    dev_stop(d);
    mem_free(migrations);
    return code;
}

const struct cmd cmd_dev = {
    .path = "dev",
    .summary = "run a whole Usher on this machine in one folder",
    .operands = "[-- COMMAND [ARGUMENT...]]",
    .max_operands = -1,
    .options = options,
    .options_size = sizeof(struct dev_options),
    .details =
        "Starts a private PostgreSQL and Redis on unix sockets, migrates, then runs the scheduler and the workers "
        "until\n"
        "SIGINT or SIGTERM (a second one stops at once). All of it stays in the data folder and ends with this "
        "process.\n"
        "When everything runs the addresses are printed on standard output, as JSON with --json. With COMMAND only "
        "the\n"
        "stores run; it finds their addresses in DATABASE_URL, REDIS_URL and PG*, and its exit code is the result.\n"
        "While it runs, `usher` commands started in the folder above the data folder find it by themselves.",
    .examples = "usher dev\n"
                "usher dev --workers 4 --data /var/tmp/usher\n"
                "usher dev --no-children --json\n"
                "usher dev -- psql\n",
    .check = check,
    .run = run_dev,
};
