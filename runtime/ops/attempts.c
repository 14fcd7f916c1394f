#include "ops/attempts.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "gpu/helper.h"
#include "ops/class.h"

enum { MOST = 2 }; /* attempts that do not end, after which a kernel is not run any more */
static const char BY_MODELS[] = "attempt", BY_CHECKS[] = "attempt-check";

/* ---- losses of the device in this process ---- */

/* NULL: it was never lost with this kernel. The caller holds the lock. */
static rp_loss *find_loss(rp_device *device, const char *entry) {
    for (size_t i = 0; i < device->loss_count; i++)
        if (!strcmp(device->losses[i].entry, entry)) return &device->losses[i];
    return NULL;
}

/* Count one more for this entry, of losses or of attempts of another process. */
static void note_loss(rp_device *device, const char *entry, bool lost) {
    pthread_mutex_lock(&device->losses_lock);
    rp_loss *loss = find_loss(device, entry);
    if (!loss && rp_grow((void **)&device->losses, &device->loss_capacity, device->loss_count + 1,
                         sizeof *device->losses)) {
        loss = &device->losses[device->loss_count++];
        *loss = (rp_loss){0};
        memcpy(loss->entry, entry, RP_ENTRY_NAME);
    }
    if (loss) loss->count++;
    device->losses_noted += lost;
    pthread_mutex_unlock(&device->losses_lock);
}

/* Returns how many losses are counted, but for those beyond `most`, which are forgotten. */
static uint32_t limit_losses(rp_device *device, const char *entry, uint32_t most) {
    pthread_mutex_lock(&device->losses_lock);
    rp_loss *loss = find_loss(device, entry);
    if (loss && loss->count > most) loss->count = most;
    uint32_t count = loss ? loss->count : 0;
    pthread_mutex_unlock(&device->losses_lock);
    return count;
}

uint32_t rp_losses_noted(rp_device *device) {
    pthread_mutex_lock(&device->losses_lock);
    uint32_t noted = device->losses_noted;
    pthread_mutex_unlock(&device->losses_lock);
    return noted;
}

/* ---- notes ---- */

static uint32_t count(const rp_attempt *attempt) {
    return attempt->note.unclear + attempt->note.certain;
}

static void open_note(rp_attempt *attempt, rp_device *device, const char *whose, const char *op,
                      const char *kernel) {
    *attempt = (rp_attempt){.device = device};
    rp_device_entry(device, whose, op, kernel, attempt->entry);
    rp_attempt_note_open(&attempt->note, device->shader_dir ? NULL : device->cache_dir, attempt->entry);
}

/* Somebody may have killed the processes whose attempts did not end: another process repeats the last of
 * them. One that is killed as well tells nothing. */
static void repeat(rp_attempt *attempt, const rp_attempted *what) {
    rp_attempt_note *note = &attempt->note;
    rp_end end = rp_helper_attempt(attempt->device, what->op->name, what->kernel, note->what);
    if (end == RP_END_UNKNOWN) return;
    note->unclear = 0;
    if (end == RP_END_LOST) note->certain++;
    if (end == RP_END_DIED) note->certain = MOST;
    rp_attempt_note_write(note);
}

/* Fewer than `most` of its attempts did not end. */
static bool may_run(rp_attempt *attempt, const rp_attempted *what, uint32_t most) {
    if (count(attempt) >= most && attempt->note.unclear && attempt->note.certain < most)
        repeat(attempt, what);
    return count(attempt) < most && limit_losses(attempt->device, attempt->entry, UINT32_MAX) < MOST;
}

/* The last of a plan needs nothing beyond Vulkan 1.1. */
static bool is_plain(const rp_device *device, const rp_attempted *what) {
    rp_kernel kernels[RP_MAX_KERNELS];
    uint32_t count = what->op->plan(&device->caps, what->use, kernels);
    return count && !strcmp(kernels[count - 1].name, what->kernel);
}

/* Has another process run it in this use, or may it run here without? What ends that process is never run. */
static bool is_tried_apart(rp_attempt *attempt, const rp_attempted *what) {
    rp_device *device = attempt->device;
    rp_attempt_note *note = &attempt->note;
    char use[RP_ATTEMPT_TEXT], about[RP_KERNEL_NAME + RP_ATTEMPT_TEXT], entry[RP_ENTRY_NAME];
    rp_use_write(what->use, use);
    snprintf(about, sizeof about, "%s\n%s", what->kernel, use);
    rp_device_entry(device, "apart", what->op->name, about, entry);
    if (limit_losses(device, entry, UINT32_MAX)) return true;
    rp_end end = rp_helper_attempt(device, what->op->name, what->kernel, use);
    if (end == RP_END_LIVED) note_loss(device, entry, false);
    if (end == RP_END_LIVED) return true;
    if (end == RP_END_UNKNOWN) return is_plain(device, what);
    note->certain = MOST;
    rp_attempt_note_write(note);
    return false;
}

static bool begin(rp_attempt *attempt, rp_device *device, const char *whose, const rp_attempted *what,
                  uint32_t most) {
    open_note(attempt, device, whose, what->op->name, what->kernel);
    if (!may_run(attempt, what, most) || (device->apart && !is_tried_apart(attempt, what))) {
        rp_attempt_note_close(&attempt->note);
        return false;
    }
    attempt->before = attempt->note.unclear++;
    rp_use_write(what->use, attempt->note.what);
    rp_attempt_note_write(&attempt->note);
    return true;
}

bool rp_attempt_begin(rp_attempt *attempt, rp_device *device, const rp_attempted *what) {
    return begin(attempt, device, BY_MODELS, what, MOST);
}

bool rp_attempt_begin_third(rp_attempt *attempt, rp_device *device, const rp_attempted *what) {
    return begin(attempt, device, BY_MODELS, what, MOST + 1);
}

bool rp_attempt_begin_check(rp_attempt *attempt, rp_device *device, const rp_attempted *what) {
    open_note(attempt, device, BY_MODELS, what->op->name, what->kernel);
    bool may = may_run(attempt, what, MOST);
    rp_attempt_note_close(&attempt->note);
    return may && begin(attempt, device, BY_CHECKS, what, MOST);
}

void rp_attempt_end(rp_attempt *attempt, rp_status status, bool proven) {
    rp_attempt_note *note = &attempt->note;
    bool lost = status == RP_ERROR_DEVICE_LOST;
    note->unclear = proven ? 0 : attempt->before;
    note->certain = proven ? 0 : note->certain + lost;
    rp_attempt_note_write(note);
    rp_attempt_note_close(note);
    if (lost) note_loss(attempt->device, attempt->entry, true);
    if (proven) limit_losses(attempt->device, attempt->entry, 0);
}

void rp_attempt_forgive(rp_device *device, const rp_attempted *what) {
    rp_attempt attempt;
    open_note(&attempt, device, BY_MODELS, what->op->name, what->kernel);
    rp_attempt_note *note = &attempt.note;
    if (count(&attempt) > MOST) {
        if (note->certain > MOST) note->certain = MOST;
        note->unclear = MOST - note->certain;
        rp_attempt_note_write(note);
    }
    rp_attempt_note_close(note);
    limit_losses(device, attempt.entry, MOST - 1);
}

bool rp_attempt_is_suspect(rp_device *device, const char *op, const char *kernel) {
    rp_attempt attempt;
    open_note(&attempt, device, BY_CHECKS, op, kernel);
    uint32_t begun = count(&attempt);
    rp_attempt_note_close(&attempt.note);
    return begun == MOST - 1;
}
