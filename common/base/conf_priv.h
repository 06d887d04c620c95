/* conf_priv: what conf.c (loading), conf_value.c (parsing) and conf_show.c (showing) share. For these three only. */
#ifndef COMMON_BASE_CONF_PRIV_H
#define COMMON_BASE_CONF_PRIV_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/conf.h"

/* The variable of a setting: its `env`, or USHER_ and the name in capitals. Returns out. */
#define CONF_ENV_SIZE 96
const char *conf_env_name(const struct conf_key *key, char out[CONF_ENV_SIZE]);

/* "an integer from 1 to 64", "one of auto, json": what a setting allows. */
void conf_put_allowed(const struct conf_key *key, struct buf *out);

/* The text as it may be shown: secrets as ***, passwords inside URLs and connection strings as ***. */
void conf_put_shown(const struct conf_key *key, const char *text, struct buf *out);

/* Stores the value of `text` in the key's field of `settings`; false, and the field untouched, when it is not allowed. */
bool conf_store(const struct conf_key *key, const char *text, void *settings) MUST_USE;

/* Sets the field to zero or NULL; frees nothing. */
void conf_clear(const struct conf_key *key, void *settings);

/* Where row `i` of the settings came from ("--workers", "USHER_WORKERS", "default" …); "" when conf_load never saw them. */
const char *conf_origin(const void *settings, size_t i);

#endif
