/* db_pooler: is the server's session ours alone? Asked of every fresh session, before anything is set there that would be another's.
 *
 * Happy path: the process that answers is the one that greeted us, so nothing is in between. A pooler greets with a number of its own
 * in either mode (pgbouncer, PgCat: a random one), hence the second question, to two sessions in turn: where each keeps its server
 * process the pooler is in session mode. In transaction mode an idle pooler gives both the same process, and a busy one changes ours;
 * only one that others use may look like session mode for a while, so it is asked several times.
 * Failures: no second connection (a pool that is used up) leaves the question open, and open is not good enough. A pooler whose
 * invented number is the process's by chance passes; its sessions fail at the first statement that was prepared elsewhere. */
#include "common/io/db_private.h"

#define ROUNDS 8

static enum err ask(struct db_session *s, int *pid, struct err_info *info)
{
    static const struct db_stmt stmt = {"backend_pid", "select pg_catalog.pg_backend_pid()"};
    struct db_result *rows = NULL;
    enum err err = db_query_once(s, &stmt, NULL, &rows, info);

    if (err == ERR_OK)
        *pid = (int)db_i64(rows, 0, 0);
    db_result_free(rows);
    return err;
}

#define WHAT_TO_DO                                                                                                     \
    "locks, LISTEN, settings and prepared statements would be lost or another client's: name the direct connection "   \
    "or the pooler's session mode (Supabase: port 5432, not 6543)"

/* The other twice: a pooler that hands out two connections in turn would give each of us the same one again and again. */
static enum err compare(struct db_session *s, struct db_session *other, int own, struct err_info *info)
{
    int theirs = 0, later = 0, again = own;
    enum err err = ask(other, &theirs, info);

    if (err == ERR_OK)
        err = ask(other, &later, info);
    if (err == ERR_OK)
        err = ask(s, &again, info);
    if (err != ERR_OK)
        return err;
    if (theirs == own || later == own)
        return err_set(info, ERR_STATE,
                       "a transaction pooler is in between (server process %d served two of our sessions); " WHAT_TO_DO,
                       own);
    if (later != theirs || again != own)
        return err_set(
            info, ERR_STATE,
            "a transaction pooler is in between (server processes %d and %d served one session); " WHAT_TO_DO,
            again != own ? own : theirs, again != own ? again : later);
    return ERR_OK;
}

enum err db_pooler_refuse(struct db_session *s, const struct db_session_config *config, int *pid, struct err_info *info)
{
    const struct db_session_config beside = {.url = config->url,
                                             .name = config->name,
                                             .connect_ms = config->connect_ms,
                                             .statement_ms = config->connect_ms > 0 ? config->connect_ms : DB_CONNECT_MS,
                                             .pooled = true};
    const int greeted = *pid;
    struct db_session *other = NULL;
    struct err_info why = {0};
    enum err err = ask(s, pid, info);

    if (err != ERR_OK || *pid == greeted)
        return err;
    err = db_open(&beside, &other, &why);
    for (int i = 0; err == ERR_OK && i < ROUNDS; i++)
        err = compare(s, other, *pid, &why);
    db_close(other);
    if (err == ERR_STATE)
        return err_set(info, err, "%s", why.text);
    if (err != ERR_OK)
        return err_set(info, err, "a pooler is in between, and whether it keeps sessions could not be found out: %s",
                       why.text);
    return ERR_OK;
}
