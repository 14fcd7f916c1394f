/* Processes that train together: they meet, tell each other how it goes, and add up gradients. */
#include "train/world.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/os.h"
#include "train/mpi.h"

enum { MOST_PROCESSES = 4096, HOST_NAME = 64, VERSION = 1 };

/* What a process sends to each other one when they meet. */
typedef struct letter {
    uint32_t version, place;
    int32_t status;
    uint32_t padding;
    char message[sizeof((rp_error *)0)->message];
    unsigned char note[RP_NOTE_BYTES];
} letter;

struct rp_world {
    rp_mpi mpi;
    uint32_t rank, local_rank, size, local_size;
    double patience;
    bool broken; /* MPI failed, or somebody did not come: what it has begun may still write to what follows */
    bool agreed;
    char (*hosts)[HOST_NAME];
    letter *letters;         /* [size + 1]: of each rank; the last is what this one sends */
    rp_mpi_handle *requests; /* [2 * size] */
    float *send, *receive;   /* [room] */
    uint64_t room;
    rp_world *next; /* of `abandoned` */
};

/* Broken worlds: their memory stays, as MPI may write to it. */
static rp_world *_Atomic abandoned;

uint32_t rp_world_rank(const rp_world *w) {
    return w ? w->rank : 0;
}

uint32_t rp_world_local_rank(const rp_world *w) {
    return w ? w->local_rank : 0;
}

uint32_t rp_world_size(const rp_world *w) {
    return w ? w->size : 1;
}

uint32_t rp_world_local_size(const rp_world *w) {
    return w ? w->local_size : 1;
}

bool rp_world_agreed(const rp_world *w) {
    return w && w->agreed;
}

/* ---- waiting ---- */

static rp_status fail_mpi(rp_world *w, int code, const char *doing, rp_error *err) {
    w->broken = true;
    return rp_mpi_fail(&w->mpi, code, doing, err);
}

static rp_status fail_late(rp_world *w, uint32_t number, bool sums, rp_error *err) {
    w->broken = true;
    if (sums)
        return rp_fail(
            err, RP_ERROR_STOPPED,
            "rank %u: the others have not added up gradients for %.0f s; look at what they say, and "
            "start all processes again",
            w->rank, w->patience);
    return rp_fail(err, RP_ERROR_STOPPED,
                   "rank %u (%s) has not answered for %.0f s; look at what it says, and start all processes "
                   "again",
                   number % w->size, w->hosts[number % w->size], w->patience);
}

/* Let others work while a request goes on: they may share our processors. */
static void pause_a_little(uint32_t turns, bool sums) {
    const uint32_t nanoseconds = turns < 100 ? 0 : turns < 1000 ? 20000 : 1000000;
    const struct timespec time = {.tv_nsec = sums ? 0 : nanoseconds};
    nanosleep(&time, NULL);
}

static int receive_from(rp_world *w, uint32_t r) {
    return w->mpi.calls->receive(&w->mpi, &w->letters[r], sizeof(letter), (int)r, &w->requests[r]);
}

/* Until all requests have ended. Those that have are no requests any more, and end at once when asked again.
 * Who writes that it is at work is waited for from then on.
 */
static rp_status wait_for(rp_world *w, uint32_t count, bool sums, rp_error *err) {
    double begun = rp_seconds();
    uint32_t first = 0; /* that has not ended */
    for (uint32_t turns = 0; first < count;) {
        int done = 0, code = w->mpi.calls->test(&w->mpi, &w->requests[first], &done);
        if (code) return fail_mpi(w, code, "send or receive", err);
        if (done && !sums && first < w->size && w->letters[first].place == RP_MEET_LATER) {
            begun = rp_seconds();
            code = receive_from(w, first);
            if (code) return fail_mpi(w, code, "receive", err);
            continue;
        }
        if (done) {
            first++;
            continue;
        }
        if (rp_seconds() - begun > w->patience) return fail_late(w, first, sums, err);
        pause_a_little(turns++, sums);
    }
    return RP_OK;
}

/* ---- meeting ---- */

/* A letter of this process, for `place`, in the place of the one before. */
static letter *begin_letter(rp_world *w, rp_meeting place) {
    letter *mine = &w->letters[w->size];
    *mine = (letter){.version = VERSION, .place = place};
    for (uint32_t r = 0; r < 2 * w->size; r++) w->requests[r] = w->mpi.no_request;
    return mine;
}

/* Send it to each other one, and wait for these requests and those that began before. */
static rp_status send_letter(rp_world *w, rp_error *err) {
    for (uint32_t r = 0; r < w->size; r++) {
        if (r == w->rank) continue;
        int code = w->mpi.calls->send(&w->mpi, &w->letters[w->size], sizeof(letter), (int)r,
                                      &w->requests[w->size + r]);
        if (code) return fail_mpi(w, code, "send", err);
    }
    return wait_for(w, 2 * w->size, false, err);
}

static rp_status exchange(rp_world *w, rp_error *err) {
    for (uint32_t r = 0; r < w->size; r++) {
        int code = r == w->rank ? 0 : receive_from(w, r);
        if (code) return fail_mpi(w, code, "receive", err);
    }
    w->letters[w->rank] = w->letters[w->size];
    return send_letter(w, err);
}

/* What came of it: the first rank that is not well. */
static rp_status read_letters(const rp_world *w, rp_error *err) {
    const letter *mine = &w->letters[w->size];
    for (uint32_t r = 0; r < w->size; r++) {
        const letter *theirs = &w->letters[r];
        if (theirs->version != VERSION)
            return rp_fail(err, RP_ERROR_UNSUPPORTED, "rank %u runs another version of Reprise than rank %u",
                           r, w->rank);
        if (theirs->status)
            return rp_fail(err, (rp_status)theirs->status, "rank %u: %.*s", r,
                           (int)sizeof theirs->message - 1, theirs->message);
    }
    for (uint32_t r = 0; r < w->size; r++)
        if (w->letters[r].place != mine->place)
            return rp_fail(
                err, RP_ERROR_ARGUMENT,
                "rank %u does something else than rank %u: all processes call the same functions, in "
                "the same order",
                r, w->rank);
    return RP_OK;
}

rp_status rp_world_meet(rp_world *w, rp_meeting place, rp_status status, const void *note, size_t bytes,
                        rp_error *err) {
    rp_error unwanted = {.message = ""};
    if (!w) return status;
    if (!err) err = &unwanted;
    if (w->broken)
        return status ? status
                      : rp_fail(err, RP_ERROR_STOPPED,
                                "the processes of this world cannot reach each other any more; start all of "
                                "them again");
    letter *mine = begin_letter(w, place);
    mine->status = (int32_t)status;
    if (status) memcpy(mine->message, err->message, sizeof mine->message);
    if (bytes) memcpy(mine->note, note, bytes);
    w->agreed = false;
    status = exchange(w, err);
    if (status) return status;
    status = read_letters(w, err);
    w->agreed = status;
    return status;
}

const void *rp_world_note(const rp_world *w, uint32_t rank) {
    return w->letters[rank].note;
}

rp_status rp_world_keep(rp_world *w, rp_error *err) {
    rp_error unwanted;
    if (!w || w->broken) return RP_OK; /* of a broken one the next meeting tells */
    begin_letter(w, RP_MEET_LATER);
    return send_letter(w, err ? err : &unwanted);
}

rp_status rp_world_agree(rp_world *w, rp_status status, rp_error *err) {
    return rp_world_meet(w, RP_MEET_AGREE, status, NULL, 0, err);
}

rp_status rp_world_tell(rp_world *w, rp_status status, uint64_t *values, size_t count, rp_error *err) {
    size_t bytes = count * sizeof *values;
    if (!status && (bytes > RP_NOTE_BYTES || (count && !values)))
        status = rp_fail(err, RP_ERROR_ARGUMENT, "rp_world_tell: values must be there, and at most 32");
    status = rp_world_meet(w, RP_MEET_TELL, status, values, status ? 0 : bytes, err);
    if (!status && w && bytes) memcpy(values, rp_world_note(w, 0), bytes);
    return status;
}

/* ---- sums ---- */

static uint64_t slice_of(const rp_world *w, uint64_t count) {
    return rp_div_up(count, w->size);
}

rp_status rp_world_reserve(rp_world *w, uint64_t count, rp_error *err) {
    uint64_t room = slice_of(w, count) * w->size;
    if (room <= w->room) return RP_OK;
    float *send = rp_new_array(float, room), *receive = rp_new_array(float, room);
    if (!send || !receive) {
        free(send);
        free(receive);
        return rp_fail_memory(err, "sums of gradients", 8 * room);
    }
    free(w->send);
    free(w->receive);
    w->send = send;
    w->receive = receive;
    w->room = room;
    return RP_OK;
}

/* This process adds up one slice of all numbers, and gets the sums of the others. */
rp_status rp_world_sum(rp_world *w, float *values, uint64_t count, rp_error *err) {
    uint64_t slice = slice_of(w, count);
    int bytes = (int)(slice * sizeof(float));
    memcpy(w->send, values, (size_t)count * sizeof(float));
    memset(w->send + count, 0, (size_t)(slice * w->size - count) * sizeof(float));
    int code = w->mpi.calls->all_to_all(&w->mpi, w->send, bytes, w->receive, w->requests);
    if (code) return fail_mpi(w, code, "add up gradients", err);
    rp_status status = wait_for(w, 1, true, err);
    if (status) return status;
    for (uint64_t i = 0; i < slice; i++) {
        float sum = w->receive[i];
        for (uint32_t r = 1; r < w->size; r++) sum += w->receive[r * slice + i];
        w->send[i] = sum;
    }
    code = w->mpi.calls->all_gather(&w->mpi, w->send, bytes, w->receive, w->requests);
    if (code) return fail_mpi(w, code, "add up gradients", err);
    status = wait_for(w, 1, true, err);
    if (!status) memcpy(values, w->receive, (size_t)count * sizeof(float));
    return status;
}

/* ---- opening and closing ---- */

/* Without memory to meet the others: they wait for no more than this. */
static void decline(rp_world *w, rp_status status, const rp_error *err) {
    letter mine = {.version = VERSION, .place = RP_MEET_OPEN, .status = (int32_t)status};
    double begun = rp_seconds();
    memcpy(mine.message, err->message, sizeof mine.message);
    for (uint32_t r = 0; r < w->size; r++) {
        rp_mpi_handle request = w->mpi.no_request;
        int done = r == w->rank || w->mpi.calls->send(&w->mpi, &mine, sizeof mine, (int)r, &request);
        for (uint32_t turns = 0; !done && rp_seconds() - begun < w->patience; turns++) {
            if (w->mpi.calls->test(&w->mpi, &request, &done)) break;
            pause_a_little(turns, false);
        }
    }
}

static rp_status introduce(rp_world *w, rp_error *err) {
    char host[HOST_NAME] = "";
    rp_os_host(host, sizeof host);
    w->hosts = calloc(w->size, sizeof *w->hosts);
    w->letters = rp_new_array(letter, w->size + 1);
    w->requests = rp_new_array(rp_mpi_handle, 2ull * w->size);
    if (!w->hosts || !w->letters || !w->requests) {
        rp_fail_memory(err, "a world", w->size * (sizeof(letter) + HOST_NAME));
        decline(w, err->status, err);
        return err->status;
    }
    rp_status status = rp_world_meet(w, RP_MEET_OPEN, RP_OK, host, sizeof host, err);
    if (status) return status;
    for (uint32_t r = 0; r < w->size; r++) {
        memcpy(w->hosts[r], rp_world_note(w, r), HOST_NAME - 1);
        w->local_rank += r < w->rank && !strcmp(w->hosts[r], host);
        w->local_size += !strcmp(w->hosts[r], host);
    }
    return RP_OK;
}

static rp_status open_world(rp_world *w, uint32_t wanted, rp_error *err) {
    int rank = 0, size = 0, code;
    rp_status status = rp_mpi_open(&w->mpi, err);
    if (status) return status;
    code = w->mpi.calls->rank(&w->mpi, &rank, &size);
    if (code) return fail_mpi(w, code, "count processes", err);
    if (size > MOST_PROCESSES || (wanted && (uint32_t)size != wanted))
        return rp_fail(err, RP_ERROR_UNSUPPORTED,
                       "the launcher started %u processes and MPI's library knows %d of them: they belong to "
                       "different MPIs; take the mpirun of the installed library",
                       wanted, size);
    w->rank = (uint32_t)rank;
    w->size = (uint32_t)size;
    return introduce(w, err);
}

rp_status rp_world_open(const rp_world_params *params, rp_world **out, rp_error *err) {
    static const rp_world_params defaults = {0};
    rp_error unwanted;
    uint32_t size;
    if (!err) err = &unwanted;
    if (!out) return rp_fail(err, RP_ERROR_ARGUMENT, "rp_world_open: out must not be NULL");
    *out = NULL;
    if (!params) params = &defaults;
    rp_status status = rp_check_reserved(params->reserved, RP_COUNT(params->reserved), "rp_world_open", err);
    if (!status && !(params->patience >= 0))
        status = rp_fail(err, RP_ERROR_ARGUMENT, "rp_world_open: patience must not be below 0");
    if (status || !rp_mpi_launched(&size) || size == 1) return status;
    rp_world *w = rp_new(rp_world);
    if (!w) return rp_fail_memory(err, "a world", sizeof *w);
    w->patience = params->patience > 0 ? params->patience : 1800;
    status = open_world(w, size, err);
    w->broken = status; /* the others may wait for this one: nothing is ended in their company */
    *out = w;
    if (status || w->size == 1) rp_world_close(out);
    return status;
}

rp_status rp_world_close(rp_world **pointer) {
    if (!pointer || !*pointer) return RP_OK;
    rp_world *w = *pointer;
    *pointer = NULL;
    if (w->broken) { /* where the process ends now, the launcher ends the others */
        w->next = abandoned;
        abandoned = w;
        return RP_OK;
    }
    rp_mpi_close(&w->mpi);
    free(w->hosts);
    free(w->letters);
    free(w->requests);
    free(w->send);
    free(w->receive);
    free(w);
    return RP_OK;
}
