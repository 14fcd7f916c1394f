/* What a program may say about one call, whatever the call does: when it is to end, and who is told how it
 * goes. Each params struct of a call that may take long points to an rp_call. */
#ifndef REPRISE_CALL_H
#define REPRISE_CALL_H

#include <stddef.h>
#include <stdint.h>

#include "status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How much a log message matters. */
typedef enum rp_log_level {
    RP_LOG_NOTE =
        0,          /* for whoever looks into something, such as a kernel that an earlier start passed over */
    RP_LOG_WARNING, /* for the user: something does not work, and costs time, or may come again */
} rp_log_level;

/* One call, as its caller sees it. The zero value asks for nothing. The caller owns it and keeps it until the
 * call has returned; one rp_call may serve many calls, one after another or at the same time.
 *
 * The callbacks. The library calls `progress` on the thread that made the call. It calls `log` on the thread
 * that found what it reports: nearly always the thread that made the call, too. It holds no lock meanwhile,
 * except that `log` may stand in the way of other calls on the same device: `log` should return soon and
 * call nothing of this library. `progress` may call whatever it likes, except that a call of the library that
 * closes the model or the device that this call uses returns RP_ERROR_ARGUMENT and closes nothing. */
typedef struct rp_call {
    double deadline; /* seconds of rp_clock: where it has come, the call ends with RP_ERROR_DEADLINE. Write
                        rp_clock() + 2 for two seconds from now; the same value may serve several calls.
                        0: none. More than ten years from now, or NaN, is RP_ERROR_ARGUMENT: it is a value of
                        another clock */
    void (*progress)(void *user, size_t done, size_t total); /* so many of the inputs are done: called after
                        each batch that finished one, and with done == total before a call returns RP_OK.
                        `done` grows from one to the next, so a call without inputs makes none. NULL: no
                        callback */
    void (*log)(void *user, rp_log_level level, const char *message); /* what a user may want to know: a
                        kernel is passed over, the cache cannot be written, a device was lost and opened
                        again. `message` is a sentence in UTF-8, valid during the callback. NULL: the message
                        goes to the log of the device (rp_device_params.call), if that has one */
    void *user;                                                       /* what the callbacks get */
    uint32_t cancel; /* not 0: each call that this rp_call serves ends with RP_ERROR_CANCELLED. Set it with
                        rp_call_cancel; set it to 0 yourself before you use the rp_call again */
    uint64_t reserved[4]; /* zero; see reprise.h */
} rp_call;

/* End the calls that `call` serves, and those that it will serve: they return RP_ERROR_CANCELLED, and write
 * no result. A call ends when the batch is done that the device is working on for it (half a second of work,
 * or one sequence), within 20 ms where it waits for its turn, after the text that it is tokenizing, and,
 * while it opens a model, before the next kernel that it would try. May be called from any thread, from the
 * callbacks of the call, and from signal handlers, as long as `*call` exists. NULL is allowed. */
RP_API void rp_call_cancel(rp_call *call);

/* The clock of deadlines: seconds since some fixed moment. It never goes back, and no change of the system's
 * time moves it. Thread-safe. */
RP_API double rp_clock(void);

#ifdef __cplusplus
}
#endif
#endif
