/* archiver: see archiver.h. */
#include "cli/archiver.h"

#include <stdio.h>
#include <string.h>

#include "common/base/str.h"

static void show(void *arg, const struct archive_progress *now)
{
    char label[PROGRESS_LABEL_SIZE];

    (void)snprintf(label, sizeof(label), "%s %s", now->leaf, now->phase);
    progress_show(arg, label, now->done, now->total);
}

int archiver_open(const struct cmd_run *run, struct progress *progress, struct archive **out)
{
    const struct settings *s = run->settings;
    const char *url = s->maint_database_url != NULL ? s->maint_database_url : s->database_url;
    const struct archive_config config = {.url = url != NULL ? url : "",
                                          .dir = s->archive_dir,
                                          .after_months = s->archive_after_months,
                                          .grace_ms = s->archive_grace_ms,
                                          .progress = show,
                                          .arg = progress};
    struct err_info info = {0};
    enum err err = archive_open(&config, out, &info);

    if (err == ERR_OK)
        return EXIT_OK;
    return cmd_fail(run, err == ERR_CONN_LOST || err == ERR_REFUSED ? EXIT_UNAVAILABLE : cmd_exit_code(err), "%s",
                    info.text);
}

void archiver_close(struct archive *a, struct progress *progress)
{
    progress_end(progress);
    archive_close(a);
}

bool archiver_leaf(const struct cmd_run *run, const char *operand, char leaf[MANIFEST_LEAF_SIZE])
{
    const size_t n = strlen(operand);

    if (n == 7 && operand[4] == '-')
        (void)snprintf(leaf, MANIFEST_LEAF_SIZE, "execution_logs_%.4s_%.2s", operand, operand + 5);
    else if (!str_copy(leaf, MANIFEST_LEAF_SIZE, operand))
        leaf[0] = '\0';
    if (manifest_leaf_ok(leaf))
        return true;
    (void)cmd_fail(run, EXIT_USAGE, "\"%.80s\": expected a month such as 2031-05", operand);
    return false;
}

int archiver_fail(const struct cmd_run *run, struct progress *progress, int code, enum err err,
                  const struct err_info *info)
{
    progress_end(progress);
    const int failed = cmd_fail(run, cmd_exit_code(err), "%s", info->text);

    return code != EXIT_OK ? code : failed;
}

bool archiver_go_on(enum err err)
{
    return err != ERR_CONN_LOST && err != ERR_CANCELED && err != ERR_DENIED && err != ERR_INVALID;
}
