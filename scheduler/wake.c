/* wake: see wake.h. */
#include "scheduler/wake.h"

#include <time.h>

#define MS_PER_S 1000
#define NS_PER_MS 1000000L
#define NS_PER_S 1000000000L

void wake_init(struct wake *w)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->changed, &attr);
    pthread_condattr_destroy(&attr);
    w->rung = false;
}

void wake_fini(struct wake *w)
{
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->lock);
}

void wake_ring(struct wake *w)
{
    pthread_mutex_lock(&w->lock);
    w->rung = true;
    pthread_cond_signal(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

bool wake_wait(struct wake *w, int64_t timeout_ms)
{
    struct timespec until;
    bool rung;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(timeout_ms / MS_PER_S);
    until.tv_nsec += (long)(timeout_ms % MS_PER_S) * NS_PER_MS;
    if (until.tv_nsec >= NS_PER_S) {
        until.tv_sec++;
        until.tv_nsec -= NS_PER_S;
    }
    pthread_mutex_lock(&w->lock);
    while (!w->rung && pthread_cond_timedwait(&w->changed, &w->lock, &until) == 0)
        continue;
    rung = w->rung;
    w->rung = false;
    pthread_mutex_unlock(&w->lock);
    return rung;
}
