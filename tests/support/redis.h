/* redis: Redis for tests: an empty database on the server that with-servers.sh started, or a private server
 * that a test may reconfigure, freeze, kill and restart. Failures here are none of the code under test:
 * they print and abort. */
#ifndef TESTS_SUPPORT_REDIS_H
#define TESTS_SUPPORT_REDIS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/io/rconn.h"

#define REDIS_URL_SIZE 256

/* The URL of an empty database of the shared server that no other running test uses. False, with the reason
 * printed, when no server was started: the test then returns (is skipped). */
bool redis_test_db(char url[REDIS_URL_SIZE]);

/* A private server on a unix socket in a folder of its own. It dies with this process. */
struct redis_server {
    pid_t pid; /* 0: not running */
    int port;  /* 0: unix socket only */
    const char *const *options;
    char dir[64];
    char url[REDIS_URL_SIZE]; /* unix:// */
};
/* `options`: further arguments such as "--maxmemory", "1gb", ended by NULL; borrowed while the server is
 * used; NULL for none. Persistence is off unless they say otherwise. Returns when the server answers. */
void redis_server_start(struct redis_server *s, const char *const *options);
void redis_server_start_tcp(struct redis_server *s, const char *const *options); /* also on 127.0.0.1, s->port */
void redis_server_freeze(struct redis_server *s); /* SIGSTOP: connections stay, nobody answers */
void redis_server_thaw(struct redis_server *s);
void redis_server_kill(struct redis_server *s);    /* SIGKILL; the folder stays */
void redis_server_restart(struct redis_server *s); /* in the same folder and at the same addresses, killed or not */
void redis_server_launch(struct redis_server *s);  /* the same for a killed one, without waiting until it answers */
void redis_server_stop(struct redis_server *s);    /* and removes the folder; {0} and stopped ones are fine */

/* A session with defaults; aborts when it can not be opened. */
struct rsession *redis_session(const char *url);
/* Runs a command given as text with blanks between the arguments; aborts on an error. */
const struct reply *redis_run(struct rsession *s, const char *command);
/* The same, for commands that are to fail: returns the error. */
enum err redis_try(struct rsession *s, const char *command, struct err_info *info);

#endif
