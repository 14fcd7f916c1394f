/* Finding MPI's library, and which of the binary interfaces it has. Names and numbers are those of the
 * headers of Open MPI 4 and 5, and of MPICH since 3.1, from when on MPICH and what descends from it keep one.
 */
#include "train/mpi.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

enum { TAG = 1 };
enum { LONGEST_VERSION = 8192 }; /* MPI_MAX_LIBRARY_VERSION_STRING of MPICH; Open MPI's is shorter */
enum { LONGEST_ERROR = 1024 };   /* the same for MPI_MAX_ERROR_STRING */
enum { SERIALIZED = 2 };         /* MPI_THREAD_SERIALIZED of both */

enum {
    INITIALIZED,
    FINALIZED,
    INIT_THREAD,
    FINALIZE,
    LIBRARY_VERSION,
    ERROR_STRING,
    COMM_DUP,
    COMM_FREE,
    COMM_RANK,
    COMM_SIZE,
    SET_ERRHANDLER,
    ISEND,
    IRECV,
    IALLTOALL,
    IALLGATHER,
    TEST,
};
_Static_assert(TEST + 1 == RP_MPI_FUNCTIONS, "each function has its place");

static const char *const names[RP_MPI_FUNCTIONS] = {
    "MPI_Initialized", "MPI_Finalized",           "MPI_Init_thread",
    "MPI_Finalize",    "MPI_Get_library_version", "MPI_Error_string",
    "MPI_Comm_dup",    "MPI_Comm_free",           "MPI_Comm_rank",
    "MPI_Comm_size",   "MPI_Comm_set_errhandler", "MPI_Isend",
    "MPI_Irecv",       "MPI_Ialltoall",           "MPI_Iallgather",
    "MPI_Test",
};

/* Write function number `n` to the pointer at `out`. */
static void take(const rp_mpi *mpi, int n, void *out) {
    memcpy(out, &mpi->functions[n], sizeof mpi->functions[n]);
}

#define CALLS open_mpi
#define HANDLE void *
#define MEMBER pointer
#define IGNORED NULL
#include "base/os.h"
#include "train/mpi_calls.h"

#define CALLS mpich
#define HANDLE int
#define MEMBER number
#define IGNORED ((void *)1)
#include "train/mpi_calls.h"

/* ---- the launcher ---- */

bool rp_mpi_launched(uint32_t *size) {
    static const char *const sizes[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"};
    *size = 0;
    for (size_t i = 0; i < RP_COUNT(sizes); i++) {
        const char *text = rp_os_getenv(sizes[i]);
        long number = text ? strtol(text, NULL, 10) : 0;
        if (number > 0 && number < 1 << 20) *size = (uint32_t)number;
        if (*size) return true;
    }
    return rp_os_getenv("PMIX_RANK") != NULL; /* Slurm's srun says no more */
}

/* ---- the library ---- */

/* Open the library of the launcher's kind; one that the program has loaded comes first. */
static void *open_library(const char **name) {
    static const char *const libraries[] = {
        RP_OS_LIBRARY("libmpi", ".40"),
        RP_OS_LIBRARY("libmpich", ".12"),
        RP_OS_LIBRARY("libmpi", ".12"),
        RP_OS_LIBRARY("libmpi", ""),
    };
    void *library = NULL, *program = rp_os_library_open(NULL, false);
    *name = "the program's MPI";
    if (program && rp_os_symbol(program, names[INIT_THREAD])) return program;
    /* the first is Open MPI's, and PMI_SIZE is what MPICH's launcher says */
    size_t first = rp_os_getenv("PMI_SIZE") && !rp_os_getenv("OMPI_COMM_WORLD_SIZE");
    for (size_t i = 0; !library && i < RP_COUNT(libraries); i++) {
        *name = libraries[(i + first) % RP_COUNT(libraries)];
        library = rp_os_library_open(*name, true); /* global: its plug-ins look for its functions */
    }
    return library;
}

static rp_status find_functions(rp_mpi *mpi, void *library, const char *name, rp_error *err) {
    for (int i = 0; i < RP_MPI_FUNCTIONS; i++) {
        mpi->functions[i] = rp_os_symbol(library, names[i]);
        if (!mpi->functions[i])
            return rp_fail(err, RP_ERROR_UNSUPPORTED, "%s has no %s; take Open MPI 4 or 5, or MPICH 3 or 4",
                           name, names[i]);
    }
    return RP_OK;
}

static bool begins(const char *text, const char *with) {
    return !strncmp(text, with, strlen(with));
}

static rp_status find_interface(rp_mpi *mpi, void *library, const char *name, rp_error *err) {
    char version[LONGEST_VERSION] = "";
    int length = 0, (*get)(char *, int *);
    void *world = rp_os_symbol(library, "ompi_mpi_comm_world"),
         *byte = rp_os_symbol(library, "ompi_mpi_byte"),
         *errors = rp_os_symbol(library, "ompi_mpi_errors_return"),
         *none = rp_os_symbol(library, "ompi_request_null");
    take(mpi, LIBRARY_VERSION, &get);
    get(version, &length);
    version[strcspn(version, "\r\n")] = 0;
    const char *number = version + strcspn(version, "0123456789");
    if (world && byte && errors && none &&
        (begins(version, "Open MPI v4.") || begins(version, "Open MPI v5."))) {
        mpi->calls = &open_mpi;
        mpi->world.pointer = world;
        mpi->byte.pointer = byte;
        mpi->errors_return.pointer = errors;
        mpi->no_request.pointer = none;
        return RP_OK;
    }
    if (!world && begins(version, "MPICH Version:") && (begins(number, "3.") || begins(number, "4."))) {
        mpi->calls = &mpich;
        mpi->world.number = 0x44000000;
        mpi->byte.number = 0x4c00010d;
        mpi->errors_return.number = 0x54000001;
        mpi->no_request.number = 0x2c000000;
        return RP_OK;
    }
    return rp_fail(err, RP_ERROR_UNSUPPORTED,
                   "%s is '%.80s', whose binary interface Reprise does not know; take Open MPI 4 or 5, or "
                   "MPICH 3 or 4",
                   name, version);
}

rp_status rp_mpi_fail(const rp_mpi *mpi, int code, const char *doing, rp_error *err) {
    char text[LONGEST_ERROR] = "";
    int length = 0, (*say)(int, char *, int *);
    take(mpi, ERROR_STRING, &say);
    if (say(code, text, &length)) snprintf(text, sizeof text, "error %d", code);
    return rp_fail(err, RP_ERROR_STOPPED, "MPI cannot %s: %.200s; the processes have to be started again",
                   doing, text);
}

static rp_status begin(rp_mpi *mpi, rp_error *err) {
    int yes = 0, given = 0, (*ask)(int *), (*init)(int *, char ***, int, int *);
    take(mpi, FINALIZED, &ask);
    if (!ask(&yes) && yes)
        return rp_fail(err, RP_ERROR_UNSUPPORTED,
                       "MPI has ended in this process, and can begin once only; keep the world open");
    take(mpi, INITIALIZED, &ask);
    if (!ask(&yes) && yes) return RP_OK;
    take(mpi, INIT_THREAD, &init);
    int code = init(NULL, NULL, SERIALIZED, &given);
    mpi->begun = !code;
    return code ? rp_mpi_fail(mpi, code, "begin", err) : RP_OK;
}

rp_status rp_mpi_open(rp_mpi *mpi, rp_error *err) {
    const char *name;
    void *library = open_library(&name);
    *mpi = (rp_mpi){0};
    if (!library)
        return rp_fail(
            err, RP_ERROR_UNSUPPORTED,
            "a launcher of MPI started this process, and MPI's library is not on this system: install Open "
            "MPI 4 or 5, or MPICH 3 or 4, or start the program without the launcher");
    rp_status status = find_functions(mpi, library, name, err);
    if (!status) status = find_interface(mpi, library, name, err);
    if (!status) status = begin(mpi, err);
    if (status) return status;
    int code = mpi->calls->dup(mpi);
    return code ? rp_mpi_fail(mpi, code, "make a communicator", err) : RP_OK;
}

void rp_mpi_close(rp_mpi *mpi) {
    int (*finalize)(void);
    mpi->calls->free(mpi);
    take(mpi, FINALIZE, &finalize);
    if (mpi->begun) finalize();
}
