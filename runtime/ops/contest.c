#include "ops/contest.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "gpu/cache.h"
#include "gpu/helper.h"

enum { QUESTION = 4096, FILE_NAME = 64, MOST_LOSSES = 2 };

bool rp_refused(rp_ops *ops, rp_status status) {
    bool refused = ops->pipelines.refused;
    ops->pipelines.refused = false;
    return refused && status && status != RP_ERROR_DEVICE_LOST;
}

/* ---- what is asked: the text under which an answer is kept ---- */

static size_t ask(const rp_device *device, const char *op, const char *kind, const char *about,
                  char out[QUESTION]) {
    char key[33];
    rp_device_key(device, key);
    int used = snprintf(out, QUESTION, "%s\n%s\n%s\n%s\n", kind, key, op, about);
    return used < QUESTION ? (size_t)used : QUESTION - 1;
}

static void file_of(const char *kind, const char *question, size_t size, char out[FILE_NAME]) {
    char key[33];
    rp_cache_key(question, size, key);
    snprintf(out, FILE_NAME, "%s-%s", kind, key);
}

/* The answer to this very question, as a string; freed by the caller. NULL: there is none. */
static char *recall(const rp_device *device, const char *kind, const char *question, size_t size) {
    char file[FILE_NAME], *answer = NULL;
    void *data = NULL;
    size_t found = 0;
    file_of(kind, question, size, file);
    if (device->shader_dir || !rp_cache_read(device->cache_dir, file, &data, &found)) return NULL;
    if (found > size && !memcmp(data, question, size)) answer = strndup((char *)data + size, found - size);
    free(data);
    return answer;
}

static void remember(const rp_device *device, const char *kind, const char *question, size_t size,
                     const char *answer) {
    char file[FILE_NAME], text[2 * QUESTION];
    if (device->shader_dir) return; /* its shaders are not those of the table */
    file_of(kind, question, size, file);
    int used = snprintf(text, sizeof text, "%s%s", question, answer);
    if (used < (int)sizeof text) rp_cache_write(device->cache_dir, file, text, (size_t)used);
}

/* ---- kernels that the device is lost with ---- */

/* Set, or raise by one, how often the device was lost with a kernel. The number until now. */
static uint32_t count_losses(rp_device *device, const char key[33], const uint32_t *set, bool raise) {
    uint32_t before = 0;
    size_t i = 0;
    pthread_mutex_lock(&device->losses_lock);
    while (i < device->loss_count && strcmp(device->losses[i].kernel, key)) i++;
    if (i == device->loss_count && raise &&
        rp_grow((void **)&device->losses, &device->loss_capacity, i + 1, sizeof *device->losses)) {
        memcpy(device->losses[i].kernel, key, 33);
        device->losses[device->loss_count++].count = 0;
    }
    if (i < device->loss_count) {
        rp_loss *loss = &device->losses[i];
        before = loss->count;
        if (set) loss->count = *set;
        loss->count += raise;
        device->losses_noted += raise;
    }
    pthread_mutex_unlock(&device->losses_lock);
    return before;
}

uint32_t rp_losses_noted(rp_device *device) {
    pthread_mutex_lock(&device->losses_lock);
    uint32_t noted = device->losses_noted;
    pthread_mutex_unlock(&device->losses_lock);
    return noted;
}

static const char BY_MODELS[] = "trial", BY_CHECKS[] = "check";

static uint32_t count_tries(const rp_attempt *trial) {
    return trial->tries.unclear + trial->tries.certain;
}

static void open_trial(rp_attempt *trial, rp_device *device, const char *whose, const char *op,
                       const char *kernel) {
    char question[QUESTION], file[FILE_NAME];
    size_t size = ask(device, op, whose, kernel, question);
    *trial = (rp_attempt){.device = device};
    rp_cache_key(question, size, trial->key);
    file_of("trying", question, size, file);
    rp_attempt_note_open(&trial->tries, device->shader_dir ? NULL : device->cache_dir, file);
}

/* Somebody may have killed the processes whose tries did not end: another process repeats the last of these
 * tries. One that is killed tells nothing. */
static void clear_up(rp_attempt *trial, const char *op, const char *kernel) {
    rp_attempt_note *tries = &trial->tries;
    char key[33];
    rp_device_key(trial->device, key);
    rp_end end = rp_helper_attempt(trial->device, key, op, kernel, tries->what);
    if (end == RP_END_UNKNOWN) return;
    tries->unclear = 0;
    if (end == RP_END_LOST) tries->certain++;
    if (end == RP_END_DIED) tries->certain = MOST_LOSSES;
    rp_attempt_note_write(tries);
}

/* False: so many tries did not end that it is tried no more. */
static bool may_try(rp_attempt *trial, const char *op, const char *kernel, uint32_t most) {
    if (count_tries(trial) >= most && trial->tries.unclear && trial->tries.certain < most)
        clear_up(trial, op, kernel);
    return count_tries(trial) < most && count_losses(trial->device, trial->key, NULL, false) < MOST_LOSSES;
}

/* Unless `most` of its tries did not end. */
static bool begin_trial(rp_attempt *trial, rp_device *device, const char *whose, const rp_attempted *what,
                        uint32_t most) {
    open_trial(trial, device, whose, what->op, what->kernel);
    bool may = may_try(trial, what->op, what->kernel, most);
    trial->noted = count_tries(trial);
    if (!may) {
        rp_attempt_note_close(&trial->tries);
        return false;
    }
    trial->before = trial->tries.unclear;
    trial->tries.unclear++;
    rp_use_write(what->use, trial->tries.what);
    rp_attempt_note_write(&trial->tries);
    return true;
}

bool rp_attempt_begin(rp_attempt *trial, rp_device *device, const rp_attempted *what) {
    return begin_trial(trial, device, BY_MODELS, what, MOST_LOSSES);
}

bool rp_attempt_begin_check(rp_attempt *trial, rp_device *device, const rp_attempted *what) {
    open_trial(trial, device, BY_MODELS, what->op, what->kernel);
    bool may = may_try(trial, what->op, what->kernel, MOST_LOSSES);
    rp_attempt_note_close(&trial->tries);
    return may && begin_trial(trial, device, BY_CHECKS, what, MOST_LOSSES);
}

bool rp_attempt_is_suspect(rp_device *device, const char *op, const char *kernel) {
    rp_attempt trial;
    open_trial(&trial, device, BY_CHECKS, op, kernel);
    uint32_t begun = count_tries(&trial);
    rp_attempt_note_close(&trial.tries);
    return begun == MOST_LOSSES - 1;
}

void rp_attempt_end(rp_attempt *trial, rp_status status, bool proven) {
    const uint32_t none = 0;
    rp_attempt_note *tries = &trial->tries;
    bool lost = status == RP_ERROR_DEVICE_LOST;
    tries->unclear = proven ? 0 : trial->before;
    tries->certain = proven ? 0 : tries->certain + lost;
    rp_attempt_note_write(tries);
    if (lost) count_losses(trial->device, trial->key, NULL, true);
    if (proven) count_losses(trial->device, trial->key, &none, false);
    rp_attempt_note_close(tries);
}

/* Those of a contest that has no kernel left get another chance, one: of tries that did not end the next
 * start allows it by itself (SPARED). */
static void forgive(rp_device *device, const rp_contest *contest) {
    const uint32_t last = MOST_LOSSES - 1;
    for (uint32_t i = 0; i < contest->count; i++) {
        rp_attempt trial;
        open_trial(&trial, device, BY_MODELS, contest->op, contest->names[i]);
        if (count_tries(&trial) > MOST_LOSSES) {
            if (trial.tries.certain > MOST_LOSSES) trial.tries.certain = MOST_LOSSES;
            trial.tries.unclear = MOST_LOSSES - trial.tries.certain;
            rp_attempt_note_write(&trial.tries);
        }
        if (count_losses(device, trial.key, NULL, false) > last)
            count_losses(device, trial.key, &last, false);
        rp_attempt_note_close(&trial.tries);
    }
}

/* ---- which is the fastest ---- */

/* The candidates' numbers in the order of a list of their names, each of which is there once. */
static bool read_order(const rp_contest *contest, char *list, uint32_t order[RP_MAX_KERNELS]) {
    uint32_t found = 0, seen = 0;
    char *rest = list;
    for (char *line = strtok_r(list, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        uint32_t i = 0;
        while (i < contest->count && strcmp(contest->names[i], line)) i++;
        if (i == contest->count || seen >> i & 1) return false;
        seen |= 1u << i;
        order[found++] = i;
    }
    return found == contest->count;
}

/* Two measurements of one kernel differ by so much. */
static const double ALIKE = 1.02;

/* Of those that are as good as the first in this order, that with the smallest tile is put first, which is
 * compiled sooner and computes fewer rows in vain; of these the one that the plan names first, so that other
 * products take the same. */
static void prefer_small(const rp_contest *contest, const double times[], uint32_t order[RP_MAX_KERNELS]) {
    const uint32_t *tiles = contest->tiles;
    double near = ALIKE * times[order[0]];
    uint32_t best = 0;
    for (uint32_t i = 1; i < contest->count && isfinite(near) && times[order[i]] <= near; i++) {
        uint32_t tile = tiles[order[i]], least = tiles[order[best]];
        if (tile < least || (tile == least && order[i] < order[best])) best = i;
    }
    uint32_t preferred = order[best];
    memmove(order + 1, order, best * sizeof *order);
    order[0] = preferred;
}

bool rp_may_measure(rp_ops *ops) {
    bool may = rp_seconds() < ops->measuring_until && !ops->device->stopped;
    ops->measured_less |= !may;
    return may;
}

/* `*measured`: any of them, and all that were to be. */
static rp_status measure_order(rp_ops *ops, const rp_contest *contest, uint32_t order[RP_MAX_KERNELS],
                               bool *measured, rp_error *err) {
    double times[RP_MAX_KERNELS];
    const rp_tuning_handler *told = &ops->device->tuning;
    if (told->take) told->take(told->user, contest->op);
    ops->measuring_until = rp_seconds() + ops->device->tuning_limit - ops->chosen;
    ops->measured_less = false;
    rp_status status = contest->measure(ops, contest->user, times, err);
    if (status) return status;
    *measured = false;
    for (uint32_t i = 0; i < contest->count; i++) *measured |= isfinite(times[i]) && !ops->measured_less;
    for (uint32_t i = 1; i < contest->count; i++)
        for (uint32_t j = i; j && times[order[j]] < times[order[j - 1]]; j--) {
            uint32_t slower = order[j - 1];
            order[j - 1] = order[j];
            order[j] = slower;
        }
    prefer_small(contest, times, order);
    return RP_OK;
}

static rp_status find_order(rp_ops *ops, const rp_contest *contest, uint32_t order[RP_MAX_KERNELS],
                            rp_error *err) {
    char question[QUESTION], list[QUESTION] = "";
    for (uint32_t i = 0; i < contest->count; i++) order[i] = i;
    if (!contest->measure || contest->count == 1) return RP_OK;
    size_t size = ask(ops->device, contest->op, "speed", contest->shape, question), used = 0;
    char *kept = recall(ops->device, "tuning", question, size);
    bool known = kept && read_order(contest, kept, order);
    free(kept);
    if (known) return RP_OK;
    for (uint32_t i = 0; i < contest->count; i++) order[i] = i;
    rp_status status = measure_order(ops, contest, order, &known, err);
    if (status || !known) return status;
    for (uint32_t i = 0; i < contest->count; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s\n", contest->names[order[i]]);
    remember(ops->device, "tuning", question, size, list);
    return RP_OK;
}

/* ---- is it right ---- */

/* What became of the candidates that were passed over. */
typedef struct passed {
    bool read;          /* by a verdict that was read */
    bool noted;         /* since two tries of it did not end, and no third one was made */
    rp_status shortage; /* the driver had no memory for one, or said so */
} passed;

typedef enum verdict { WRONG, SPILLS, RIGHT, VERDICTS } verdict;
static const char *const verdict_words[] = {"wrong", "spills", "right"}; /* as they are kept */

/* With the pipelines that the model will use. */
static rp_status try_candidate(rp_ops *ops, const rp_contest *contest, uint32_t candidate,
                               rp_difference *found, bool *spills, rp_error *err) {
    ops->pipelines.ask = ops->device->caps.has_statistics;
    ops->pipelines.spilled = false;
    rp_status status = contest->verify(ops, contest->user, candidate, found, err);
    *spills = ops->pipelines.spilled;
    ops->pipelines.ask = false;
    return status;
}

/* How the candidates are gone through, until one is right: with the verdicts that are kept; without, where
 * one of these passed a candidate over; and with another try for those of which two did not end. Whoever
 * stops a program, twice at the same moment, leaves such notes too. */
typedef enum pass { READ, ASKED, SPARED, PASSES } pass;

/* WRONG, and not kept, where the driver refuses it. */
static rp_status judge(rp_ops *ops, const rp_contest *contest, uint32_t candidate, pass pass, verdict *out,
                       passed *over, rp_error *err) {
    char about[RP_KERNEL_NAME + RP_CONTEST_TEXT + 2], question[QUESTION];
    rp_difference found;
    bool spills;
    snprintf(about, sizeof about, "%s\n%s", contest->names[candidate], contest->use);
    size_t size = ask(ops->device, contest->op, "verdict", about, question);
    char *kept = pass == READ ? recall(ops->device, "verdict", question, size) : NULL;
    int known = kept ? 0 : VERDICTS;
    while (known < VERDICTS && strcmp(kept, verdict_words[known])) known++;
    free(kept);
    *out = known < VERDICTS ? (verdict)known : WRONG;
    if (known < VERDICTS) {
        over->read = true;
        return RP_OK;
    }
    rp_status status = rp_device_check_stopped(ops->device, err);
    if (status) return status;
    rp_attempt trial;
    const rp_attempted what = {contest->op, contest->names[candidate], contest->tried};
    if (!begin_trial(&trial, ops->device, BY_MODELS, &what, MOST_LOSSES + (pass == SPARED))) {
        over->noted |= trial.noted == MOST_LOSSES;
        return RP_OK;
    }
    status = try_candidate(ops, contest, candidate, &found, &spills, err);
    rp_attempt_end(&trial, status, !status);
    if (rp_refused(ops, status)) {
        if (status != RP_ERROR_DEVICE) over->shortage = status;
        return RP_OK;
    }
    if (status) return status;
    if (rp_difference_allowed(&found)) *out = spills ? SPILLS : RIGHT;
    remember(ops->device, "verdict", question, size, verdict_words[*out]);
    return RP_OK;
}

/* The first in this order that is right and does not spill, or else the first that is right. */
static rp_status find_right(rp_ops *ops, const rp_contest *contest, const uint32_t order[RP_MAX_KERNELS],
                            uint32_t *out, rp_error *err) {
    const rp_device_info *info = &ops->device->caps.info;
    passed over = {0};
    for (int pass = READ; pass < PASSES; pass++) {
        bool spare = false;
        if ((pass == ASKED && !over.read) || (pass == SPARED && !over.noted)) continue;
        for (uint32_t i = 0; i < contest->count; i++) {
            verdict verdict;
            rp_status status = judge(ops, contest, order[i], (enum pass)pass, &verdict, &over, err);
            if (status) return status;
            if (verdict == RIGHT || (verdict == SPILLS && !spare)) *out = order[i];
            if (verdict == RIGHT) return RP_OK;
            spare = spare || verdict == SPILLS;
        }
        if (spare) return RP_OK;
    }
    forgive(ops->device, contest);
    if (over.shortage)
        return rp_fail(err, over.shortage,
                       "%s (%s) compiles no kernel for %s and says that it is out of memory; close other "
                       "programs, update the driver, or choose another device",
                       info->name, info->driver, contest->op);
    return rp_fail(err, RP_ERROR_DEVICE,
                   "%s (%s): every kernel for %s is refused by the driver, gives wrong results, loses the "
                   "device or ended the program; update the driver, or choose another device",
                   info->name, info->driver, contest->op);
}

/* ---- both ---- */

static rp_status find(rp_ops *ops, const rp_contest *contest, uint32_t *out, rp_error *err) {
    rp_device *device = ops->device;
    double begun = rp_seconds(), compiled = device->spent.pipelines;
    uint32_t order[RP_MAX_KERNELS];
    rp_status status = find_order(ops, contest, order, err);
    if (!status) status = find_right(ops, contest, order, out, err);
    ops->chosen += rp_seconds() - begun;
    double compiling = device->spent.pipelines - compiled;
    rp_add_seconds(&device->spent.tuning, rp_seconds() - begun - compiling);
    return status;
}

/* What the choice is remembered under. */
static void key_of(const rp_contest *contest, char key[33]) {
    char text[QUESTION];
    int used = snprintf(text, sizeof text, "%s\n%s\n%s\n", contest->op, contest->shape, contest->use);
    for (uint32_t i = 0; i < contest->count; i++)
        used += snprintf(text + used, sizeof text - (size_t)used, "%s\n", contest->names[i]);
    rp_cache_key(text, (size_t)used, key);
}

bool rp_select_again(const rp_ops *ops, const rp_contest *contest, uint32_t *out) {
    char key[33];
    key_of(contest, key);
    for (size_t i = 0; i < ops->choice_count; i++)
        if (!strcmp(ops->choices[i].key, key)) {
            *out = ops->choices[i].candidate;
            return true;
        }
    return false;
}

rp_status rp_select(rp_ops *ops, const rp_contest *contest, uint32_t *out, rp_error *err) {
    if (rp_select_again(ops, contest, out)) return RP_OK;
    rp_status status = find(ops, contest, out, err);
    if (status) return status;
    if (!rp_grow((void **)&ops->choices, &ops->choice_capacity, ops->choice_count + 1, sizeof *ops->choices))
        return rp_fail_memory(err, "the choice of a kernel", sizeof *ops->choices);
    rp_selected *made = &ops->choices[ops->choice_count++];
    made->candidate = *out;
    key_of(contest, made->key);
    return RP_OK;
}
