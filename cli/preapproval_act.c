/* preapproval_act: see preapproval_act.h. */
#include "cli/preapproval_act.h"

#include "cli/connect.h"
#include "cli/input.h"
#include "cli/store_approval.h"
#include "common/io/db.h"

void preapproval_act_check(const void *options, struct buf *errors)
{
    const struct preapproval_options *o = options;

    if (o->tenant == NULL)
        buf_put_str(errors, "--tenant is required\n");
    input_check_id("tenant", o->tenant, errors);
    input_check_id("wedding", o->wedding, errors);
}

static enum err act(const struct cmd_run *run, struct db_session *db, const struct store_preapproval *p,
                    struct err_info *info)
{
    const char *word = p->grant ? "preapproved" : "revoked";
    bool done = false;
    enum err err = store_approval_ahead(db, p, &done, info);

    if (err == ERR_OK && !done)
        err = p->grant ? err_set(info, ERR_EXISTS, "it is approved ahead already")
                       : err_set(info, ERR_NOTFOUND, "%s was not approved ahead",
                                 id_is_zero(&p->wedding) ? "the rule for all weddings" : "the rule for this wedding");
    if (err == ERR_OK && !run->json)
        printf("%s\n", word);
    else if (err == ERR_OK)
        printf("{\"state\":\"%s\"}\n", word);
    return err;
}

int preapproval_act_run(struct cmd_run *run, bool grant)
{
    const struct preapproval_options *o = run->options;
    struct store_preapproval p = {.grant = grant};
    struct buf user = {0};
    struct db_session *db = NULL;
    struct err_info info = {0};

    if (input_id("RULE", run->operands[0], &p.rule, &info) != ERR_OK ||
        input_id("tenant", o->tenant, &p.tenant, &info) != ERR_OK ||
        input_id("wedding", o->wedding, &p.wedding, &info) != ERR_OK)
        return cmd_fail(run, EXIT_USAGE, "%s", info.text);
    input_user(&user);
    p.by = o->by != NULL ? o->by : buf_text(&user);
    int code = connect_db(run, &db);
    if (code == EXIT_OK) {
        enum err err = act(run, db, &p, &info);
        if (err != ERR_OK)
            code = cmd_fail(run, cmd_exit_code(err), "%s", info.text);
    }
    db_close(db);
    buf_free(&user);
    return code;
}
