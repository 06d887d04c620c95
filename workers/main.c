/* usher-worker: settings → worker → loop → exit code. First SIGTERM or SIGINT: drain; second: immediate. */
#include <signal.h>

#include "common/base/log.h"
#include "common/io/die.h"
#include "common/io/loop.h"
#include "common/io/settings.h"
#include "workers/worker.h"

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
