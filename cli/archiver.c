/* archiver: see archiver.h. */
#include "cli/archiver.h"

#include <stdio.h>
#include <string.h>

#include "cli/connect.h"
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
    struct db_session *probe = NULL;
    int code =
        connect_maint_db(run, &probe); /* the words and the code that every command has for a database out of reach */
    const char *url = s->maint_database_url != NULL ? s->maint_database_url : s->database_url;
    const struct archive_config config = {.url = url != NULL ? url : "",
                                          .dir = s->archive_dir,
                                          .after_months = s->archive_after_months,
                                          .grace_ms = s->archive_grace_ms,
                                          .progress = show,
                                          .arg = progress};
    struct err_info info = {0};

    db_close(probe);
    if (code != EXIT_OK)
        return code;
    return archiver_end(run, archive_open(&config, out, &info), &info);
}

void archiver_close(struct archive *a, struct progress *progress)
{
    progress_end(progress);
    archive_close(a);
}

void archiver_leaf(const char *operand, char leaf[MANIFEST_LEAF_SIZE])
{
    const size_t n = strlen(operand);

    if (n == 7 && operand[4] == '-')
        (void)snprintf(leaf, MANIFEST_LEAF_SIZE, "execution_logs_%.4s_%.2s", operand, operand + 5);
    else if (!str_copy(leaf, MANIFEST_LEAF_SIZE, operand))
        leaf[0] = '\0';
}

int archiver_operands(const struct cmd_run *run)
{
    char leaf[MANIFEST_LEAF_SIZE];

    for (int i = 0; i < run->n_operands; i++) {
        archiver_leaf(run->operands[i], leaf);
        if (!manifest_leaf_ok(leaf))
            return cmd_fail(run, EXIT_USAGE, "\"%.80s\": expected a month such as 2031-05", run->operands[i]);
    }
    return EXIT_OK;
}

int archiver_end(const struct cmd_run *run, enum err err, const struct err_info *info)
{
    if (err == ERR_OK)
        return EXIT_OK;
    /* The months have been looked at before: what is invalid is the folder's setting. */
    return cmd_fail(run, err == ERR_INVALID ? EXIT_CONFIG : cmd_exit_code(err), "%s", info->text);
}

int archiver_fail(const struct cmd_run *run, struct progress *progress, int code, enum err err,
                  const struct err_info *info)
{
    progress_end(progress);
    const int failed = archiver_end(run, err, info);

    return code != EXIT_OK ? code : failed;
}

bool archiver_go_on(enum err err)
{
    return err != ERR_CONN_LOST && err != ERR_CANCELED && err != ERR_DENIED && err != ERR_INVALID;
}
