/* usher season load: a season folder into the database. */
#include <jansson.h>
#include <stdio.h>

#include "cli/cmd.h"
#include "cli/connect.h"
#include "cli/season/load.h"

struct load_options {
    bool strict;
};

static const struct conf_key options[] = {
    SETTING_BOOL("strict", offsetof(struct load_options, strict), NULL, "load nothing when a line is bad"),
    {.name = NULL},
};

static void on_bad(void *arg, const char *line)
{
    (void)arg;
    fprintf(stderr, "%s\n", line);
}

static int run_load(struct cmd_run *run)
{
    const struct load_options *o = run->options;
    struct season_counts counts = {0};
    struct err_info info = {0};
    struct db_session *db;
    int code = connect_db(run, &db);
    if (code != EXIT_OK)
        return code;
    char home[SEASON_PATH_MAX];
    enum err err = season_home(run->settings, home, &info);
    if (err == ERR_OK)
        err = season_load(db, home, run->operands[0], o->strict, on_bad, NULL, &counts, &info);
    db_close(db);
    if (err != ERR_OK)
        return cmd_fail(run, cmd_exit_code(err), "%s", info.text);
    printf(run->json
               ? "{\"tenants\":%lld,\"vendors\":%lld,\"rules\":%lld,\"weddings\":%lld,\"events\":%lld,\"bad\":%lld}\n"
               : "%lld tenants, %lld vendors, %lld rules, %lld weddings, %lld events loaded, %lld bad lines\n",
           (long long)counts.tenants, (long long)counts.vendors, (long long)counts.rules, (long long)counts.weddings,
           (long long)counts.events, (long long)counts.bad);
    return counts.bad ? EXIT_FAILED : EXIT_OK;
}

const struct cmd cmd_season_load = {
    .path = "season load",
    .summary = "load a season folder: tenants, vendors, rules, weddings, events",
    .operands = "FOLDER",
    .min_operands = 1,
    .max_operands = 1,
    .options = options,
    .options_size = sizeof(struct load_options),
    .details = "Each bad line is reported with file and number; the others load. Exit code 1 when a line was bad.",
    .examples = "usher season load examples/season\n",
    .run = run_load,
};
