/* store_approval: see store_approval.h. */
#include "cli/store_approval.h"

#include "common/base/mem.h"
#include "common/io/db.h"

static enum err list(struct db_session *db, const struct db_stmt *stmt, const struct id *tenant, int64_t limit,
                     struct db_result **out, struct err_info *info)
{
    struct arena arena = {0};
    struct db_args a;

    db_args_init(&a, &arena);
    db_arg_id(&a, id_is_zero(tenant) ? NULL : tenant);
    db_arg_i64(&a, limit);
    enum err err = db_query(db, stmt, &a, out, info);
    arena_free(&arena);
    return err;
}

enum err store_approval_list(struct db_session *db, const struct id *tenant, int64_t limit, struct db_result **out,
                             struct err_info *info)
{
    static const struct db_stmt stmt = {
        "approval_list",
        "select a.approval_id, a.tenant_id, w.title, r.name, a.kind, coalesce(a.content ->> 'subject', a.content ->> "
        "'title', "
        "a.content::text), a.requested_at, a.expires_at\n"
        "from automation.approvals a join automation.rules r on r.tenant_id = a.tenant_id and r.rule_id = a.rule_id\n"
        "left join automation.weddings w on w.tenant_id = a.tenant_id and w.wedding_id = a.wedding_id\n"
        "where a.state = 'pending' and ($1::uuid is null or a.tenant_id = $1)\n"
        "  and exists (select from automation_priv.ledger l where l.job_id = a.approval_id and l.parked_reason = "
        "'approval')\n"
        "order by a.requested_at, a.approval_id limit $2"};

    return list(db, &stmt, tenant, limit, out, info);
}

enum err store_approval_list_ahead(struct db_session *db, const struct id *tenant, int64_t limit,
                                   struct db_result **out, struct err_info *info)
{
    static const struct db_stmt stmt = {
        "approval_list_ahead",
        "select p.tenant_id::text, p.rule_id::text, r.name, p.wedding_id::text, w.title, p.granted_by, p.granted_at\n"
        "from automation.preapprovals p join automation.rules r on r.tenant_id = p.tenant_id and r.rule_id = "
        "p.rule_id\n"
        "left join automation.weddings w on w.tenant_id = p.tenant_id and w.wedding_id = p.wedding_id\n"
        "where $1::uuid is null or p.tenant_id = $1\n"
        "order by p.granted_at, p.tenant_id, p.rule_id, p.wedding_id limit $2"};

    return list(db, &stmt, tenant, limit, out, info);
}

enum err store_approval_show(struct db_session *db, const struct id *approval, struct db_result **out,
                             struct err_info *info)
{
    static const struct db_stmt stmt = {
        "approval_show",
        "select a.tenant_id, a.wedding_id, w.title, a.rule_id, r.name, a.kind,\n"
        "    case when a.state = 'pending' and not exists (select from automation_priv.ledger l where l.job_id = "
        "a.approval_id) then "
        "'ended' else a.state end,\n"
        "    a.requested_at, a.expires_at, a.decided_at, a.decided_by, a.edited_by, a.note, a.content\n"
        "from automation.approvals a join automation.rules r on r.tenant_id = a.tenant_id and r.rule_id = a.rule_id\n"
        "left join automation.weddings w on w.tenant_id = a.tenant_id and w.wedding_id = a.wedding_id where "
        "a.approval_id = $1"};
    struct arena arena = {0};
    struct db_args a;

    db_args_init(&a, &arena);
    db_arg_id(&a, approval);
    enum err err = db_query(db, &stmt, &a, out, info);
    arena_free(&arena);
    return err;
}

enum err store_approval_decide(struct db_session *db, const struct store_decision *d, bool *found, bool *done,
                               struct err_info *info)
{
    static const struct db_stmt stmt = {
        "approval_decide", "select automation.decide_approval(a.tenant_id, a.approval_id, $2, $3, $4, $5)\n"
                           "from automation.approvals a where a.approval_id = $1"};
    struct arena arena = {0};
    struct db_result *r = NULL;
    struct db_args a;

    db_args_init(&a, &arena);
    db_arg_id(&a, &d->approval);
    db_arg_cstr(&a, d->word);
    db_arg_cstr(&a, d->by);
    db_arg_json(&a, d->content);
    db_arg_cstr(&a, d->note);
    enum err err = db_query(db, &stmt, &a, &r, info);
    *found = err == ERR_OK && db_rows(r) > 0;
    *done = *found && db_bool(r, 0, 0);
    db_result_free(r);
    arena_free(&arena);
    return err;
}

enum err store_approval_ahead(struct db_session *db, const struct store_preapproval *p, bool *done, struct err_info *info)
{
    static const struct db_stmt grant = {"approval_preapprove", "select automation.preapprove($1, $2, $3, $4)"};
    static const struct db_stmt revoke = {"approval_revoke", "select automation.revoke_preapproval($1, $2, $3, $4)"};
    struct arena arena = {0};
    struct db_result *r = NULL;
    struct db_args a;

    db_args_init(&a, &arena);
    db_arg_id(&a, &p->tenant);
    db_arg_id(&a, &p->rule);
    db_arg_cstr(&a, p->by);
    db_arg_id(&a, id_is_zero(&p->wedding) ? NULL : &p->wedding);
    enum err err = db_query(db, p->grant ? &grant : &revoke, &a, &r, info);
    *done = err == ERR_OK && db_bool(r, 0, 0);
    db_result_free(r);
    arena_free(&arena);
    return err;
}
