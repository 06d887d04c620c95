/* Producers die: what they had been told was accepted is done, and of the rest nothing. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/core/envelope.h"
#include "tests/faults/cell.h"
#include "tests/support/redis.h"

#define A_TRANSACTION 3 /* jobs */
#define HOOK_JOB "select automation.enqueue_job(p_kind => 'hook', p_tenant => '" SYSTEM_TENANT "', p_job_id => '%s')"

/* What a producer tells of itself, over a pipe: so it is known also of one that is dead. */
enum word { ACCEPTED_JOB, ACCEPTED_ENTRY, IN_THE_MIDDLE };
struct told {
    enum word word;
    struct id id;
};

struct producer {
    pid_t pid;
    int from;
};

/* ---- the producer's own process ---- */

static void tell(int to, enum word word, const struct id *id)
{
    struct told t = {.word = word};

    if (id != NULL)
        t.id = *id;
    if (write(to, &t, sizeof(t)) != sizeof(t))
        _exit(1);
}

static void enqueue(struct db_session *s, struct id ids[A_TRANSACTION])
{
    char sql[256], text[ID_TEXT_SIZE];

    if (db_exec(s, "begin", NULL, NULL) != ERR_OK)
        _exit(1);
    for (int i = 0; i < A_TRANSACTION; i++) {
        id_new(&ids[i]);
        snprintf(sql, sizeof(sql), HOOK_JOB, id_format(&ids[i], text));
        if (db_exec(s, sql, NULL, NULL) != ERR_OK)
            _exit(1);
    }
}

static void transaction(struct db_session *s, int to)
{
    struct id ids[A_TRANSACTION];

    enqueue(s, ids);
    if (db_exec(s, "commit", NULL, NULL) != ERR_OK)
        _exit(1);
    for (int i = 0; i < A_TRANSACTION; i++)
        tell(to, ACCEPTED_JOB, &ids[i]);
}

static void entry(struct rsession *s, int to)
{
    static const struct str words[] = {STR("XADD"), STR(SYSTEM_IN), STR("*"), STR("kind"),
                                       STR("hook"), STR("payload"), STR("{}")};
    const struct reply *reply = NULL;
    struct id key;

    if (rsession_command(s, 7, words, &reply, NULL) != ERR_OK)
        _exit(1);
    envelope_log_id(STR(SYSTEM_IN), reply->s, words + 3, 4, &key);
    tell(to, ACCEPTED_ENTRY, &key);
}

static void in_a_transaction(int to)
{
    struct db_session *s = test_pg_session(&sys.pg);
    struct id ids[A_TRANSACTION];

    for (int i = cell_random(1, 10); i > 0; i--)
        transaction(s, to);
    enqueue(s, ids);
    tell(to, IN_THE_MIDDLE, NULL);
}

/* The bytes of an XADD but for the last, over a connection of their own. */
static void half_an_entry(void)
{
    static const char bytes[] =
        "*7\r\n$4\r\nXADD\r\n$20\r\n" SYSTEM_IN "\r\n$1\r\n*\r\n$4\r\nkind\r\n$4\r\nhook\r\n$7\r\n"
        "payload\r\n$2\r\n{}\r\n";
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    _Static_assert(sizeof(SYSTEM_IN) - 1 == 20, "as the bytes say");
    snprintf(a.sun_path, sizeof(a.sun_path), "%s/redis.sock", sys.redis.dir);
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0 ||
        write(fd, bytes, sizeof(bytes) - 2) != sizeof(bytes) - 2)
        _exit(1);
}

static void between_entries(int to)
{
    struct rsession *s = redis_session(sys.redis.url);

    for (int i = cell_random(1, 30); i > 0; i--)
        entry(s, to);
    half_an_entry();
    redis_run(s, "MULTI");
    redis_run(s, "XADD " SYSTEM_IN " * kind hook payload {}");
    tell(to, IN_THE_MIDDLE, NULL);
}

static void without_end(int to)
{
    struct db_session *db = test_pg_session(&sys.pg);
    struct rsession *redis = redis_session(sys.redis.url);

    while (true) {
        transaction(db, to);
        entry(redis, to);
    }
}

/* ---- the cell's side ---- */

static struct producer start(void (*produce)(int to))
{
    const pid_t parent = getpid();
    struct producer p;
    int ends[2];

    cr_assert_eq(pipe(ends), 0);
    p = (struct producer){fork(), ends[0]};
    cr_assert_geq(p.pid, 0);
    if (p.pid > 0) {
        close(ends[1]);
        return p;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    produce(ends[1]);
    while (true)
        (void)pause();
}

/* False: the producer has said its last. */
static bool hear(const struct producer *p, enum word *word)
{
    struct told t;

    if (read(p->from, &t, sizeof(t)) != sizeof(t))
        return false;
    *word = t.word;
    if (t.word != IN_THE_MIDDLE)
        cell_accepted(&t.id, t.word == ACCEPTED_ENTRY);
    return true;
}

static void end(struct producer *p)
{
    enum word word;

    cr_assert_eq(kill(p->pid, SIGKILL), 0);
    cr_assert_eq(waitpid(p->pid, NULL, 0), p->pid);
    while (hear(p, &word)) { /* what it was still told */
    }
    close(p->from);
}

static void dies_in_the_middle(void (*produce)(int to))
{
    cell_scheduler();
    cell_worker();
    for (int i = 0; i < 5; i++) {
        struct producer p = start(produce);
        enum word word = ACCEPTED_JOB;
        while (word != IN_THE_MIDDLE)
            cr_assert(hear(&p, &word), "the producer ended by itself");
        end(&p);
    }
    cell_mended();
    cell_recovers();
}

/* Its last transaction has enqueued, and is never committed. */
FAULT(producer_killed_in_transaction)
{
    dies_in_the_middle(in_a_transaction);
}

/* After an answer, with half of the next command sent, and another one queued in a MULTI. */
FAULT(producer_killed_between_entries)
{
    dies_in_the_middle(between_entries);
}

/* At any moment, both doors: of its last transaction and its last entry it may not have heard the answer. */
FAULT(producers_killed)
{
    enum word word;

    cell_scheduler();
    cell_worker();
    for (int i = 0; i < 10; i++) {
        struct producer p = start(without_end);
        for (int n = cell_random(1, 60); n > 0; n--)
            cr_assert(hear(&p, &word), "the producer ended by itself");
        end(&p);
        cell.in_doubt += A_TRANSACTION + 1;
    }
    cell_mended();
    cell_recovers();
}
