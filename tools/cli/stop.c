#include "stop.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

/* What a signal handler can reach. */
static volatile sig_atomic_t asked, is_soft;
static _Atomic(rp_device *) trying;
static _Atomic(rp_call *) working;
static int wake[2] = {-1, -1};

void rp_cli_stop_ask(void) {
    if (wake[1] >= 0 && write(wake[1], "", 1) < 0) return; /* full: it can be read already */
}

static void take_signal(int number) {
    int before = errno;
    rp_device *device = trying;
    if (asked || (!is_soft && !device)) _exit(128 + number);
    asked = number;
    rp_device_stop(device);
    rp_call_cancel(working);
    rp_cli_stop_ask();
    errno = before;
}

/* Neither end makes anybody wait, or is inherited. */
static void open_pipe(void) {
    if (pipe(wake)) wake[0] = wake[1] = -1;
    for (int i = 0; wake[0] >= 0 && i < 2; i++) {
        fcntl(wake[i], F_SETFD, FD_CLOEXEC);
        fcntl(wake[i], F_SETFL, O_NONBLOCK);
    }
}

int rp_cli_stop_open(void) {
    static const int signals[] = {SIGINT, SIGTERM};
    if (wake[0] >= 0) return wake[0];
    open_pipe();
    for (int i = 0; i < 2; i++) {
        struct sigaction old, take = {.sa_handler = take_signal, .sa_flags = SA_RESTART};
        if (!sigaction(signals[i], NULL, &old) && old.sa_handler != SIG_IGN)
            sigaction(signals[i], &take, NULL);
    }
    return wake[0];
}

void rp_cli_stop_expected(bool soft) {
    is_soft = soft;
}

void rp_cli_stop_device(rp_device *device) {
    trying = device;
    if (!device && asked) _exit(128 + asked);
}

void rp_cli_stop_call(rp_call *call) {
    working = call;
    if (asked) rp_call_cancel(call);
}

int rp_cli_stop_signal(void) {
    return asked;
}
