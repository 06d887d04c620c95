/* wake: how other threads tell the duty thread that there may be work. A ring that comes while the duties run is not lost: the
 * next wait returns at once. */
#ifndef SCHEDULER_WAKE_H
#define SCHEDULER_WAKE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct wake {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool rung;
};

void wake_init(struct wake *w);
void wake_fini(struct wake *w);
void wake_ring(struct wake *w);
/* Returns when rung (true) or after timeout_ms, and takes the ring. */
bool wake_wait(struct wake *w, int64_t timeout_ms);

#endif
