/* An MPI that says what it is by FAKE_MPI, and that nobody may call for more. */
#include <stdio.h>
#include <stdlib.h>

int MPI_Get_library_version(char *text, int *length) {
    const char *name = getenv("FAKE_MPI");
    *length = sprintf(text, "%s", name ? name : "a fake MPI");
    return 0;
}

#define REFUSED(name) \
    int name(void) {  \
        abort();      \
    }
REFUSED(MPI_Initialized)
REFUSED(MPI_Finalized)
REFUSED(MPI_Init_thread)
REFUSED(MPI_Finalize)
REFUSED(MPI_Error_string)
REFUSED(MPI_Comm_dup)
REFUSED(MPI_Comm_free)
REFUSED(MPI_Comm_rank)
REFUSED(MPI_Comm_size)
REFUSED(MPI_Comm_set_errhandler)
REFUSED(MPI_Isend)
REFUSED(MPI_Irecv)
REFUSED(MPI_Ialltoall)
REFUSED(MPI_Iallgather)
REFUSED(MPI_Test)
