#define _GNU_SOURCE /* dladdr, asprintf, pipe2 */
#include "gpu/helper.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* Beside this library, or the program that has it inside; or in libexec, from where the library is installed.
 */
static char *find_beside(void) {
    static const char *const places[] = {"", REPRISE_LIBEXEC_BESIDE "/"};
    static const char here;
    Dl_info info;
    /* a relative path may lead elsewhere by now */
    if (!dladdr(&here, &info) || !info.dli_fname || info.dli_fname[0] != '/') return NULL;
    int folder = (int)(strrchr(info.dli_fname, '/') - info.dli_fname);
    for (int i = 0; i < 2; i++) {
        char *path;
        if (asprintf(&path, "%.*s/%sreprise-try", folder, info.dli_fname, places[i]) < 0) return NULL;
        if (!access(path, X_OK)) return path;
        free(path);
    }
    return NULL;
}

char *rp_helper_find(const char *wanted) {
    if (wanted) return wanted[0] ? strdup(wanted) : NULL;
    return find_beside();
}

/* With nothing of this process but its environment: no signal that it blocks or ignores, and its standard
 * output is `out`. 0: it does not start. */
static pid_t start(const char *program, char *const *argv, int out) {
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    pid_t child = 0;
    sigemptyset(&none);
    sigfillset(&all);
    if (posix_spawn_file_actions_init(&files)) return 0;
    if (posix_spawnattr_init(&attributes)) {
        posix_spawn_file_actions_destroy(&files);
        return 0;
    }
    bool failed = posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDWR, 0) ||
                  posix_spawn_file_actions_adddup2(&files, out, 1) ||
                  posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_RDWR, 0) ||
                  posix_spawnattr_setsigmask(&attributes, &none) ||
                  posix_spawnattr_setsigdefault(&attributes, &all) ||
                  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF) ||
                  posix_spawn(&child, program, &files, &attributes, argv, environ);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
    return failed ? 0 : child;
}

/* Did the other process say that it lived? Waits until it has said so or has ended, or
 * until this thread is to stop. */
static bool hears(rp_device *device, int from) {
    struct pollfd wait = {.fd = from, .events = POLLIN};
    char said = 0;
    while (!rp_device_is_stopped(device)) {
        int ready = poll(&wait, 1, 20);
        if (!ready || (ready < 0 && errno == EINTR)) continue;
        ssize_t size = read(from, &said, 1);
        if (size < 0 && errno == EINTR) continue;
        return size == 1 && said == RP_HELPER_LIVED;
    }
    return false;
}

/* What nobody but the process itself raises, or the system on behalf of what it does. */
static bool is_own_signal(int number) {
    static const int own[] = {SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGFPE, SIGTRAP, SIGSYS, SIGXCPU};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (number == own[i]) return true;
    return false;
}

static rp_end end_of(pid_t child) {
    int status;
    pid_t ended;
    while ((ended = waitpid(child, &status, 0)) < 0 && errno == EINTR) continue;
    if (ended != child) return RP_END_UNKNOWN; /* the program does not keep its children */
    if (WIFSIGNALED(status)) return is_own_signal(WTERMSIG(status)) ? RP_END_DIED : RP_END_UNKNOWN;
    if (WEXITSTATUS(status) == RP_HELPER_LOST) return RP_END_LOST;
    /* 127: posix_spawn could not start it */
    return WEXITSTATUS(status) == RP_HELPER_UNTRIED || WEXITSTATUS(status) == 127 ? RP_END_UNKNOWN
                                                                                  : RP_END_DIED;
}

rp_end rp_helper_attempt(rp_device *device, const char *op, const char *kernel, const char *use) {
    char index[16], key[33];
    int ends[2];
    if (!device->try_program || pipe2(ends, O_CLOEXEC)) return RP_END_UNKNOWN;
    snprintf(index, sizeof index, "%u", device->caps.info.index + 1);
    rp_device_key(device, key);
    char *const argv[] = {device->try_program, index,          device->cache_dir, key,
                          (char *)op,          (char *)kernel, (char *)use,       NULL};
    pid_t child = start(device->try_program, argv, ends[1]);
    close(ends[1]);
    bool lived = child && hears(device, ends[0]);
    close(ends[0]);
    if (!child) return RP_END_UNKNOWN;
    bool stopped = rp_device_is_stopped(device);
    if (stopped && !lived) kill(child, SIGKILL);
    rp_end end = end_of(child);
    return lived ? RP_END_LIVED : stopped ? RP_END_UNKNOWN : end;
}
