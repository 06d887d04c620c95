/* load: a season folder into the database: season.sql (the host application's side, from the sample season's folder),
 * then tenants, vendors, rules, weddings and events, one JSON
 * object a line. A bad line is reported as "file:line: message"; the rest loads, unless `strict` refuses all. */
#ifndef CLI_SEASON_LOAD_H
#define CLI_SEASON_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"

struct db_session;

#define SEASON_PATH_MAX 1024

struct settings;

/* The sample season's folder: examples/season beside the migrations, in the source tree and where it is installed. It
 * also holds season.sql
 * and the demo's mail relay and webhook receiver. */
enum err season_home(const struct settings *settings, char out[SEASON_PATH_MAX], struct err_info *info) MUST_USE;

struct season_counts {
    int64_t tenants, vendors, rules, weddings, events, bad;
};

typedef void (*season_report)(void *arg, const char *line);

/* ERR_OK also with bad lines when not strict; ERR_INVALID: strict and a line was bad (nothing is loaded); others: the
 * database or a
 * file that can not be read, see `info`. */
enum err season_load(struct db_session *db, const char *home, const char *dir, bool strict, season_report report,
                     void *arg, struct season_counts *counts, struct err_info *info) MUST_USE;

#endif
