/* queue_bare: see queue_bare.h. */
#include "tests/bench/queue_bare.h"

#include <hiredis/hiredis.h>
#include <libpq-fe.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "tests/bench/queue_env.h"

static redisContext *open_redis(void)
{
    redisContext *c = redisConnectUnix(queue_env.redis.url + strlen("unix://"));

    if (c == NULL || c->err)
        _exit(1);
    return c;
}

static void read_entries(const char *key, int to)
{
    redisContext *c = open_redis();

    for (;;) {
        redisReply *r = redisCommand(c, "XREADGROUP GROUP workers bare COUNT 1 BLOCK 2000 STREAMS %s >", key);
        int64_t now_us = clock_wall_us();
        if (r == NULL)
            _exit(1);
        if (r->type == REDIS_REPLY_ARRAY) {
            if (write(to, &now_us, sizeof(now_us)) != (ssize_t)sizeof(now_us))
                _exit(0);
            redisReply *ack =
                redisCommand(c, "XACK %s workers %s", key, r->element[0]->element[1]->element[0]->element[0]->str);
            freeReplyObject(ack);
        }
        freeReplyObject(r);
    }
}

static void add_due(redisContext *c, PGconn *pg)
{
    static const char due[] =
        "select job_id from automation_priv.ledger where queue = 'default' and due_at <= now() and owner is null";
    PGresult *r = PQexec(pg, due);

    for (int i = 0; i < PQntuples(r); i++) {
        freeReplyObject(redisCommand(c, "XADD %s * job %s n 0", QUEUE_ENV_Q, PQgetvalue(r, i, 0)));
        PQclear(PQexec(pg, "delete from automation_priv.ledger")); /* or it would be added again */
    }
    PQclear(r);
}

static void lead(void)
{
    redisContext *c = open_redis();
    PGconn *pg = PQconnectdb(queue_env.pg.url);

    PQclear(PQexec(pg, "listen automation_wake"));
    for (;;) {
        struct pollfd p = {.fd = PQsocket(pg), .events = POLLIN};
        PGnotify *n;
        bool rung = false;
        if (poll(&p, 1, 1000) < 0 || !PQconsumeInput(pg))
            _exit(1);
        while ((n = PQnotifies(pg)) != NULL) {
            PQfreemem(n);
            rung = true;
        }
        if (rung)
            add_due(c, pg);
    }
}

static pid_t child(struct queue_bare *b)
{
    const pid_t parent = getpid();
    pid_t pid = fork();

    if (pid == 0 && (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent))
        _exit(1);
    if (pid > 0)
        b->pids[b->n++] = pid;
    return pid;
}

void queue_bare_start(struct queue_bare *b, bool ledger)
{
    int fds[2];

    *b = (struct queue_bare){.n = 0};
    if (pipe(fds) != 0)
        queue_env_die("pipe", "no more files");
    b->from = fds[0];
    if (child(b) == 0)
        read_entries(ledger ? QUEUE_ENV_Q : QUEUE_ENV_IN, fds[1]);
    if (ledger && child(b) == 0)
        lead();
    close(fds[1]);
    (void)poll(NULL, 0, 300);
}

int64_t queue_bare_next(struct queue_bare *b)
{
    int64_t us = 0;

    if (read(b->from, &us, sizeof(us)) != (ssize_t)sizeof(us))
        queue_env_die("bare loop", "ended");
    return us;
}

void queue_bare_stop(struct queue_bare *b)
{
    for (int i = 0; i < b->n; i++) {
        kill(b->pids[i], SIGKILL);
        waitpid(b->pids[i], NULL, 0);
    }
    close(b->from);
}
