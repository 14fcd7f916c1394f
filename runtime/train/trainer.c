/* Opening and closing a trainer. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "loader/new_model.h"
#include "model/exits.h"
#include "train/state.h"

/* ---- what is asked for ---- */

enum { MOST_LABELS = 1 << 17 };
enum { TRAINED = RP_HEAD_CLASSIFIER | RP_HEAD_TOKENS | RP_HEAD_SPANS | RP_HEAD_CHOICE };

static bool is_trained(rp_head head) {
    bool one = !(head & (head - 1)) && !(head & ~(unsigned)TRAINED);
    return one || head == RP_HEAD_MASKED_LM || head == RP_TRAIN_BOTH;
}

static bool is_rate(double x, double below) {
    return x >= 0 && x < below;
}

static rp_status check_params(const rp_trainer_params *p, rp_error *err) {
    static const char *const function = "rp_trainer_open";
    rp_status status = rp_check_reserved(p->reserved, RP_COUNT(p->reserved), function, err);
    if (status) return status;
    if (!is_trained(p->head))
        return rp_fail(err, RP_ERROR_ARGUMENT,
                       "%s: head %d is none of RP_HEAD_CLASSIFIER, RP_HEAD_TOKENS, RP_HEAD_SPANS, "
                       "RP_HEAD_CHOICE, RP_HEAD_MASKED_LM and RP_TRAIN_BOTH",
                       function, (int)p->head);
    if (!is_rate(p->beta1, 1) || !is_rate(p->beta2, 1) || !is_rate(p->label_smoothing, 1) ||
        !is_rate(p->hidden_dropout, 1) || !is_rate(p->attention_dropout, 1) ||
        !is_rate(p->classifier_dropout, 1))
        return rp_fail(
            err, RP_ERROR_ARGUMENT,
            "%s: beta1, beta2, label_smoothing and the rates of dropout must be at least 0 and below 1",
            function);
    if (!isfinite(p->label_weight))
        return rp_fail(err, RP_ERROR_ARGUMENT, "%s: label_weight must be finite", function);
    if (!is_rate(p->learning_rate, INFINITY) || !is_rate(p->weight_decay, INFINITY) ||
        !is_rate(p->eps, INFINITY) || !is_rate(p->power, INFINITY) || isnan(p->max_grad_norm))
        return rp_fail(err, RP_ERROR_ARGUMENT,
                       "%s: learning_rate, weight_decay, eps and power must be finite and not below 0, and "
                       "max_grad_norm a number",
                       function);
    if (p->label_count > MOST_LABELS ||
        (p->label_count && p->head != RP_HEAD_CLASSIFIER && p->head != RP_HEAD_TOKENS))
        return rp_fail(err, RP_ERROR_ARGUMENT,
                       "%s: label_count is %u and must be at most %d, with a head of RP_HEAD_CLASSIFIER or "
                       "RP_HEAD_TOKENS",
                       function, p->label_count, MOST_LABELS);
    for (uint32_t i = 0; p->labels && i < p->label_count; i++)
        if (!p->labels[i]) return rp_fail(err, RP_ERROR_ARGUMENT, "%s: labels[%u] is NULL", function, i);
    if ((unsigned)p->precision > RP_PRECISION_F16)
        return rp_fail(err, RP_ERROR_ARGUMENT,
                       "%s: precision is %d, and a model is trained in RP_PRECISION_F32 or RP_PRECISION_F16",
                       function, (int)p->precision);
    int exponent;
    if (p->loss_scale != 0 &&
        (!is_rate(p->loss_scale, 1e30) || p->loss_scale < 1 || frexp(p->loss_scale, &exponent) != 0.5))
        return rp_fail(err, RP_ERROR_ARGUMENT,
                       "%s: loss_scale is %g and must be a power of 2, from 1 to 2^99", function,
                       p->loss_scale);
    if ((unsigned)p->recompute > RP_RECOMPUTE_NEVER)
        return rp_fail(err, RP_ERROR_ARGUMENT, "%s: recompute %d is not one of rp_recompute", function,
                       (int)p->recompute);
    if ((unsigned)p->problem > RP_PROBLEM_REGRESSION)
        return rp_fail(err, RP_ERROR_ARGUMENT, "%s: problem %d is not one of rp_problem", function,
                       (int)p->problem);
    if ((unsigned)p->optimizer > RP_OPTIMIZER_LAMB)
        return rp_fail(err, RP_ERROR_ARGUMENT, "%s: optimizer %d is not one of rp_optimizer", function,
                       (int)p->optimizer);
    if (!p->config != !p->tokenizer)
        return rp_fail(err, RP_ERROR_ARGUMENT, "%s: a new model needs both, a config and a tokenizer",
                       function);
    if ((unsigned)p->schedule > RP_SCHEDULE_POLYNOMIAL)
        return rp_fail(err, RP_ERROR_ARGUMENT, "%s: schedule %d is not one of rp_train_schedule", function,
                       (int)p->schedule);
    if ((unsigned)p->vectors > RP_VECTORS_SCORED || (p->vectors && p->head))
        return rp_fail(err, RP_ERROR_ARGUMENT,
                       "%s: vectors is %d, and must be one of rp_train_vectors, without a head", function,
                       (int)p->vectors);
    if ((unsigned)p->freeze > RP_FREEZE_ENCODER || (p->freeze == RP_FREEZE_ENCODER && p->vectors))
        return rp_fail(err, RP_ERROR_ARGUMENT,
                       p->vectors
                           ? "%s: freeze is %d, and without the encoder nothing of vectors is left to learn"
                           : "%s: freeze %d is not one of rp_train_freeze",
                       function, (int)p->freeze);
    if (p->early_exit && (p->vectors || (p->head && p->head != RP_HEAD_CLASSIFIER)))
        return rp_fail(err, RP_ERROR_ARGUMENT, "%s: early_exit is for RP_HEAD_CLASSIFIER", function);
    if (p->total_steps && p->warmup_steps > p->total_steps)
        return rp_fail(err, RP_ERROR_ARGUMENT, "%s: warmup_steps is %llu and total_steps %llu", function,
                       (unsigned long long)p->warmup_steps, (unsigned long long)p->total_steps);
    return RP_OK;
}

static void set_defaults(rp_trainer_params *p) {
    bool lamb = p->optimizer == RP_OPTIMIZER_LAMB;
    if (!(p->learning_rate > 0)) p->learning_rate = lamb ? 0.00176 : 5e-5;
    if (!(p->beta1 > 0)) p->beta1 = 0.9;
    if (!(p->beta2 > 0)) p->beta2 = 0.999;
    if (!(p->eps > 0)) p->eps = lamb ? 1e-6 : 1e-8;
    if (p->max_grad_norm == 0) p->max_grad_norm = 1;
    if (!(p->power > 0)) p->power = 1;
    if (p->label_weight == 0) p->label_weight = 0.5;
    if (p->label_weight < 0) p->label_weight = 0;
    if (!p->taught) p->label_weight = 1;
    if (p->loss_scale == 0) p->loss_scale = 65536;
    p->call = NULL;
    p->labels = NULL;
    p->resume = NULL;
}

static rp_status check_exits(const rp_trainer *t, rp_error *err) {
    if (!t->params.early_exit) return RP_OK;
    if (t->head != RP_HEAD_CLASSIFIER || t->problem != RP_PROBLEM_SINGLE_LABEL)
        return rp_fail(err, RP_ERROR_ARGUMENT,
                       "%s: early_exit is for a classifier that gives each text one of several labels",
                       rp_path_shown(t->model->dir));
    if (t->params.optimizer == RP_OPTIMIZER_LAMB)
        return rp_fail(err, RP_ERROR_ARGUMENT, "rp_trainer_open: early_exit goes with RP_OPTIMIZER_ADAMW");
    return rp_exits_check(t->model, err);
}

static rp_status choose_head(rp_trainer *t, rp_error *err) {
    const rp_model *model = t->model;
    unsigned there = model->info.heads & TRAINED;
    if (model->config.family == RP_FAMILY_DISTILBERT)
        return rp_fail(err, RP_ERROR_UNSUPPORTED,
                       "%s: a DistilBERT cannot be trained; take an ALBERT or a BERT", model->dir);
    if (t->params.vectors) return rp_train_choose_pooling(t, err);
    if (t->params.head & RP_HEAD_MASKED_LM) there = t->params.head;
    if (!there)
        return rp_fail(
            err, RP_ERROR_HEAD,
            "%s has no head that can be trained: a classifier of sequences, of tokens or of choices, "
            "or one for spans; name the head that is to be made or, to pre-train, RP_TRAIN_BOTH",
            model->dir);
    t->head = (rp_head)there; /* of the first four there is one: they share their tensors */
    if (t->params.taught && t->head != RP_HEAD_CLASSIFIER)
        return rp_fail(err, RP_ERROR_ARGUMENT,
                       "rp_trainer_open: a teacher teaches a classifier of sequences, which %s has not",
                       model->dir);
    t->problem = model->config.problem;
    if (!model->config.problem_given && model->config.label_count == 1) t->problem = RP_PROBLEM_REGRESSION;
    return check_exits(t, err);
}

/* ---- what lies on the device ---- */

static void drop(rp_trainer *t) {
    t->built = false;
    rp_train_drop_ranks(t);
    rp_train_drop_recordings(t);
    rp_train_drop_buffers(t);
    rp_train_drop_parameters(t);
}

static void drop_user(rp_device_user *user) {
    drop((rp_trainer *)((char *)user - offsetof(rp_trainer, user)));
}

static rp_status make_room(rp_trainer *t, rp_error *err) {
    const rp_config *c = &t->model->config;
    uint64_t rows = c->vocab_size > c->max_positions ? c->vocab_size : c->max_positions;
    if (rows < c->type_vocab_size) rows = c->type_vocab_size;
    t->places = rp_new_array(uint32_t, rows);
    t->list = rp_new_array(uint32_t, 4ull * t->tokens);
    if (!t->places || !t->list) return rp_fail_memory(err, "lists of embeddings", 4 * rows);
    memset(t->places, 0xff, (size_t)rows * sizeof *t->places);
    return RP_OK;
}

/* On the device, which is entered. */
static rp_status build(rp_trainer *t, rp_error *err) {
    rp_status status;
    RP_TRY(rp_train_lay_out_parameters(t, err));
    RP_TRY(rp_train_create_buffers(t, err));
    RP_TRY(make_room(t, err));
    RP_TRY(rp_train_record(t, err));
    RP_TRY(rp_train_create_ranks(t, err));
    RP_TRY(rp_train_fill_info(t, err));
    t->pace = t->model->pace;
    rp_device_add_user(t->device, &t->user);
    t->built = t->model->learns = true;
done:
    return status;
}

/* ---- opening and closing ---- */

/* `saved`, NULL: none: of the checkpoint that it goes on from. */
static rp_status open_trainer(rp_trainer *t, const char *dir, bool random, const rp_train_saved *saved,
                              rp_error *err) {
    bool pretrains = t->params.head & RP_HEAD_MASKED_LM;
    const rp_model_params params = {.precision = RP_PRECISION_F32,
                                    .head = pretrains || random ? 0 : t->params.head,
                                    .call = t->params.call};
    if (t->params.early_exit && !t->params.head) t->params.head = RP_HEAD_CLASSIFIER;
    const rp_new_head head = {t->params.head,    t->params.label_count, t->params.labels,
                              t->params.problem, t->params.early_exit,  t->params.seed};
    bool makes = pretrains || t->params.early_exit || head.label_count || head.head == RP_HEAD_SPANS ||
                 head.head == RP_HEAD_CHOICE;
    const char *resume = t->params.resume;
    rp_to_train how = {.head = makes ? &head : NULL, .random = random};
    rp_visit visit;
    if (saved) {
        how.wanted = saved->wanted;
        how.wanted_count = saved->model_count;
        t->ops.wanted = saved->wanted + saved->model_count;
        t->ops.wanted_count = saved->own_count;
        if (!t->params.max_batch_tokens) t->params.max_batch_tokens = saved->tokens;
        if (!t->params.recompute)
            t->params.recompute = saved->recomputes ? RP_RECOMPUTE_ALWAYS : RP_RECOMPUTE_NEVER;
    }
    rp_status status = rp_model_open_to_train(t->device, dir, &params, &how, &t->model, err);
    if (!status) status = choose_head(t, err);
    if (!status) status = rp_model_enter(t->model, &visit, t->params.call, "rp_trainer_open", err);
    if (status) return status;
    set_defaults(&t->params);
    t->scale.scale = rp_train_in_half(t) ? t->params.loss_scale : 1;
    if (t->params.vectors)
        t->pairs = t->params.max_batch_pairs ? t->params.max_batch_pairs : RP_TRAIN_USUAL_PAIRS;
    status = rp_model_begin(t->model, err);
    if (!status) {
        status = build(t, err);
        if (status) drop(t);
        rp_model_end(t->model, status);
    }
    t->ops.wanted_count = 0;
    if (!status && saved) status = rp_train_saved_load(t, resume, saved, err);
    rp_visit_leave(&visit);
    return status;
}

/* Write the new model that is asked for to `dir`: the first rank does so, and opens it before the others. */
static rp_status make_model(rp_trainer *t, const char *dir, rp_error *err) {
    rp_trainer_params *p = &t->params;
    const char *config = p->config, *tokenizer = p->tokenizer;
    p->config = p->tokenizer = NULL; /* the caller's */
    if (!config) return RP_OK;
    if (!p->head && !p->vectors) p->head = RP_TRAIN_BOTH;
    if (rp_world_rank(p->world)) return RP_OK;
    return rp_new_model_write(config, tokenizer, p->head & RP_TRAIN_BOTH, p->seed, dir, err);
}

/* One rank after the other: the first tries kernels, and the others find in the cache what it has learnt. The
 * first of all is alone, then the first of each machine. */
static rp_status open_in_turn(rp_trainer *t, const char *dir, bool random, const rp_train_saved *saved,
                              rp_status status, rp_error *err) {
    rp_world *world = t->params.world;
    int turn = rp_world_rank(world) ? rp_world_local_rank(world) ? 2 : 1 : 0;
    for (int i = 0; i < (world ? 3 : 1); i++) {
        if (!status && i == turn) status = open_trainer(t, dir, random, saved, err);
        status = rp_world_agree(world, status, err);
        if (status) return status;
    }
    return RP_OK;
}

static rp_status make_trainer(rp_device *device, const char *dir, bool random,
                              const rp_trainer_params *params, rp_trainer **out, rp_error *err) {
    static const rp_trainer_params defaults = {0};
    rp_error unwanted;
    if (!err) err = &unwanted;
    if (!out) {
        rp_fail(err, RP_ERROR_ARGUMENT, "rp_trainer_open: out must not be NULL");
        return rp_world_agree(params ? params->world : NULL, RP_ERROR_ARGUMENT, err);
    }
    *out = NULL;
    if (!params) params = &defaults;
    rp_status status = check_params(params, err);
    if (!device || !dir)
        status = rp_fail(err, RP_ERROR_ARGUMENT, "rp_trainer_open: device and folder must not be NULL");
    rp_trainer *t = status ? NULL : rp_new(rp_trainer);
    if (!t && !status) status = rp_fail_memory(err, "a trainer", sizeof *t);
    if (status) return rp_world_agree(params->world, status, err); /* the others wait to open theirs */
    t->device = device;
    t->params = *params;
    t->user.drop = drop_user;
    rp_train_saved saved = {0};
    const char *resume = t->params.resume;
    status = make_model(t, dir, err);
    if (!status && resume) status = rp_train_saved_open(resume, &saved, err);
    status = open_in_turn(t, dir, random, resume ? &saved : NULL, status, err);
    rp_train_saved_finish(&saved);
    if (status)
        rp_trainer_close(&t);
    else
        *out = t;
    return status;
}

rp_status rp_trainer_open(rp_device *device, const char *dir, const rp_trainer_params *params,
                          rp_trainer **out, rp_error *err) {
    return make_trainer(device, dir, false, params, out, err);
}

rp_status rp_trainer_open_random(rp_device *device, const char *config, const rp_trainer_params *params,
                                 rp_trainer **out, rp_error *err) {
    return make_trainer(device, config, true, params, out, err);
}

rp_status rp_trainer_close(rp_trainer **pointer) {
    if (!pointer || !*pointer) return RP_OK;
    rp_trainer *t = *pointer;
    if (t->model && !rp_device_forked(t->device)) {
        rp_device_enter_to_close(t->device);
        rp_device_remove_user(t->device, &t->user);
        drop(t);
        rp_device_leave(t->device, RP_OK);
    }
    rp_model_close(&t->model);
    free(t->places);
    free(t->list);
    free(t->kernels);
    free(t);
    *pointer = NULL;
    return RP_OK;
}

rp_model *rp_trainer_model(rp_trainer *t) {
    return t ? t->model : NULL;
}
