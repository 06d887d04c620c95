/* db_conninfo: the URL taken apart, our settings added. Names are told from addresses here, so that a connection on the
 * loop can ask name service without blocking; a `service=` file that holds the host is not seen and resolved by libpq. */
#include "common/io/db_private.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <libpq-fe.h>

#include "common/base/log.h"

/* How soon the server notices in the middle of a statement that our process is gone, and lets its locks go. */
#define CHECK_INTERVAL_MS 1000
/* A process that is frozen in the middle of a transaction keeps its connection, and would hold its rows for ever: less than a
 * worker's lease, so that others can take them over in time. */
#define IDLE_IN_TRANSACTION_MS 10000

struct fallback {
    const char *key;
    const char *value;
};

/* Where the URL says nothing else: a peer that vanished is noticed within about half a minute on an idle connection too. */
static const struct fallback fallbacks[] = {
    {"keepalives_idle", "10"},
    {"keepalives_interval", "5"},
    {"keepalives_count", "3"},
    {"tcp_user_timeout", "25000"},
};

static const char *value_of(const struct db_conninfo *ci, const char *key)
{
    for (int i = 0; i < ci->n; i++)
        if (strcmp(ci->keys[i], key) == 0)
            return ci->values[i];
    return NULL;
}

static void set_value(struct db_conninfo *ci, const char *key, const char *value)
{
    int i = 0;
    while (i < ci->n && strcmp(ci->keys[i], key) != 0)
        i++;
    if (i >= DB_CONNINFO_MAX - 1)
        return;
    ci->keys[i] = arena_strdup(&ci->arena, key);
    ci->values[i] = arena_strdup(&ci->arena, value);
    if (i == ci->n)
        ci->n++;
}

enum err db_conninfo_load(struct db_conninfo *ci, const char *url, const char *name, struct err_info *info)
{
    PQconninfoOption *options = PQconninfoParse(url ? url : "", NULL);
    if (!options)
        return err_set(
            info, ERR_INVALID,
            "the database URL is neither postgresql://user:password@host:port/name (special characters of the "
            "password percent-encoded) nor key=value text");
    for (const PQconninfoOption *o = options; o->keyword; o++)
        if (o->val)
            set_value(ci, o->keyword, o->val);
    PQconninfoFree(options);
    for (size_t i = 0; i < sizeof(fallbacks) / sizeof(fallbacks[0]); i++)
        if (!value_of(ci, fallbacks[i].key))
            set_value(ci, fallbacks[i].key, fallbacks[i].value);
    set_value(ci, "client_encoding", "UTF8");
    if (name)
        set_value(ci, "application_name", name);
    return ERR_OK;
}

void db_conninfo_free(struct db_conninfo *ci)
{
    arena_free(&ci->arena);
    ci->n = 0;
}

bool db_conninfo_is_name(const struct db_host *host)
{
    unsigned char addr[sizeof(struct in6_addr)];
    if (host->host[0] == '\0' || host->host[0] == '/' || host->host[0] == '@' || host->addr[0])
        return false;
    return inet_pton(AF_INET, host->host, addr) != 1 && !strchr(host->host, ':');
}

static const char *value_or_env(const struct db_conninfo *ci, const char *key, const char *variable)
{
    const char *value = value_of(ci, key);
    return value ? value : getenv(variable);
}

/* The i-th piece of a comma-separated list; a list of one piece is the same for every host, as in libpq. */
static const char *piece(struct db_conninfo *ci, const char *list, int i)
{
    if (!list || !strchr(list, ','))
        return list ? list : "";
    for (; i > 0; i--) {
        list = strchr(list, ',');
        if (!list)
            return "";
        list++;
    }
    return arena_strndup(&ci->arena, list, strcspn(list, ","));
}

int db_conninfo_hosts(struct db_conninfo *ci, struct db_host hosts[DB_MAX_HOSTS])
{
    const char *names = value_or_env(ci, "host", "PGHOST");
    const char *addrs = value_or_env(ci, "hostaddr", "PGHOSTADDR");
    const char *ports = value_or_env(ci, "port", "PGPORT");
    if (!names || (addrs && addrs[0]))
        return 0;
    int n = 1;
    for (const char *p = names; *p; p++)
        n += *p == ',';
    if (n > DB_MAX_HOSTS)
        return 0;
    bool any_name = false;
    for (int i = 0; i < n; i++) {
        hosts[i] = (struct db_host){piece(ci, names, i), piece(ci, ports, i), ""};
        any_name = any_name || db_conninfo_is_name(&hosts[i]);
    }
    return any_name ? n : 0;
}

static void join(struct arena *arena, const char **list, const char *value, bool first)
{
    *list = first ? value : arena_printf(arena, "%s,%s", *list, value);
}

/* A notice goes to the log: libpq would print it to standard error. */
static void on_notice(void *arg, const PGresult *res)
{
    (void)arg;
    const char *text = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);
    const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
    const char *severity = PQresultErrorField(res, PG_DIAG_SEVERITY_NONLOCALIZED);
    if (severity && strcmp(severity, "FATAL") == 0) /* the server ends an idle connection */
        log_warn("db.ended", L_STR("text", text), L_STR("sqlstate", state));
    else
        log_debug("db.notice", L_STR("text", text), L_STR("sqlstate", state));
}

struct pg_conn *db_conninfo_start(const struct db_conninfo *ci, const struct db_host *hosts, int n)
{
    struct db_conninfo use = {.n = ci->n};
    memcpy(use.keys, ci->keys, sizeof(use.keys));
    memcpy(use.values, ci->values, sizeof(use.values));
    const char *names = NULL;
    const char *addrs = NULL;
    const char *ports = NULL;
    for (int i = 0; i < n; i++) {
        join(&use.arena, &names, hosts[i].host, i == 0);
        join(&use.arena, &addrs, hosts[i].addr, i == 0);
        join(&use.arena, &ports, hosts[i].port, i == 0);
    }
    if (n > 0) {
        set_value(&use, "host", names);
        set_value(&use, "hostaddr", addrs);
        set_value(&use, "port", ports);
    }
    use.keys[use.n] = NULL;
    use.values[use.n] = NULL;
    PGconn *pg = PQconnectStartParams(use.keys, use.values, 0);
    if (pg) {
        PQsetNoticeReceiver(pg, on_notice, NULL);
        PQsetErrorVerbosity(pg, PQERRORS_VERBOSE); /* the only way to the SQLSTATE of a refused connect */
    }
    arena_free(&use.arena);
    return pg;
}

void db_conninfo_started(struct pg_conn *pg)
{
    PQsetErrorVerbosity(pg, PQERRORS_DEFAULT);
    PQsetnonblocking(pg, 1);
}

const char *db_conninfo_setup(struct pg_conn *pg, struct arena *arena, int64_t statement_ms, const char *role)
{
    const char *sql = arena_printf(
        arena,
        "SET TimeZone='UTC'; SET jit=off; SET DateStyle='ISO, MDY'; SET client_connection_check_interval=%d; "
        "SET idle_in_transaction_session_timeout=%d; SET statement_timeout=%" PRId64,
        CHECK_INTERVAL_MS, IDLE_IN_TRANSACTION_MS, statement_ms);
    if (!role || !role[0])
        return sql;
    char *quoted = PQescapeIdentifier(pg, role, strlen(role));
    if (!quoted)
        return NULL;
    sql = arena_printf(arena, "%s; SET ROLE %s", sql, quoted);
    PQfreemem(quoted);
    return sql;
}
