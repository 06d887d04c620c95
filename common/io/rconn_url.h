/* rconn_url: where a Redis is and how to log in there. Parsing only, no sockets. */
#ifndef COMMON_IO_RCONN_URL_H
#define COMMON_IO_RCONN_URL_H

#include "common/base/err.h"

/* sun_path holds 108 bytes with the NUL; hiredis 0.14.1 leaves its last byte unset. */
#define RCONN_PATH_MAX 106

struct rconn_url {
    char path[RCONN_PATH_MAX + 1]; /* unix socket; "" for TCP */
    char host[256];
    int port;
    int db;
    char user[128];     /* "" without one */
    char password[512]; /* "" without one */
};

/* Forms as in struct rconn_config; user, password and path may be percent-encoded. ERR_INVALID with `info`
 * saying what is wrong; the text never contains the password. */
enum err rconn_url_parse(const char *url, struct rconn_url *out, struct err_info *info) MUST_USE;

#endif
