/* listen: see listen.h.
 *
 * Failures: a lost connection is opened again after a second; what was said meanwhile the poll finds. */
#include "scheduler/listen.h"

#include <string.h>

#include "common/base/log.h"
#include "common/io/db.h"
#include "common/io/queue.h"
#include "common/io/rconn.h"

#define RETRY_MS 1000
#define NOTIFY_WAIT_MS 500  /* how long stopping may take */
#define SUBSCRIBED_MS 10000 /* a silent subscription is made anew: a half-open connection says nothing either */
#define CONNECT_MS 3000

static void listen_db_once(struct listen *l)
{
    const struct db_session_config config = {
        .url = l->settings->common.database_url ? l->settings->common.database_url : "",
        .name = "usher-scheduler listen",
        .connect_ms = CONNECT_MS,
    };
    struct err_info info = {0};
    struct db_session *s = NULL;
    enum err err = db_open(&config, &s, &info);

    if (err == ERR_OK)
        err = db_exec(s, "listen automation_wake", NULL, &info);
    while (err == ERR_OK && !atomic_load(&l->stop) && db_alive(s)) {
        if (db_wait_notify(s, NOTIFY_WAIT_MS))
            wake_ring(l->wake);
    }
    if (err != ERR_OK)
        log_debug("listen.postgres", L_ERR(err), L_STR("reason", info.text));
    db_close(s);
}

static void *listen_db(void *arg)
{
    struct listen *l = arg;

    while (!atomic_load(&l->stop)) {
        listen_db_once(l);
        if (!atomic_load(&l->stop))
            (void)wake_wait(&l->pause_db, RETRY_MS);
    }
    return NULL;
}

static struct rsession *open_redis(const struct listen *l, int64_t command_ms)
{
    const struct rconn_config config = {
        .url = l->settings->common.redis_url,
        .name = "usher-scheduler listen",
        .connect_ms = CONNECT_MS,
        .command_ms = command_ms,
    };
    struct err_info info = {0};
    struct rsession *s = NULL;

    if (rsession_open(&config, &s, &info) != ERR_OK) {
        log_debug("listen.redis", L_STR("reason", info.text));
        return NULL;
    }
    return s;
}

static enum err listen_redis_once(struct listen *l)
{
    struct rsession *s = open_redis(l, SUBSCRIBED_MS);
    const struct reply *reply = NULL;
    struct err_info info = {0};
    enum err err = ERR_CONN_LOST;

    if (s == NULL)
        return err;
    err = rsession_command(s, 2, (struct str[]){STR("SUBSCRIBE"), STR(QUEUE_CHANNEL_WAKE)}, &reply, &info);
    wake_ring(l->wake); /* what was said before we listened */
    while (err == ERR_OK && !atomic_load(&l->stop)) {
        err = rsession_receive(s, &reply, &info);
        if (err == ERR_OK)
            wake_ring(l->wake);
    }
    rsession_close(s);
    return err;
}

static void *listen_redis(void *arg)
{
    struct listen *l = arg;

    while (!atomic_load(&l->stop)) {
        enum err err = listen_redis_once(l);
        if (err != ERR_TIMEOUT && !atomic_load(&l->stop))
            (void)wake_wait(&l->pause_redis, RETRY_MS);
    }
    return NULL;
}

void listen_start(struct listen *l, const struct scheduler_settings *settings, struct wake *wake)
{
    memset(l, 0, sizeof(*l));
    l->settings = settings;
    l->wake = wake;
    wake_init(&l->pause_db);
    wake_init(&l->pause_redis);
    l->started =
        pthread_create(&l->db, NULL, listen_db, l) == 0 && pthread_create(&l->redis, NULL, listen_redis, l) == 0;
}

/* The thread that waits for Redis is woken by its own channel. When Redis is gone it waits for nothing. */
static void say_something(struct listen *l)
{
    struct rsession *s = open_redis(l, CONNECT_MS);
    const struct reply *reply = NULL;

    if (s != NULL && rsession_command(s, 3, (struct str[]){STR("PUBLISH"), STR(QUEUE_CHANNEL_WAKE), STR("stop")},
                                      &reply, NULL) != ERR_OK)
        log_debug("listen.stop", L_STR("reason", "PUBLISH failed"));
    rsession_close(s);
}

void listen_stop(struct listen *l)
{
    atomic_store(&l->stop, true);
    wake_ring(&l->pause_db);
    wake_ring(&l->pause_redis);
    if (l->started) {
        say_something(l);
        pthread_join(l->db, NULL);
        pthread_join(l->redis, NULL);
    }
    wake_fini(&l->pause_db);
    wake_fini(&l->pause_redis);
}
