/* postgres: a private PostgreSQL server for tests that stop, kill or restart it. It dies with this process. Failures here are none of
 * the code under test: they print and abort. */
#ifndef TESTS_SUPPORT_POSTGRES_H
#define TESTS_SUPPORT_POSTGRES_H

#include <stddef.h>
#include <sys/types.h>

struct postgres {
    pid_t pid;                  /* 0: not running */
    int port;                   /* 0: unix socket only */
    const char *const *options; /* of the server, beyond ours */
    char dir[64];
    char url[256]; /* of the database `postgres`, as a superuser */
};

/* A fresh cluster on a unix socket in a folder of its own, fsync on. As root it runs as nobody. Returns when it answers; from then on
 * tests/support/pg.h makes its databases there (USHER_TEST_DATABASE_URL is set in this process). */
void postgres_start(struct postgres *p);
/* `options`: further arguments such as "-c", "shared_buffers=1GB", ended by NULL; borrowed while the server is used. */
void postgres_start_with(struct postgres *p, const char *const *options);
/* The same on 127.0.0.1, to which its URL then leads. */
void postgres_start_tcp(struct postgres *p, const char *const *options);
void postgres_halt(struct postgres *p); /* immediate shutdown, as a crash of the server: sessions end, the next start recovers */
void postgres_restart(struct postgres *p); /* halts it if need be; returns when it answers */
void postgres_stop(struct postgres *p);    /* and removes the folder; {0} is fine */

/* For servers beside it: a folder (tests/support/folder.h) and a program in it, with the same user and end as the server's. What the
 * program prints goes to `log` there. */
void postgres_folder(const char *kind, char *out, size_t size);
pid_t postgres_spawn(const char *dir, const char *path, const char *const *args);

#endif
