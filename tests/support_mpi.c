#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "support_mpi.h"
#include "support_faults.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- a rank ---- */

rp_world *mpi_world;
rp_device *mpi_device;

void mpi_need_ok(rp_status status, const rp_error *err) {
    if (!status) return;
    fprintf(stderr, "rank %u: %s\n", rp_world_rank(mpi_world), err->message);
    exit(1);
}

void mpi_begin(double patience) {
    const rp_world_params params = {.patience = patience};
    rp_error err = {0};
    MPI_NEED(faults_install());
    mpi_need_ok(rp_world_open(&params, &mpi_world, &err), &err);
    mpi_need_ok(rp_device_open(NULL, &mpi_device, &err), &err);
}

void mpi_end(void) {
    rp_device_close(&mpi_device);
    rp_world_close(&mpi_world);
}

/* ---- what starts them ---- */

/* REPRISE_MPIRUN: another one than that of the path. */
static const char *mpirun(void) {
    const char *name = getenv("REPRISE_MPIRUN");
    return name && *name ? name : "mpirun";
}

bool mpi_is_there(void) {
    char command[4096];
    snprintf(command, sizeof command, "%s --version >/dev/null 2>&1", mpirun());
    return !system(command);
}

/* Open MPI asks root twice whether it means it, and counts processors; MPICH's mpirun knows none of this.
 * Memory that MPI keeps until its process ends is no leak of ours, nor can a checker see the libraries that
 * are unloaded by then. */
static void prepare(void) {
    setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 1);
    setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 1);
    setenv("OMPI_MCA_rmaps_base_oversubscribe", "1", 1);
    setenv("PRTE_MCA_rmaps_default_mapping_policy", ":oversubscribe", 1);
    setenv("OMPI_MCA_hwloc_base_binding_policy", "none", 1);
    setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
}

int mpi_run(int ranks, const char *const *argv, char *out, unsigned size) {
    enum { MOST = 32 };
    const unsigned patience = getenv("REPRISE_TEST_LONG") ? 900 : 120;
    char *args[MOST] = {(char *)(uintptr_t)mpirun(), "-n"}, number[8];
    int pipes[2], count = 3, status = 0;
    unsigned used = 0;
    snprintf(number, sizeof number, "%d", ranks);
    args[2] = number;
    for (; *argv && count < MOST - 1; argv++) args[count++] = (char *)(uintptr_t)*argv;
    assert_int_equal(pipe(pipes), 0);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (!pid) {
        prepare();
        alarm(patience);
        if (dup2(pipes[1], 1) < 0 || dup2(pipes[1], 2) < 0) _exit(126);
        close(pipes[0]);
        close(pipes[1]);
        execvp(*args, args);
        _exit(127);
    }
    close(pipes[1]);
    for (char piece[4096];;) {
        ssize_t got = read(pipes[0], piece, sizeof piece);
        if (got <= 0) break;
        unsigned some = (unsigned)got < size - 1 - used ? (unsigned)got : size - 1 - used;
        memcpy(out + used, piece, some);
        used += some;
        fwrite(piece, 1, (size_t)got, stderr);
    }
    out[used] = 0;
    close(pipes[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    if (status == 128 + SIGALRM) fail_msg("mpirun has not ended in %u s", patience);
    return status;
}

int mpi_run_job(int ranks, const char *job, const char *a, const char *b, const char *c) {
    static char self[4096], said[1 << 16];
    ssize_t size = readlink("/proc/self/exe", self, sizeof self - 1);
    assert_true(size > 0);
    self[size] = 0;
    return mpi_run(ranks, (const char *const[]){self, job, a, b, c, NULL}, said, sizeof said);
}
