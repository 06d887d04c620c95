/* migrate_down: removes the schemas. Lock as `up` → what would be lost, who is connected, what of the host's needs us → DROP
 * in one transaction. Triggers of the host's tables that call our functions go with these; anything else of the host's that
 * CASCADE would take is a reason to refuse. */
#include "common/io/migrate.h"

#include <string.h>

#include "common/io/db.h"
#include "common/io/migrate_private.h"

#define SCHEMAS "('automation', 'automation_part', 'automation_priv')"

/* Database, tables, their size, processes at work, the host's objects that need ours (null: none). */
static const struct db_stmt look = {
    "migrate_down_look",
    "select current_database()::text,\n"
    "    (select count(*) from pg_class c where c.relkind in ('r', 'p') and c.relnamespace::regnamespace::text "
    "in " SCHEMAS "),\n"
    "    pg_size_pretty((select sum(pg_total_relation_size(c.oid)) from pg_class c\n"
    "        where c.relkind in ('r', 'm') and c.relnamespace::regnamespace::text in " SCHEMAS ")),\n"
    "    (select count(distinct a.application_name || coalesce(host(a.client_addr), '')) from pg_stat_activity a\n"
    "        where a.datname = current_database() and a.application_name ~ '^usher-(worker|scheduler)'),\n"
    "    (select string_agg(distinct o.type || ' ' || o.identity, ', ') from pg_depend d\n"
    "        cross join lateral pg_identify_object(d.refclassid, d.refobjid, 0) r\n"
    "        cross join lateral pg_identify_object(d.classid, d.objid, d.objsubid) o\n"
    "        where d.deptype = 'n' and r.schema in " SCHEMAS " and o.type <> 'trigger'\n"
    "            and o.identity !~ '(^| )(automation|automation_part|automation_priv)\\.')"};

enum look_column { LOOK_DATABASE, LOOK_TABLES, LOOK_SIZE, LOOK_BUSY, LOOK_HOST };

static enum err judge(const struct db_result *res, const char *confirm, struct err_info *info)
{
    const char *database = db_text(res, 0, LOOK_DATABASE).p;

    if (db_i64(res, 0, LOOK_TABLES) == 0)
        return err_set(info, ERR_STATE, "nothing to do: the database \"%s\" has none of the schemas", database);
    if (!confirm || strcmp(confirm, database) != 0)
        return err_set(
            info, ERR_STATE,
            "this deletes %lld tables of the database \"%s\" with %s: every tenant, wedding, rule, unfinished "
            "job, run, dead letter and log row. Only a backup brings them back. If this is meant, say so by "
            "the database's name",
            (long long)db_i64(res, 0, LOOK_TABLES), database, db_text(res, 0, LOOK_SIZE).p);
    if (db_i64(res, 0, LOOK_BUSY) > 0)
        return err_set(info, ERR_STATE, "workers or schedulers are connected to \"%s\": stop them first", database);
    if (!db_null(res, 0, LOOK_HOST))
        return err_set(info, ERR_STATE, "objects outside of the schemas need what is in them, drop these first: %s",
                       db_text(res, 0, LOOK_HOST).p);
    return ERR_OK;
}

static enum err drop(const struct migrate_config *config, struct db_session *s, struct err_info *info)
{
    enum err err = migrate_lock_timeout(config, s, "BEGIN; SET LOCAL", info);
    if (err == ERR_OK)
        err = db_exec(s, "DROP SCHEMA IF EXISTS automation, automation_part, automation_priv CASCADE", NULL, info);
    if (err == ERR_OK) /* the one default of the database that the files change */
        err = db_exec(s,
                      "DO $$ BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'automation_owner') THEN "
                      "ALTER DEFAULT PRIVILEGES FOR ROLE automation_owner GRANT EXECUTE ON FUNCTIONS TO public; "
                      "END IF; END $$",
                      NULL, info);
    if (err == ERR_OK)
        err = db_exec(s, "COMMIT", NULL, info);
    return err;
}

enum err migrate_down(const struct migrate_config *config, const char *confirm, struct err_info *info)
{
    struct db_session *s = NULL;
    struct db_result *res = NULL;
    enum err err = migrate_session_open(config, &s, info);

    if (err == ERR_OK)
        err = migrate_ledger_lock(s, config, info);
    if (err == ERR_OK)
        err = db_query(s, &look, NULL, &res, info);
    if (err == ERR_OK)
        err = judge(res, confirm, info);
    if (err == ERR_OK)
        err = drop(config, s, info);
    db_result_free(res);
    db_close(s); /* rolls back what was not committed */
    return err;
}
