/* pg: databases for tests, on the private server that tests/support/with-servers.sh has started. */
#ifndef TESTS_SUPPORT_PG_H
#define TESTS_SUPPORT_PG_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "common/io/db.h"

struct test_pg {
    char name[64];
    char url[512];
};

/* False, with the reason printed, when no server was started: the test then returns (is skipped). */
bool test_pg_available(void);

/* A fresh database of a name nobody else has; a copy of `template` (NULL: of an empty one). Failures end the test. */
void test_pg_create(struct test_pg *pg, const char *template);
/* The same with all files of migrations/ applied. They run once per server; the result is then copied. The current folder
 * is the repository's root, as everywhere in the tests. */
void test_pg_create_migrated(struct test_pg *pg);
/* Ends the database's sessions and drops it. */
void test_pg_drop(struct test_pg *pg);

/* A blocking session with defaults; ends the test when it can not be opened. */
struct db_session *test_pg_session(const struct test_pg *pg);
/* Runs a text of statements over a session of its own; ends the test when one fails. */
void test_pg_run(const struct test_pg *pg, const char *sql);
/* The same in the server's own database, for what is not possible from inside (ALTER DATABASE). */
void test_pg_run_server(const char *sql);
/* The first column of the first row as int8, "select …" without parameters; ends the test on an error or no row. */
int64_t test_pg_i64(const struct test_pg *pg, const char *sql);

/* A text of statements that runs beside the test, over a session of the test's. */
struct test_pg_beside {
    struct db_session *s;
    const char *sql;
    pthread_t thread;
    atomic_bool done;
    enum err err;
    struct err_info info;
};
/* Returns when another session makes it wait, or when it has ended. `b` and what it points to stay until the join. */
void test_pg_beside(const struct test_pg *pg, struct test_pg_beside *b);
/* Waits for its end: err and info then tell how it ended. */
void test_pg_join(struct test_pg_beside *b);

#endif
