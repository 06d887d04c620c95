/* Blocking sessions: pipelines, deadlines, and every error reply that is mapped, made by a real server. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <criterion/criterion.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/io/rconn.h"
#include "tests/support/redis.h"

static struct redis_server server;
static struct rsession *s;

static void set_up(void)
{
    redis_server_start(&server, NULL);
    s = redis_session(server.url);
}

static void tear_down(void)
{
    rsession_close(s);
    redis_server_stop(&server);
}

TestSuite(rsession, .init = set_up, .fini = tear_down, .timeout = 60);

static void wait_for_info(struct rsession *on, const char *section, const char *line)
{
    const int64_t deadline = clock_mono_ms() + 10000;
    char command[64];

    snprintf(command, sizeof(command), "INFO %s", section);
    while (strstr(redis_run(on, command)->s.p, line) == NULL)
        cr_assert_lt(clock_mono_ms(), deadline, "%s", line);
}

#define EXPECT_ERROR(session, command, expected, says)                                                                 \
    do {                                                                                                               \
        struct err_info info_ = {0};                                                                                   \
        cr_expect_eq(redis_try(session, command, &info_), expected, "%s: %s", command, info_.text);                    \
        cr_expect_not_null(strstr(info_.text, says), "%s: %s", command, info_.text);                                   \
    } while (0)

/* ---- errors ------------------------------------------------------------------------------------------ */

Test(rsession, a_full_server_refuses_to_add_but_lets_drain)
{
    redis_run(s, "XGROUP CREATE k g 0 MKSTREAM");
    redis_run(s, "XADD k 1-0 a b");
    redis_run(s, "CONFIG SET maxmemory 1");
    EXPECT_ERROR(s, "XADD k * a b", ERR_REDIS_FULL, "OOM");
    cr_expect_eq(redis_run(s, "XREADGROUP GROUP g c COUNT 1 STREAMS k >")->n, 1);
    cr_expect_eq(redis_run(s, "XACK k g 1-0")->i, 1);
    cr_expect_eq(redis_run(s, "XTRIM k MAXLEN 0")->i, 1);
    cr_expect(rsession_alive(s), "an error reply is not the end of the session");
}

Test(rsession, a_server_that_can_not_save_is_full)
{
    static const char *const options[] = {"--save", "3600 1", NULL};
    char path[128];

    tear_down();
    redis_server_start(&server, options);
    s = redis_session(server.url);
    /* A folder where the snapshot should be: the rename at the end of BGSAVE fails, also for root. */
    snprintf(path, sizeof(path), "%s/dump.rdb", server.dir);
    cr_assert_eq(mkdir(path, 0700), 0);
    redis_run(s, "BGSAVE");
    wait_for_info(s, "persistence", "rdb_last_bgsave_status:err");
    EXPECT_ERROR(s, "SET k v", ERR_REDIS_FULL, "MISCONF");
}

Test(rsession, too_few_replicas_is_full)
{
    redis_run(s, "CONFIG SET min-replicas-to-write 1");
    EXPECT_ERROR(s, "SET k v", ERR_REDIS_FULL, "NOREPLICAS");
}

Test(rsession, a_replica_ends_the_session_at_the_first_write)
{
    redis_run(s, "REPLICAOF 127.0.0.1 1");
    cr_expect_eq(redis_run(s, "EXISTS k")->i, 0);
    EXPECT_ERROR(s, "SET k v", ERR_REDIS_LOADING, "READONLY");
    cr_expect_not(rsession_alive(s));
    EXPECT_ERROR(s, "PING", ERR_CONN_LOST, "lost");
}

Test(rsession, a_replica_without_its_master_is_not_ready)
{
    redis_run(s, "CONFIG SET replica-serve-stale-data no");
    redis_run(s, "REPLICAOF 127.0.0.1 1");
    EXPECT_ERROR(s, "EXISTS k", ERR_REDIS_LOADING, "MASTERDOWN");
    cr_expect(rsession_alive(s));
}

/* Runs a command on a connection of its own while the test goes on. */
struct background {
    pthread_t thread;
    const char *command;
    enum err err;
    struct err_info info;
};

static void *run_in_background(void *arg)
{
    struct background *b = arg;
    struct rsession *own = redis_session(server.url);

    b->err = redis_try(own, b->command, &b->info);
    rsession_close(own);
    return NULL;
}

static void background_start(struct background *b, const char *command)
{
    *b = (struct background){.command = command};
    cr_assert_eq(pthread_create(&b->thread, NULL, run_in_background, b), 0);
}

static void background_end(struct background *b, enum err err, const char *says)
{
    pthread_join(b->thread, NULL);
    cr_expect_eq(b->err, err, "%s: %s", b->command, b->info.text);
    cr_expect_not_null(strstr(b->info.text, says), "%s: %s", b->command, b->info.text);
}

Test(rsession, a_server_busy_with_a_script_is_not_ready)
{
    const int64_t deadline = clock_mono_ms() + 10000;
    struct background script;
    struct err_info info = {0};

    redis_run(s, "CONFIG SET busy-reply-threshold 10");
    background_start(&script, "EVAL while(true)do\tend 0");
    while (redis_try(s, "EXISTS k", &info) == ERR_OK)
        cr_assert_lt(clock_mono_ms(), deadline);
    cr_expect_eq(info.code, ERR_REDIS_LOADING, "%s", info.text);
    cr_expect_not_null(strstr(info.text, "BUSY"), "%s", info.text);
    redis_run(s, "SCRIPT KILL");
    background_end(&script, ERR_REDIS, "killed");
}

Test(rsession, missing_streams_groups_and_scripts_have_their_own_codes)
{
    static const struct {
        const char *command;
        enum err err;
        const char *says;
    } cases[] = {
        {"XREADGROUP GROUP g c COUNT 1 STREAMS nokey >", ERR_REDIS_NOGROUP, "NOGROUP"},
        {"XREADGROUP GROUP nogroup c COUNT 1 STREAMS k >", ERR_REDIS_NOGROUP, "NOGROUP"},
        {"XPENDING k nogroup", ERR_REDIS_NOGROUP, "NOGROUP"},
        {"XAUTOCLAIM nokey g c 0 0-0", ERR_REDIS_NOGROUP, "NOGROUP"},
        {"XINFO CONSUMERS k nogroup", ERR_REDIS_NOGROUP, "NOGROUP"},
        {"XINFO GROUPS nokey", ERR_REDIS_NOGROUP, "no such key"},
        {"XINFO STREAM nokey", ERR_REDIS_NOGROUP, "no such key"},
        {"XGROUP CREATE k g 0", ERR_REDIS, "BUSYGROUP"},
        {"EVALSHA ffffffffffffffffffffffffffffffffffffffff 0", ERR_REDIS_NOSCRIPT, "NOSCRIPT"},
        {"AUTH nobody nothing", ERR_DENIED, "WRONGPASS"},
        {"XADD k 0-0 a b", ERR_REDIS, "greater than 0-0"},
        {"GET k", ERR_REDIS, "WRONGTYPE"},
        {"NOSUCH", ERR_REDIS, "unknown command"},
    };

    redis_run(s, "XGROUP CREATE k g 0 MKSTREAM");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        EXPECT_ERROR(s, cases[i].command, cases[i].err, cases[i].says);
    redis_run(s, "ACL SETUSER bob on nopass ~* +ping");
    redis_run(s, "AUTH bob x");
    EXPECT_ERROR(s, "SET k v", ERR_DENIED, "NOPERM");
}

Test(rsession, a_blocked_read_ends_when_its_group_goes)
{
    static const char *const ends[] = {"XGROUP DESTROY k g", "DEL k", "FLUSHALL", "SET k v"};

    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        struct background read;
        redis_run(s, "FLUSHALL");
        redis_run(s, "XGROUP CREATE k g 0 MKSTREAM");
        background_start(&read, "XREADGROUP GROUP g c COUNT 1 BLOCK 4000 STREAMS k >");
        wait_for_info(s, "clients", "blocked_clients:1");
        redis_run(s, ends[i]);
        background_end(&read, ERR_REDIS_NOGROUP, "");
    }
}

/* ---- pipelines and deadlines ------------------------------------------------------------------------- */

Test(rsession, pipelines_more_than_the_sockets_hold)
{
    enum { N = 60, SIZE = 500000 };
    char *big = mem_alloc(SIZE);
    const struct reply *replies[N];

    for (int i = 0; i < N; i++) {
        memset(big, 'a' + i % 26, SIZE);
        rsession_append(s, 2, (struct str[]){STR("ECHO"), {big, SIZE}});
    }
    for (int i = 0; i < N; i++)
        cr_assert_eq(rsession_read(s, &replies[i], NULL), ERR_OK);
    for (int i = 0; i < N; i++)
        cr_assert(replies[i]->s.n == SIZE && replies[i]->s.p[SIZE - 1] == 'a' + i % 26,
                  "reply %d is valid until the next append", i);
    mem_free(big);
}

Test(rsession, a_missed_deadline_ends_the_session)
{
    struct rsession *short_lived = NULL;
    const struct rconn_config config = {.url = server.url, .command_ms = 50};
    const struct reply *reply;
    int64_t start;

    cr_assert_eq(rsession_open(&config, &short_lived, NULL), ERR_OK);
    redis_server_freeze(&server);
    start = clock_mono_ms();
    for (int i = 0; i < 3; i++)
        rsession_append(short_lived, 1, (struct str[]){STR("PING")});
    cr_expect_eq(rsession_read(short_lived, &reply, NULL), ERR_TIMEOUT);
    cr_expect_geq(clock_mono_ms() - start, 50);
    cr_expect_eq(rsession_read(short_lived, &reply, NULL), ERR_CONN_LOST, "at once");
    cr_expect_eq(rsession_read(short_lived, &reply, NULL), ERR_CONN_LOST);
    cr_expect_null(reply);
    cr_expect_not(rsession_alive(short_lived));
    redis_server_thaw(&server);
    EXPECT_ERROR(short_lived, "PING", ERR_CONN_LOST, "lost earlier");
    rsession_close(short_lived);
    rsession_close(NULL);
}

Test(rsession, a_killed_server_ends_the_session)
{
    redis_server_kill(&server);
    EXPECT_ERROR(s, "PING", ERR_CONN_LOST, "closed the connection");
    cr_expect_not(rsession_alive(s));
}

Test(rsession, says_why_it_can_not_connect)
{
    struct rsession *none = NULL;
    struct err_info info = {0};
    char url[REDIS_URL_SIZE + 64];

    snprintf(url, sizeof(url), "unix://%s/nothing.sock", server.dir);
    cr_expect_eq(rsession_open(&(struct rconn_config){.url = url}, &none, &info), ERR_REFUSED);
    cr_expect_not_null(strstr(info.text, "nothing.sock"), "%s", info.text);
    cr_expect_null(none);
    cr_expect_eq(rsession_open(&(struct rconn_config){.url = "redis://127.0.0.1:1"}, &none, &info), ERR_REFUSED, "%s",
                 info.text);
    cr_expect_eq(rsession_open(&(struct rconn_config){.url = "http://x"}, &none, &info), ERR_INVALID);
    snprintf(url, sizeof(url), "%s?db=16", server.url);
    cr_expect_eq(rsession_open(&(struct rconn_config){.url = url}, &none, &info), ERR_REDIS);
    cr_expect_not_null(strstr(info.text, "out of range"), "%s", info.text);
}
