#include "ops/selection.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "ops/attempts.h"
#include "ops/class.h"

/* ---- one candidate ---- */

typedef enum verdict { WRONG, SPILLS, RIGHT, VERDICTS } verdict;
static const char *const words[] = {"wrong", "spills", "right"}; /* as they are kept */

/* VERDICTS: the cache folder says nothing. */
static verdict read_verdict(const rp_device *device, const char *entry) {
    char *kept = rp_device_recall(device, entry);
    int known = kept ? 0 : VERDICTS;
    while (known < VERDICTS && strcmp(kept, words[known])) known++;
    free(kept);
    return (verdict)known;
}

/* Have a kernel prove itself, with the pipelines that the model will use, and ask the driver whether it
 * spills. */
static rp_status prove(rp_ops *ops, const rp_candidates *c, const rp_kernel *kernel, verdict *out,
                       rp_error *err) {
    rp_pipeline_set *pipelines = ops->pipelines;
    rp_difference difference;
    pipelines->ask = ops->device->caps.has_statistics;
    pipelines->spilled = false;
    rp_status status = rp_prove(ops, c->op->class, kernel, &c->use, &difference, err);
    pipelines->ask = false;
    *out = !rp_difference_allowed(&difference) ? WRONG : pipelines->spilled ? SPILLS : RIGHT;
    return status;
}

/* What the candidates that are passed over leave behind. */
typedef struct passed_over {
    bool doubtful;      /* the verdict of one was read, or it was not run: a second look may help */
    rp_status shortage; /* the driver said that it had no memory for one; RP_OK: it did not */
} passed_over;

static void say_passed_over(rp_ops *ops, const rp_candidates *c, const rp_kernel *kernel, rp_log_level level,
                            const char *why) {
    rp_log_say(&ops->device->log, level, "%s: the kernel %s for %s is passed over, since %s",
               ops->device->caps.info.name, kernel->name, c->op->class->name, why);
}

/* Say what the attempt at a kernel showed. */
static void say_verdict(rp_ops *ops, const rp_candidates *c, const rp_kernel *kernel, rp_status status,
                        verdict found) {
    if (status == RP_ERROR_DEVICE_LOST)
        rp_log_say(&ops->device->log, RP_LOG_WARNING,
                   "%s was lost while the kernel %s for %s was tried; a kernel that loses it twice is passed "
                   "over from then on",
                   ops->device->caps.info.name, kernel->name, c->op->class->name);
    if (!status && found == WRONG)
        say_passed_over(ops, c, kernel, RP_LOG_WARNING,
                        "its results are wrong; update the driver, or see 'reprise check'");
}

/* The verdict of one candidate. At a second look none is read, and what did not end twice is run once more. A
 * kernel that the driver refuses counts as WRONG, but that is not kept. */
static rp_status judge(rp_ops *ops, const rp_candidates *c, const rp_kernel *kernel, bool second_look,
                       verdict *out, passed_over *over, rp_error *err) {
    rp_device *device = ops->device;
    const char *op = c->op->class->name;
    char use[RP_USE_TEXT], about[RP_KERNEL_NAME + RP_USE_TEXT + 1], entry[RP_ENTRY_NAME];
    rp_use_text(c->op->class, &c->use, use);
    snprintf(about, sizeof about, "%s\n%s", kernel->name, use);
    rp_device_entry(device, "verdict", op, about, entry);
    *out = second_look ? VERDICTS : read_verdict(device, entry);
    over->doubtful |= *out < VERDICTS;
    if (*out == WRONG)
        say_passed_over(ops, c, kernel, RP_LOG_NOTE, "an earlier start found its results wrong");
    if (*out < VERDICTS) return RP_OK;
    *out = WRONG;
    rp_status status = rp_device_check_stopped(device, err);
    if (status) return status;
    rp_attempt attempt;
    const rp_attempted what = {c->op->class, kernel->name, &c->use};
    if (!(second_look ? rp_attempt_begin_third : rp_attempt_begin)(&attempt, device, &what)) {
        over->doubtful = true;
        say_passed_over(ops, c, kernel, RP_LOG_NOTE,
                        device->apart ? "no process of its own has shown that it does no harm"
                                      : "attempts at it lost the device, or ended the program");
        return RP_OK;
    }
    status = prove(ops, c, kernel, out, err);
    rp_attempt_end(&attempt, status, !status);
    say_verdict(ops, c, kernel, status, *out);
    if (!status) rp_device_remember(device, entry, words[*out]);
    if (!rp_pipelines_refused(ops->pipelines, status)) return status;
    *out = WRONG;
    say_passed_over(ops, c, kernel, RP_LOG_WARNING, "the driver refuses to compile it");
    if (status != RP_ERROR_DEVICE) over->shortage = status;
    return RP_OK;
}

/* ---- all candidates ---- */

/* Select the first candidate that is right and does not spill, or else the first that is right. */
static rp_status find_right(rp_ops *ops, const rp_candidates *c, rp_kernel *out, rp_error *err) {
    const rp_device_info *info = &ops->device->caps.info;
    const char *op = c->op->class->name;
    passed_over over = {0};
    for (int look = 0; look < 1 + over.doubtful; look++) {
        bool spare = false;
        for (uint32_t i = 0; i < c->count; i++) {
            verdict verdict;
            rp_status status = judge(ops, c, &c->kernels[i], look, &verdict, &over, err);
            if (status) return status;
            if (verdict == RIGHT || (verdict == SPILLS && !spare)) *out = c->kernels[i];
            if (verdict == RIGHT) return RP_OK;
            spare = spare || verdict == SPILLS;
        }
        if (spare) return RP_OK;
    }
    for (uint32_t i = 0; i < c->count; i++)
        rp_attempt_forgive(ops->device, &(rp_attempted){c->op->class, c->kernels[i].name, &c->use});
    if (over.shortage)
        return rp_fail(err, over.shortage,
                       "%s (%s) compiles no kernel for %s and says that it is out of memory; close other "
                       "programs, update the driver, or choose another device",
                       info->name, info->driver, op);
    return rp_fail(err, RP_ERROR_DEVICE,
                   "%s (%s): every kernel for %s is refused by the driver, gives wrong results, loses the "
                   "device or ended the program; update the driver, or choose another device",
                   info->name, info->driver, op);
}

/* Put the candidate with the smallest tile first, of all or of those with the first one's shader: it is quick
 * to compile, and computes nothing in vain on a few rows. Several products then share its pipeline. */
static void smallest_first(rp_candidates *c, bool same_shader) {
    rp_kernel *kernels = c->kernels;
    uint32_t best = 0;
    for (uint32_t i = 1; i < c->count; i++)
        if ((!same_shader || !strcmp(kernels[i].key.shader, kernels[0].key.shader)) &&
            rp_kernel_tile(&kernels[i]) < rp_kernel_tile(&kernels[best]))
            best = i;
    rp_kernel first = kernels[best];
    memmove(kernels + 1, kernels, best * sizeof *kernels);
    kernels[0] = first;
}

/* The kernel that is wanted for `what`; NULL: none is. */
static const char *wanted_for(const rp_ops *ops, const char *what) {
    for (size_t i = 0; i < ops->wanted_count; i++)
        if (!strcmp(ops->wanted[i].what, what)) return ops->wanted[i].kernel;
    return NULL;
}

/* Put the candidate of that name first. False: there is none. */
static bool wanted_first(rp_candidates *c, const char *name) {
    for (uint32_t i = 0; name && i < c->count; i++) {
        if (strcmp(c->kernels[i].name, name)) continue;
        rp_kernel first = c->kernels[i];
        memmove(c->kernels + 1, c->kernels, i * sizeof first);
        c->kernels[0] = first;
        return true;
    }
    return false;
}

static rp_status select_among(rp_ops *ops, rp_candidates *c, const char *wanted, rp_kernel *out,
                              rp_error *err) {
    rp_device *device = ops->device;
    const rp_class *class = c->op->class;
    double begun = rp_seconds(), compiled = device->spent.pipelines;
    rp_status status = RP_OK;
    if (wanted_first(c, wanted))
        status = RP_OK;
    else if (class->is_tuned && !class->is_tuned(&device->caps, c->op))
        smallest_first(c, device->caps.info.type == RP_DEVICE_CPU);
    else if (class->is_tuned && c->count > 1)
        status = rp_tune(ops, c, err);
    if (!status) status = find_right(ops, c, out, err);
    if (!status && ops->wanted_count && (!wanted || strcmp(wanted, out->name))) ops->strayed = true;
    double spent = rp_seconds() - begun;
    ops->selecting += spent;
    rp_add_seconds(&device->spent.tuning, spent - (device->spent.pipelines - compiled));
    return status;
}

/* For op->most_rows the candidates are those that give the same bits as the kernel for any number of rows. */
static rp_status plan(rp_ops *ops, const rp_op *op, rp_candidates *c, rp_error *err) {
    const rp_caps *caps = &ops->device->caps;
    rp_op any = *op;
    uint32_t kept = 0;
    *c = (rp_candidates){.op = op, .use = rp_use_of(op)};
    c->count = op->class->plan(caps, &c->use, c->kernels);
    if (!c->count)
        return rp_fail(err, RP_ERROR_UNSUPPORTED,
                       "%s: heads of %u elements do not fit the shared memory of %s", op->class->name,
                       op->head_dim, caps->info.name);
    if (!op->most_rows) return RP_OK;
    any.most_rows = 0;
    rp_status status = rp_op_select(ops, &any, err);
    for (uint32_t i = 0; !status && i < c->count; i++)
        if (rp_kernels_alike(&c->kernels[i], &any.kernel, &c->use)) c->kernels[kept++] = c->kernels[i];
    c->count = kept;
    return status;
}

/* ---- what was selected ---- */

/* Write what a kernel is selected for. */
static void describe(const rp_ops *ops, const rp_op *op, char out[RP_SELECTED_FOR]) {
    char line[RP_ATTEMPT_TEXT], shape[RP_SHAPE_TEXT];
    rp_use use = rp_use_of(op);
    use.texels = use.texels > ops->device->caps.max_texels; /* more than that no plan asks */
    rp_use_write(&use, line);
    rp_tuning_shape(op, shape);
    snprintf(out, RP_SELECTED_FOR, "%s: %s; %s", op->class->name, line, shape);
}

static bool recall(const rp_ops *ops, const char *what, rp_kernel *out) {
    for (size_t i = 0; i < ops->selected_count; i++)
        if (!strcmp(ops->selected[i].what, what)) {
            *out = ops->selected[i].kernel;
            return true;
        }
    return false;
}

rp_status rp_op_recall(const rp_ops *ops, rp_op *op, rp_error *err) {
    char what[RP_SELECTED_FOR];
    describe(ops, op, what);
    if (recall(ops, what, &op->kernel)) return RP_OK;
    return rp_fail(err, RP_ERROR_ARGUMENT, "no kernel was selected for %s", what);
}

rp_status rp_op_select(rp_ops *ops, rp_op *op, rp_error *err) {
    char what[RP_SELECTED_FOR];
    rp_candidates candidates;
    describe(ops, op, what);
    if (recall(ops, what, &op->kernel)) return RP_OK;
    rp_status status = plan(ops, op, &candidates, err);
    if (!status) status = select_among(ops, &candidates, wanted_for(ops, what), &op->kernel, err);
    if (status) return status;
    if (!rp_grow((void **)&ops->selected, &ops->selected_capacity, ops->selected_count + 1,
                 sizeof *ops->selected))
        return rp_fail_memory(err, "the selection of a kernel", sizeof *ops->selected);
    rp_selected *made = &ops->selected[ops->selected_count++];
    made->kernel = op->kernel;
    memcpy(made->what, what, sizeof what);
    return RP_OK;
}
