/* migrate_catalog: what the schemas look like, as text without oids, in an order that depends on nothing but the text. */
#include "common/io/migrate_private.h"

#include <stdio.h>

#define SCHEMAS "('automation', 'automation_part', 'automation_priv')"
#define ACL(column) "(SELECT string_agg(x::text, ',' ORDER BY x::text COLLATE \"C\") FROM unnest(" column ") x)"

/* Each line: kind, name, definition. The search path is pg_catalog alone, so every other name is qualified. */
static const struct db_stmt lines = {
    "migrate_catalog",
    "WITH n AS (SELECT oid, nspname, nspowner, nspacl FROM pg_namespace WHERE nspname IN " SCHEMAS "), "
    "c AS (SELECT c.*, n.nspname || '.' || c.relname AS full_name FROM pg_class c JOIN n ON n.oid = c.relnamespace) "
    "SELECT line FROM ("
    "SELECT concat_ws('|', 'schema', nspname, nspowner::regrole, " ACL(
        "nspacl") ") AS line FROM n "
                  "UNION ALL SELECT concat_ws('|', 'relation', full_name, relkind, relpersistence, relowner::regrole, "
                  "relrowsecurity, "
                  "  relforcerowsecurity, relreplident, array_to_string(reloptions, ','), pg_get_expr(relpartbound, "
                  "c.oid), "
                  "  CASE WHEN relkind = 'p' THEN pg_get_partkeydef(c.oid) END, i.inhparent::regclass, " ACL(
                      "relacl") ") "
                                "  FROM c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid WHERE relkind IN ('r', 'p', "
                                "'v', 'm', 'S', 'f', 'c') "
                                "UNION ALL SELECT concat_ws('|', 'column', full_name, row_number() OVER (PARTITION BY "
                                "c.oid ORDER BY attnum), attname, "
                                "  format_type(atttypid, atttypmod), attnotnull, attidentity, attgenerated, "
                                "attstorage, attcompression, attstattarget, "
                                "  nullif(attcollation, 0)::regcollation, pg_get_expr(d.adbin, d.adrelid), " ACL(
                                    "attacl") ") "
                                              "  FROM c JOIN pg_attribute a ON a.attrelid = c.oid AND attnum > 0 AND "
                                              "NOT attisdropped "
                                              "  LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum "
                                              "WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'c') "
                                              "UNION ALL SELECT concat_ws('|', 'view', full_name, "
                                              "pg_get_viewdef(c.oid)) FROM c WHERE relkind IN ('v', 'm') "
                                              "UNION ALL SELECT concat_ws('|', 'index', full_name, "
                                              "pg_get_indexdef(c.oid), i.indisvalid, i.indisclustered, "
                                              "  array_to_string(reloptions, ',')) FROM c JOIN pg_index i ON "
                                              "i.indexrelid = c.oid "
                                              "UNION ALL SELECT concat_ws('|', 'sequence', full_name, "
                                              "format_type(seqtypid, NULL), seqstart, seqincrement, seqmax, "
                                              "  seqmin, seqcache, seqcycle) FROM c JOIN pg_sequence q ON q.seqrelid = "
                                              "c.oid "
                                              "UNION ALL SELECT concat_ws('|', 'constraint', k.conname, "
                                              "nullif(k.conrelid, 0)::regclass, nullif(k.contypid, 0)::regtype, "
                                              "  pg_get_constraintdef(k.oid), k.convalidated) FROM pg_constraint k "
                                              "JOIN n ON n.oid = k.connamespace "
                                              "UNION ALL SELECT concat_ws('|', 'trigger', full_name, t.tgname, "
                                              "t.tgenabled, pg_get_triggerdef(t.oid)) "
                                              "  FROM c JOIN pg_trigger t ON t.tgrelid = c.oid WHERE NOT "
                                              "t.tgisinternal "
                                              "UNION ALL SELECT concat_ws('|', 'rule', full_name, r.ev_enabled, "
                                              "pg_get_ruledef(r.oid)) "
                                              "  FROM c JOIN pg_rewrite r ON r.ev_class = c.oid WHERE r.rulename <> "
                                              "'_RETURN' "
                                              "UNION ALL SELECT concat_ws('|', 'policy', full_name, p.polname, "
                                              "p.polcmd, p.polpermissive, "
                                              "  (SELECT string_agg(CASE x WHEN 0 THEN 'public' ELSE x::regrole::text "
                                              "END, ',' ORDER BY x::regrole::text COLLATE \"C\") "
                                              "     FROM unnest(p.polroles) x), pg_get_expr(p.polqual, p.polrelid), "
                                              "pg_get_expr(p.polwithcheck, p.polrelid)) "
                                              "  FROM c JOIN pg_policy p ON p.polrelid = c.oid "
                                              "UNION ALL SELECT concat_ws('|', 'function', f.oid::regprocedure, "
                                              "f.prokind, f.proowner::regrole, "
                                              "  CASE WHEN f.prokind <> 'a' THEN pg_get_functiondef(f.oid) END, " ACL(
                                                  "f.proacl") ") "
                                                              "  FROM pg_proc f JOIN n ON n.oid = f.pronamespace "
                                                              "UNION ALL SELECT concat_ws('|', 'type', t.oid::regtype, "
                                                              "t.typtype, t.typowner::regrole, "
                                                              "  format_type(nullif(t.typbasetype, 0), t.typtypmod), "
                                                              "t.typnotnull, t.typdefault, " ACL(
                                                                  "t.typacl") ", "
                                                                              "  (SELECT string_agg(enumlabel, ',' "
                                                                              "ORDER BY enumsortorder) FROM pg_enum e "
                                                                              "WHERE e.enumtypid = t.oid)) "
                                                                              "  FROM pg_type t JOIN n ON n.oid = "
                                                                              "t.typnamespace WHERE t.typtype IN ('d', "
                                                                              "'e', 'r') "
                                                                              "UNION ALL SELECT concat_ws('|', "
                                                                              "'statistics', "
                                                                              "pg_get_statisticsobjdef(x.oid)) "
                                                                              "  FROM pg_statistic_ext x JOIN n ON "
                                                                              "n.oid = x.stxnamespace "
                                                                              "UNION ALL SELECT concat_ws('|', "
                                                                              "'default privileges', n.nspname, "
                                                                              "d.defaclrole::regrole, d.defaclobjtype, "
                                                                              "  " ACL(
                                                                                  "d.defaclacl") ") FROM "
                                                                                                 "pg_default_acl d "
                                                                                                 "JOIN n ON n.oid = "
                                                                                                 "d.defaclnamespace "
                                                                                                 ") AS l ORDER BY line "
                                                                                                 "COLLATE \"C\""};

static void hash_rows(const struct db_result *res, char out[MIGRATE_FINGERPRINT_SIZE])
{
    uint8_t sha256[HASH_SIZE];
    struct hash *hash = hash_new();
    for (int i = 0; i < db_rows(res); i++) {
        struct str line = db_text(res, i, 0);
        hash_put(hash, line.p, line.n + 1); /* with its NUL, which ends the line */
    }
    hash_done(hash, sha256);
    for (int i = 0; i < HASH_SIZE; i++)
        snprintf(out + 2 * (size_t)i, 3, "%02x", sha256[i]);
}

enum err migrate_catalog_fingerprint(struct db_session *s, char out[MIGRATE_FINGERPRINT_SIZE], struct err_info *info)
{
    struct db_result *res = NULL;
    enum err err =
        db_exec(s, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL search_path = pg_catalog", NULL, info);
    if (err == ERR_OK)
        err = db_query(s, &lines, NULL, &res, info);
    if (err == ERR_OK)
        hash_rows(res, out);
    if (db_alive(s) && db_exec(s, "ROLLBACK", NULL, NULL) != ERR_OK && err == ERR_OK)
        err = err_set(info, ERR_CONN_LOST, "connection lost");
    db_result_free(res);
    return err;
}

enum err migrate_catalog_invalid_index(struct db_session *s, char *name, size_t size, struct err_info *info)
{
    static const struct db_stmt stmt = {
        "migrate_invalid_index",
        "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid "
        "JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE NOT i.indisvalid AND c.relkind = 'i' AND n.nspname IN " SCHEMAS
        "  AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.index_relid = c.oid) "
        "ORDER BY 1 LIMIT 1"};
    struct db_result *res = NULL;
    enum err err = db_query(s, &stmt, NULL, &res, info);
    name[0] = '\0';
    if (err == ERR_OK && db_rows(res) > 0)
        str_copy(name, size, db_text(res, 0, 0).p);
    db_result_free(res);
    return err;
}
