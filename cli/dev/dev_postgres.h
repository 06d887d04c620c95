/* dev_postgres: the private PostgreSQL: its programs, its cluster in data/pg, its databases and logins. It listens on a unix
 * socket in data/run alone; whoever may enter that folder is trusted, and nobody else may. */
#ifndef CLI_DEV_DEV_POSTGRES_H
#define CLI_DEV_DEV_POSTGRES_H

#include <stdbool.h>

#include "cli/dev/dev_child.h"
#include "cli/dev/dev_folder.h"
#include "common/base/err.h"
#include "common/base/mem.h"

#define DEV_POSTGRES_DATABASE "usher"
#define DEV_POSTGRES_ADMIN "postgres"
#define DEV_POSTGRES_WORKER "usher_worker"
#define DEV_POSTGRES_SCHEDULER "usher_scheduler"

/* Makes the cluster if it is not there, and clears what a crash left (sockets, postmaster.pid). */
enum err dev_postgres_prepare(const struct dev_folder *f, struct err_info *info) MUST_USE;

/* How to start the server; what `spec` points to is in the arena. */
enum err dev_postgres_spec(const struct dev_folder *f, struct arena *arena, struct dev_child_spec *spec,
                           struct err_info *info) MUST_USE;

/* The address for a login and database, in the arena. */
const char *dev_postgres_url(const struct dev_folder *f, struct arena *arena, const char *login, const char *database);

/* One try to connect: ERR_OK when the server takes commands; ERR_DB_FEATURE when it is too old. */
enum err dev_postgres_ping(const struct dev_folder *f, struct err_info *info) MUST_USE;

/* Makes the database if it is not there. */
enum err dev_postgres_create_database(const struct dev_folder *f, struct err_info *info) MUST_USE;

/* Makes the programs' logins in the group roles of the migrations; *made is false where there are no such roles. */
enum err dev_postgres_create_logins(const struct dev_folder *f, bool *made, struct err_info *info) MUST_USE;

#endif
