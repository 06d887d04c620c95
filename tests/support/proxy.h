/* proxy: stands between programs and a server on a unix socket, and does to their bytes what networks do. */
#ifndef TESTS_SUPPORT_PROXY_H
#define TESTS_SUPPORT_PROXY_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#define PROXY_PATH_SIZE 104

enum proxy_mode {
    PROXY_PASS,
    PROXY_SPLIT, /* replies come in pieces of 1 to 7 bytes */
    PROXY_HOLD,  /* half-open: connections stand, new ones too, and nothing comes through in either direction */
    PROXY_CUT,   /* each connection ends in the middle of its next reply */
    PROXY_RESET  /* a held connection is given `last_words`, then reset */
};

struct proxy {
    char dir[32];
    char from[PROXY_PATH_SIZE]; /* the socket that it listens on, in `dir` */
    char to[PROXY_PATH_SIZE];
    int listening;
    pthread_t thread;
    _Atomic enum proxy_mode mode;
    _Atomic enum proxy_mode in_force;
    atomic_bool stop;
    uint64_t random;
    const char *last_words; /* text */
    size_t n_last_words;
};

/* `name` is the socket's name in a folder of its own; `to` the server's. Failures end the program. */
void proxy_start(struct proxy *p, const char *name, const char *to, uint64_t seed);
void proxy_set(struct proxy *p, enum proxy_mode mode); /* in force within 20 ms */
void proxy_hold(struct proxy *p);                      /* PROXY_HOLD, and in force when this returns */
void proxy_stop(struct proxy *p);                      /* {0} is fine */

#endif
