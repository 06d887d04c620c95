/* load: a season folder into the database: season.sql (the host application's side), then tenants, vendors, rules, weddings and events, one JSON
 * object a line. A bad line is reported as "file:line: message"; the rest loads, unless `strict` refuses all. */
#ifndef CLI_SEASON_LOAD_H
#define CLI_SEASON_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"

struct db_session;

struct season_counts {
    int64_t tenants, vendors, rules, weddings, events, bad;
};

typedef void (*season_report)(void *arg, const char *line);

/* ERR_OK also with bad lines when not strict; ERR_INVALID: strict and a line was bad (nothing is loaded); others: the database or a
 * file that can not be read, see `info`. */
enum err season_load(struct db_session *db, const char *dir, bool strict, season_report report, void *arg, struct season_counts *counts,
                     struct err_info *info) MUST_USE;

#endif
