/* approval_act: see approval_act.h. */
#include "cli/approval_act.h"

#include "cli/connect.h"
#include "cli/input.h"
#include "cli/store_approval.h"
#include "common/io/db.h"

#define CONTENT_MAX_BYTES ((size_t)64 * 1024)

static enum err decide(struct cmd_run *run, struct db_session *db, struct store_decision *d, struct err_info *info)
{
    bool found = false, done = false;
    enum err err = store_approval_decide(db, d, &found, &done, info);

    if (err == ERR_OK && !found)
        err = err_set(info, ERR_NOTFOUND, "no such approval");
    else if (err == ERR_OK && !done)
        err = err_set(info, ERR_EXISTS, "it is decided already, or its run has ended");
    if (err == ERR_OK && !run->json)
        printf("%s\n", d->word);
    else if (err == ERR_OK)
        printf("{\"state\":\"%s\"}\n", d->word);
    return err;
}

int approval_act_run(struct cmd_run *run, const char *word)
{
    const struct approval_options *o = run->options;
    struct store_decision d = {.word = word, .note = o->note};
    struct buf user = {0}, content = {0};
    struct db_session *db = NULL;
    struct err_info info = {0};
    int code = EXIT_OK;
    enum err err = input_id("ID", run->operands[0], &d.approval, &info);

    if (err == ERR_OK && run->n_operands > 1)
        err = input_text(run->operands[1], CONTENT_MAX_BYTES, &content, &info);
    if (err != ERR_OK) {
        code = cmd_fail(run, EXIT_USAGE, "%s", info.text);
        goto out;
    }
    input_user(&user);
    d.by = o->by != NULL ? o->by : buf_text(&user);
    if (run->n_operands > 1)
        d.content = (struct str){content.data, content.len};
    code = connect_db(run, &db);
    if (code != EXIT_OK)
        goto out;
    err = decide(run, db, &d, &info);
    if (err != ERR_OK)
        code = cmd_fail(run, cmd_exit_code(err), "%s", info.text);
out:
    db_close(db);
    buf_free(&user);
    buf_free(&content);
    return code;
}
