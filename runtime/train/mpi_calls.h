/* The functions of MPI that take handles, for one binary interface: mpi.c includes this once for each. CALLS:
 * the name of the set; HANDLE: the type of a handle; MEMBER: of rp_mpi_handle; IGNORED: MPI_STATUS_IGNORE. */
#define JOIN_(a, b) a##_##b
#define JOIN(a, b) JOIN_(a, b)
#define NAME(what) JOIN(CALLS, what)

static int NAME(dup)(rp_mpi *mpi) {
    int (*dup)(HANDLE, HANDLE *), (*set)(HANDLE, HANDLE);
    HANDLE all = mpi->world.MEMBER;
    take(mpi, COMM_DUP, &dup);
    take(mpi, SET_ERRHANDLER, &set);
    int code = mpi->begun ? set(all, mpi->errors_return.MEMBER) : 0;
    if (!code) code = dup(all, &mpi->world.MEMBER);
    return code ? code : set(mpi->world.MEMBER, mpi->errors_return.MEMBER);
}

static void NAME(free)(rp_mpi *mpi) {
    int (*call)(HANDLE *);
    take(mpi, COMM_FREE, &call);
    call(&mpi->world.MEMBER);
}

static int NAME(rank)(rp_mpi *mpi, int *rank, int *size) {
    int (*call)(HANDLE, int *);
    take(mpi, COMM_RANK, &call);
    int code = call(mpi->world.MEMBER, rank);
    take(mpi, COMM_SIZE, &call);
    return code ? code : call(mpi->world.MEMBER, size);
}

static int NAME(send)(rp_mpi *mpi, const void *data, int bytes, int to, rp_mpi_handle *request) {
    int (*call)(const void *, int, HANDLE, int, int, HANDLE, HANDLE *);
    take(mpi, ISEND, &call);
    return call(data, bytes, mpi->byte.MEMBER, to, TAG, mpi->world.MEMBER, &request->MEMBER);
}

static int NAME(receive)(rp_mpi *mpi, void *data, int bytes, int from, rp_mpi_handle *request) {
    int (*call)(void *, int, HANDLE, int, int, HANDLE, HANDLE *);
    take(mpi, IRECV, &call);
    return call(data, bytes, mpi->byte.MEMBER, from, TAG, mpi->world.MEMBER, &request->MEMBER);
}

static int NAME(collect)(rp_mpi *mpi, int function, const void *data, int bytes, void *out,
                         rp_mpi_handle *request) {
    int (*call)(const void *, int, HANDLE, void *, int, HANDLE, HANDLE, HANDLE *);
    HANDLE byte = mpi->byte.MEMBER;
    take(mpi, function, &call);
    return call(data, bytes, byte, out, bytes, byte, mpi->world.MEMBER, &request->MEMBER);
}

static int NAME(all_to_all)(rp_mpi *mpi, const void *data, int bytes, void *out, rp_mpi_handle *request) {
    return NAME(collect)(mpi, IALLTOALL, data, bytes, out, request);
}

static int NAME(all_gather)(rp_mpi *mpi, const void *data, int bytes, void *out, rp_mpi_handle *request) {
    return NAME(collect)(mpi, IALLGATHER, data, bytes, out, request);
}

static int NAME(test)(rp_mpi *mpi, rp_mpi_handle *request, int *done) {
    int (*call)(HANDLE *, int *, void *);
    take(mpi, TEST, &call);
    return call(&request->MEMBER, done, IGNORED);
}

static const rp_mpi_calls CALLS = {NAME(dup),     NAME(free),       NAME(rank),       NAME(send),
                                   NAME(receive), NAME(all_to_all), NAME(all_gather), NAME(test)};

#undef JOIN_
#undef JOIN
#undef NAME
#undef CALLS
#undef HANDLE
#undef MEMBER
#undef IGNORED
