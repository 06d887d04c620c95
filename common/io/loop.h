/* loop: one libuv event loop per process, timers, signals and wake-ups from other threads. libuv itself is
 * seen by common/io/ only: other files of that folder get the raw loop with loop_uv(). */
#ifndef COMMON_IO_LOOP_H
#define COMMON_IO_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"

struct loop;

/* Also makes the process ignore SIGPIPE, unless it handles it. */
struct loop *loop_new(void);
/* Runs until no handle is left or loop_stop was called. Signals and posts alone do not keep it running. */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);
/* Runs what is ready without blocking (tests); returns true while handles are alive. */
bool loop_turn(struct loop *loop);
/* Closes what is left and frees. Returns the number of handles that their owners had forgotten: 0 is the
 * only good answer (tests fail on others). */
int loop_free(struct loop *loop);
int64_t loop_now_ms(const struct loop *loop); /* monotonic, read once per turn */
void *loop_uv(struct loop *loop);             /* uv_loop_t * */

/* Calls cb(arg, signo) on the loop at every `signo` from now on, until loop_free. */
void loop_on_signal(struct loop *loop, int signo, void (*cb)(void *arg, int signo), void *arg);

/* The only call that other threads may make: runs cb(arg) on the loop soon. */
void loop_post(struct loop *loop, void (*cb)(void *arg), void *arg);

/* Timers are heap objects; the callback may free its own timer. */
struct timer;
struct timer *timer_new(struct loop *loop, void (*cb)(void *arg), void *arg);
void timer_start(struct timer *t, int64_t after_ms, int64_t repeat_ms); /* repeat_ms = 0: once; restarts a running one */
void timer_stop(struct timer *t);
bool timer_active(const struct timer *t);
void timer_free(struct timer *t); /* NULL is fine */

#endif
