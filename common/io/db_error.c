/* db_error: SQLSTATE and libpq failures become enum err here and nowhere else. The server's report is shortened to one line
 * "message (SQLSTATE) DETAIL … HINT …". */
#include "common/io/db_private.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <libpq-fe.h>

#include "common/base/str.h"

struct rule {
    const char *prefix;
    enum err code;
};

/* The first match counts, so exceptions stand before their class. */
static const struct rule rules[] = {
    {"08P01", ERR_DB}, /* protocol violation: wrong parameters are our mistake, no lost connection */
    {"08", ERR_CONN_LOST},     {"57P01", ERR_CONN_LOST}, /* admin_shutdown */
    {"57P02", ERR_CONN_LOST},                            /* crash_shutdown */
    {"57P03", ERR_CONN_LOST},                            /* cannot_connect_now */
    {"57014", ERR_TIMEOUT},                              /* query_canceled */
    {"23505", ERR_DB_UNIQUE},  {"22", ERR_DB_DATA},      {"23", ERR_DB_DATA},
    {"54", ERR_DB_DATA},    /* program_limit_exceeded: too large, too deep */
    {"40001", ERR_DB_LOCK}, /* serialization_failure */
    {"40P01", ERR_DB_LOCK}, /* deadlock_detected */
    {"55P03", ERR_DB_LOCK}, /* lock_not_available */
    {"0A000", ERR_DB_FEATURE}, {"42501", ERR_DENIED},    {"28", ERR_DENIED}, /* wrong password, no pg_hba entry */
    {"53", ERR_BUSY},                                 /* too many connections, disk full, out of memory */
    {"42", ERR_DB_BROKEN},                            /* no such table, function, column; a syntax error */
    {"3D", ERR_DB_BROKEN},     {"3F", ERR_DB_BROKEN}, /* no such database, no such schema */
    {"58", ERR_DB_BROKEN},     {"XX", ERR_DB_BROKEN}, /* system error; internal error, damaged data */
    {"P0002", ERR_NOTFOUND},   {"U0001", ERR_STATE},     {"U0002", ERR_STATE},
};

enum err db_error_code(const char *sqlstate)
{
    if (!sqlstate || !sqlstate[0])
        return ERR_CONN_LOST;
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
        if (strncmp(sqlstate, rules[i].prefix, strlen(rules[i].prefix)) == 0)
            return rules[i].code;
    return ERR_DB;
}

void db_error_flatten(char *text)
{
    size_t n = strlen(text);
    while (n > 0 && isspace((unsigned char)text[n - 1]))
        text[--n] = '\0';
    for (char *p = text; *p; p++)
        if (*p == '\n' || *p == '\t' || *p == '\r')
            *p = ' ';
}

static void one_line(char *out, size_t size, const char *text)
{
    str_copy(out, size, text);
    db_error_flatten(out);
}

static bool is_fatal(const PGresult *res)
{
    const char *severity = PQresultErrorField(res, PG_DIAG_SEVERITY_NONLOCALIZED);
    return severity && (strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0);
}

bool db_error_stale_plan(const struct pg_result *res)
{
    const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
    if (!state)
        return false;
    if (strcmp(state, "26000") == 0)
        return true;
    const char *function = PQresultErrorField(res, PG_DIAG_SOURCE_FUNCTION);
    return strcmp(state, "0A000") == 0 && function && strcmp(function, "RevalidateCachedQuery") == 0;
}

enum err db_error_result(const struct pg_result *res, struct err_info *info)
{
    const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
    const char *message = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);
    const char *detail = PQresultErrorField(res, PG_DIAG_MESSAGE_DETAIL);
    const char *hint = PQresultErrorField(res, PG_DIAG_MESSAGE_HINT);
    char text[ERR_TEXT_SIZE];
    one_line(text, sizeof(text), message ? message : PQresultErrorMessage(res));
    enum err code = db_error_code(state);
    if (is_fatal(res))
        code = ERR_CONN_LOST;
    else if (db_error_stale_plan(res))
        code = ERR_DB_LOCK; /* a migration came between: the same call works when it is made again */
    err_set(info, code, "%s%s%s%s%s%s%s%s", text, state ? " (" : "", state ? state : "", state ? ")" : "",
            detail ? " DETAIL " : "", detail ? detail : "", hint ? " HINT " : "", hint ? hint : "");
    if (info)
        db_error_flatten(info->text);
    return code;
}

/* Finds "…:  28P01: text" in libpq's verbose report of a refused connect. */
static const char *find_sqlstate(const char *text, char state[6])
{
    for (const char *p = strstr(text, ":  "); p; p = strstr(p + 1, ":  ")) {
        size_t n = strspn(p + 3, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ");
        if (n == 5 && p[8] == ':') {
            str_copy_n(state, 6, p + 3, 5);
            return p + 10;
        }
    }
    return NULL;
}

enum err db_error_connection(const struct pg_conn *pg, struct err_info *info)
{
    const char *whole = PQerrorMessage(pg);
    char state[6] = "";
    char text[ERR_TEXT_SIZE];
    const char *message = find_sqlstate(whole, state);
    if (!message) {
        one_line(text, sizeof(text), whole[0] ? whole : "connection lost");
        return err_set(info, ERR_CONN_LOST, "%s", text);
    }
    const char *end = strchr(message, '\n');
    char line[ERR_TEXT_SIZE];
    str_copy_n(line, sizeof(line), message, end ? (size_t)(end - message) : strlen(message));
    return err_set(info, db_error_code(state), "%s (%s)", line, state);
}

enum err db_error_commit(const char *sql, const struct pg_result *res, struct err_info *info)
{
    bool commit = strncasecmp(sql, "COMMIT", 6) == 0;
    if (commit && res && strcmp(PQcmdStatus((PGresult *)(uintptr_t)res), "ROLLBACK") == 0)
        return err_set(info, ERR_DB, "the transaction had failed before: COMMIT rolled it back");
    return ERR_OK;
}
