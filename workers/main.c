/* usher-worker: settings → worker → loop → exit code. First SIGTERM or SIGINT: drain; second: immediate. */
#include <signal.h>

#include "common/base/log.h"
#include "common/io/db.h"
#include "common/io/die.h"
#include "common/io/loop.h"
#include "common/io/settings.h"
#include "workers/worker.h"

#define CONNECT_MS 3000

struct process {
    struct worker *worker;
    int signals;
};

static void on_signal(void *arg, int signo)
{
    struct process *p = arg;
    log_info("worker.signal", L_INT("signal", signo));
    if (p->signals++ == 0)
        worker_drain(p->worker);
    else
        worker_immediate(p->worker);
}

/* A transaction pooler is found out at the start, once: the connections of the loop would only fail, again and again. A database that is
 * down is no reason to end, they try until it is up. */
static enum err refuse_pooler(const struct settings *s, struct err_info *info)
{
    const struct db_session_config config = {.url = s->database_url, .name = "usher-worker", .connect_ms = CONNECT_MS};
    struct db_session *db = NULL;
    enum err err = db_open(&config, &db, info);
    db_close(db);
    return err == ERR_STATE ? err : ERR_OK;
}

int main(int argc, char **argv)
{
    struct worker_settings settings;
    struct process program = {0};
    struct err_info info;
    int code = settings_start(&settings_worker, &settings, argc, argv);
    if (code >= 0)
        return code;
    die_init(settings.common.environment == SETTINGS_DEVELOPMENT);
    struct loop *loop = loop_new();
    if (refuse_pooler(&settings.common, &info) == ERR_OK)
        program.worker = worker_new(loop, &settings, &info);
    if (!program.worker) {
        log_error("worker.settings", L_STR("detail", info.text));
        code = SETTINGS_EXIT_CONFIG;
    } else {
        loop_on_signal(loop, SIGTERM, on_signal, &program);
        loop_on_signal(loop, SIGINT, on_signal, &program);
        loop_run(loop);
        code = program.worker->exit_code;
        worker_free(program.worker);
    }
    loop_free(loop);
    settings_free(&settings_worker, &settings);
    return code;
}
