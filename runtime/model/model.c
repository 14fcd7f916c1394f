/* Opening and closing a model. */
#include "base/os.h"
#include "model/canary.h"
#include "model/ticks.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "loader/tokenizer.h"
#include "reprise/pull.h"
#include "ops/attempts.h"

/* A thread opens the tokenizer while this one makes the device ready: neither needs the other. */
typedef struct side_work {
    rp_model *model;
    pthread_t thread;
    bool threaded;
    rp_error err;
} side_work;

/* A folder without any tokenizer file still serves token ids. */
static void *open_tokenizer(void *pointer) {
    side_work *side = pointer;
    rp_model *model = side->model;
    rp_error *err = &side->err;
    bool has = false;
    rp_records_use(model->records);
    rp_status status = rp_tokenizer_exists(model->files, &has, err);
    if (!status && has) status = rp_tokenizer_open(model->files, &model->tokenizer, err);
    if (!status && has) status = rp_tokenizer_check_ids(model->tokenizer, model->config.vocab_size, err);
    err->status = status;
    return NULL;
}

/* Wait for that thread; returns its error where `status` is none. */
static rp_status end_side_work(side_work *side, rp_status status, rp_error *err) {
    double begun = rp_seconds();
    if (side->threaded) pthread_join(side->thread, NULL);
    if (side->threaded) side->model->start.files += rp_seconds() - begun;
    if (status || !side->err.status) return status;
    *err = side->err;
    return err->status;
}

static void fill_info(rp_model *model) {
    const rp_config *config = &model->config;
    model->info = (rp_model_info){.dir = model->dir,
                                  .architecture = config->architecture,
                                  .vocab_size = config->vocab_size,
                                  .embedding_size = config->embedding_size,
                                  .hidden_size = config->hidden_size,
                                  .intermediate_size = config->intermediate_size,
                                  .layers = config->layers,
                                  .groups = config->groups,
                                  .inner_layers = config->inner_layers,
                                  .heads_of_attention = config->attention_heads,
                                  .max_tokens = config->max_positions,
                                  .parameters = model->weights.parameters,
                                  .precision = model->precision,
                                  .heads = model->weights.heads & ~(config->no_pooler ? RP_HEAD_POOLER : 0u),
                                  .problem = config->problem,
                                  .label_count = config->label_count,
                                  .labels = config->labels,
                                  .label_bare = config->label_bare};
}

/* ---- what lies on the device ---- */

/* Everything but the weights. */
static void drop_recordings(rp_model *model) {
    rp_device *device = model->device;
    rp_activations *a = &model->activations;
    rp_buffer *buffers[] = {&a->input, &a->output, &a->exits, &a->hidden, &a->wide};
    RP_DESTROY(device, vkDestroyFence, model->fence);
    model->fence = VK_NULL_HANDLE;
    rp_ops_drop(&model->ops);
    for (size_t i = 0; i < RP_COUNT(buffers); i++) rp_buffer_destroy(device, buffers[i]);
    free(model->groups);
    free(model->parts);
    free(model->steps);
    free(model->submitted);
    model->groups = model->parts = model->submitted = NULL;
    model->steps = NULL;
}

static void drop(rp_model *model) {
    model->built = false;
    rp_ticks_drop(model->ticks);
    drop_recordings(model);
    rp_device_weights_finish(&model->on_device);
}

static void drop_user(rp_device_user *user) {
    drop((rp_model *)((char *)user - offsetof(rp_model, user)));
}

/* The device has everything: files give their pages back, and random weights can be made again. */
static void rest_weights(rp_model *model) {
    if (model->random && !model->canary)
        rp_weights_finish(&model->weights);
    else
        rp_weights_rest(&model->weights);
}

/* Where the device has no room for a batch, half of it, down to the longest sequence. */
static rp_status record_what_fits(rp_model *model, uint32_t wanted, rp_error *err) {
    for (uint32_t last = 0;;) {
        rp_status status = rp_model_record(model, wanted, err);
        uint32_t tried = model->batch_tokens;
        if (status != RP_ERROR_DEVICE_MEMORY || tried <= model->config.max_positions || tried == last)
            return status;
        drop_recordings(model);
        last = tried;
        wanted = tried / 2;
    }
}

/* What the model needs at least, and what there is. */
static rp_status fail_to_fit(const rp_model *model, uint64_t weights, rp_error *err) {
    const rp_device_info *info = &model->device->caps.info;
    uint64_t batch = rp_model_activation_bytes(model, model->config.max_positions), mib = 1 << 20, bytes = 0;
    bool known = rp_device_memory_left(model->device, &bytes);
    if (!known) bytes = rp_device_memory_used(model->device);
    rp_error why = *err;
    return rp_fail(
        err, RP_ERROR_DEVICE_MEMORY,
        "%.120s needs about %llu MiB of device memory, %llu for its weights and %llu for a sequence of "
        "%u tokens, and %.80s has %llu MiB, %llu MiB of them %s; take a smaller precision, a smaller model "
        "or another "
        "device (%.120s)",
        model->dir, (unsigned long long)((weights + batch + mib - 1) / mib),
        (unsigned long long)((weights + mib - 1) / mib), (unsigned long long)((batch + mib - 1) / mib),
        model->config.max_positions, info->name, (unsigned long long)(info->memory_bytes / mib),
        (unsigned long long)(bytes / mib), known ? "free" : "in use here", why.message);
}

/* The model's weights again, where rest_weights gave them up. */
static rp_status find_weights(rp_model *model, rp_error *err) {
    if (!model->random) return rp_weights_check_unchanged(&model->weights, err);
    if (model->canary) return RP_OK; /* which kept them */
    rp_weights_finish(&model->weights);
    return rp_weights_random(&model->config, model->random_seed, &model->weights, err);
}

/* Make everything that a model has on its device, which this thread has entered; where that fails nothing
 * stays there. `most_tokens`: of a batch; 0: as many as suit the model. `verify` says whether to cross-check;
 * NULL: as before. */
static rp_status build(rp_model *model, uint32_t most_tokens, const rp_model_params *verify, rp_error *err) {
    uint64_t weights = rp_model_weight_bytes(model);
    double begun = rp_seconds();
    rp_status status;
    RP_TRY(rp_model_upload(model, err));
    model->start.upload = rp_seconds() - begun;
    RP_TRY(record_what_fits(model, most_tokens, err));
    RP_TRY(rp_model_measure_pace(model, err));
    if (verify && verify->verify_every && !model->canary)
        RP_TRY(rp_canary_open(model, verify, &model->canary, err));
    model->built = true;
done:
    rest_weights(model);
    if (status == RP_ERROR_DEVICE_MEMORY) status = fail_to_fit(model, weights, err);
    if (status) drop(model);
    return status;
}

rp_status rp_model_enter_to_rebuild(rp_model *model, rp_error *err) {
    rp_status status = find_weights(model, err);
    if (!status) status = rp_device_enter(model->device, err);
    if (status) {
        rest_weights(model);
        return status;
    }
    status = build(model, model->info.max_batch_tokens, NULL, err);
    return status ? rp_device_leave(model->device, status) : RP_OK;
}

/* Build a model that is being opened, on the device that this thread has entered, and leave the device. */
static rp_status build_and_leave(rp_model *model, const rp_model_params *params, rp_error *err) {
    rp_device *device = model->device;
    rp_start_times *start = &model->start;
    const rp_activations *a = &model->activations;
    rp_pipelines made = {0}; /* for the cache folder */
    double begun = rp_seconds(), pipelines = device->spent.pipelines, tuning = device->spent.tuning;
    fill_info(model);
    rp_status status = build(model, params ? params->max_batch_tokens : 0, params, err);
    if (!status) {
        model->info.max_batch_tokens = model->batch_tokens;
        /* not what the device holds more than before: other models may be opening on it */
        model->info.device_bytes = rp_store_bytes(&model->on_device.store) + a->input.allocated +
                                   a->output.allocated + a->hidden.allocated + a->wide.allocated;
        start->pipelines = device->spent.pipelines - pipelines;
        start->tuning = device->spent.tuning - tuning;
        rp_device_take_pipelines(device, &made);
        rp_device_add_user(device, &model->user);
    }
    rp_device_leave(device, status);
    rp_device_write_pipelines(device, &made);
    start->recording = rp_seconds() - begun - start->upload - start->pipelines - start->tuning;
    return status;
}

/* ---- opening and closing ---- */

/* Of a model with random weights that is to be trained. */
static rp_status name_classifier(rp_model *model, rp_error *err) {
    static const char name[] = "AlbertForSequenceClassification";
    model->config.architecture = rp_arena_copy(&model->config.arena, name, sizeof name - 1);
    model->new_head = NULL;
    return model->config.architecture ? RP_OK : rp_fail_memory(err, "a config", sizeof name);
}

/* Applications read it of a folder when they need it; records are there no longer by then. */
static void load_thresholds(rp_model *model) {
    static const char path[] = RP_RECORDS_DIR "/thresholds.json";
    rp_error *err = &model->thresholds_error;
    if (rp_path_exists(path)) err->status = rp_json_load(path, &model->thresholds, err);
}

/* Configuration and weights, and what else is in the folder. */
static rp_status load_files(rp_model *model, const rp_model_params *params, const rp_to_train *how,
                            side_work *side, rp_error *err) {
    const char *dir = model->dir;
    rp_status status;
    if (model->random) {
        RP_TRY(rp_config_preset(dir, &model->config, err));
        uint32_t groups = params ? params->random_groups : 0;
        if (groups > model->config.layers)
            RP_TRY(rp_fail(err, RP_ERROR_ARGUMENT,
                           "rp_model_open_random: random_groups is %u and the model has %u layers", groups,
                           model->config.layers));
        if (groups) model->config.groups = groups;
        if (model->new_head) RP_TRY(name_classifier(model, err));
        model->random_seed = params ? params->random_seed : 0;
        RP_TRY(rp_weights_random(&model->config, model->random_seed, &model->weights, err));
    } else {
        RP_TRY(rp_pooling_transformer(dir, &model->files, err));
        RP_TRY(rp_config_load(model->files, &model->config, err));
        model->config.head = params && !model->new_head ? params->head : 0;
        side->model = model;
        side->threaded = !pthread_create(&side->thread, NULL, open_tokenizer, side);
        if (!side->threaded) open_tokenizer(side);
        RP_TRY(rp_weights_load(model->files, &model->config, &model->weights, err));
        if (model->new_head)
            RP_TRY(rp_weights_make_head(model->new_head, &model->config, &model->weights, err));
        if (how && !(model->new_head && model->new_head->exits))
            rp_weights_drop_exits(&model->config, &model->weights);
        model->new_head = NULL;
        model->pooling_error.status =
            rp_pooling_load(dir, model->config.hidden_size, &model->pooling, &model->pooling_error);
        if (model->records) load_thresholds(model);
    }
done:
    return status;
}

/* Everything that a model has. */
static void destroy(rp_model *model) {
    rp_device *device = model->device;
    rp_canary_close(&model->canary); /* without holding the device up */
    rp_device_enter_to_close(device);
    rp_device_remove_user(device, &model->user);
    drop(model);
    rp_device_leave(device, RP_OK);
    rp_ops_finish(&model->ops);
    rp_weights_finish(&model->weights);
    rp_config_finish(&model->config);
    rp_tokenizer_close(&model->tokenizer);
    rp_pooling_finish(&model->pooling);
    rp_json_finish(&model->thresholds);
    rp_turns_finish(&model->turns);
    pthread_cond_destroy(&model->depth_left);
    pthread_mutex_destroy(&model->depth_lock);
    rp_gate_finish(&model->gate);
    free(model->files);
    free(model->dir);
    free(model);
}

/* Enter the device, build the model, and leave. Where this thread loses the device it opens it again and
 * starts anew: once for a loss that is noted against no kernel, and as often as one is, which is passed over
 * then. Not where the device hung: the caller has waited long enough. */
static rp_status enter_to_build(rp_model *model, const rp_model_params *params, rp_error *err) {
    rp_device *device = model->device;
    uint32_t noted = rp_losses_noted(device);
    rp_status status = rp_device_enter(device, err);
    for (bool blameless = false; !status;) {
        status = build_and_leave(model, params, err);
        uint32_t now = rp_losses_noted(device);
        if (status != RP_ERROR_DEVICE_LOST || device->hung || (now == noted && blameless)) break;
        if (now == noted) blameless = true;
        noted = now;
        status = find_weights(model, err);
        if (!status) status = rp_device_enter(device, err);
    }
    return status;
}

/* Within the visit of this thread to the device. `dir` becomes the model's. This thread reads the files
 * before it enters the device, and waits for the tokenizer after it has left: whoever opens a lost device
 * again waits for those that have entered. */
static rp_status make_model(rp_device *device, char *dir, bool random, const rp_records *records,
                            const rp_model_params *params, const rp_to_train *how, rp_model **out,
                            rp_error *err) {
    rp_model *model = rp_new(rp_model);
    side_work side = {0};
    double begun = rp_seconds();
    if (!model) {
        free(dir);
        return rp_fail_memory(err, "a model", sizeof *model);
    }
    model->device = device;
    model->user.drop = drop_user;
    model->pace.limit = device->submit_limit;
    model->pace.batch = device->batch_limit;
    model->dir = dir;
    model->random = random;
    model->records = records;
    model->from_records = records;
    if (how) {
        model->new_head = how->head;
        model->ops.wanted = how->wanted;
        model->ops.wanted_count = how->wanted_count;
    }
    if (params) model->precision = params->precision;
    model->half = model->precision >= RP_PRECISION_F16;
    rp_turns_init(&model->turns);
    pthread_mutex_init(&model->depth_lock, NULL);
    pthread_cond_init(&model->depth_left, NULL);
    rp_gate_init(&model->gate);
    rp_records_use(records);
    rp_status status = load_files(model, params, how, &side, err);
    rp_records_use(NULL);
    model->start.files = rp_seconds() - begun;
    if (!status) status = rp_call_check(err);
    if (!status) status = enter_to_build(model, params, err);
    status = end_side_work(&side, status, err);
    model->ops.wanted_count = 0;
    model->records = NULL;
    if (status)
        destroy(model);
    else
        *out = model;
    return status;
}

static rp_status check_open(const rp_device *device, const char *name, bool random,
                            const rp_model_params *params, rp_model **out, rp_error *err) {
    if (!out) return rp_fail(err, RP_ERROR_ARGUMENT, "rp_model_open: out must not be NULL");
    *out = NULL;
    if (!device || !name)
        return rp_fail(err, RP_ERROR_ARGUMENT, "rp_model_open: device and folder must not be NULL");
    if (params && (unsigned)params->precision > RP_PRECISION_INT4)
        return rp_fail(err, RP_ERROR_ARGUMENT, "rp_model_open: precision %d is not one of rp_precision",
                       (int)params->precision);
    rp_head head = params ? params->head : 0;
    if (head && (random || (head != RP_HEAD_CLASSIFIER && head != RP_HEAD_TOKENS && head != RP_HEAD_SPANS &&
                            head != RP_HEAD_CHOICE)))
        return rp_fail(err, RP_ERROR_ARGUMENT,
                       random ? "rp_model_open_random: head is %d and must be 0: the config says which it has"
                              : "rp_model_open: head %d is not one of RP_HEAD_CLASSIFIER, RP_HEAD_TOKENS, "
                                "RP_HEAD_SPANS and RP_HEAD_CHOICE",
                       (int)head);
    rp_status status =
        rp_check_reserved(params ? params->reserved : NULL, RP_COUNT(params->reserved), "rp_model_open", err);
    return status ? status : rp_device_check_owner(device, err);
}

/* `records` or NULL; with them, `name` is their folder. */
static rp_status open_model(rp_device *device, const char *name, bool random, const rp_records *records,
                            const rp_model_params *params, const rp_to_train *how, rp_model **out,
                            rp_error *err) {
    rp_error unwanted;
    rp_visit visit;
    char *dir = NULL;
    if (!err) err = &unwanted;
    rp_status status = check_open(device, name, random, params, out, err);
    if (!status)
        status = rp_visit_enter(&visit, &device->gate, params ? params->call : NULL, "rp_model_open", err);
    if (status) return status;
    if (!random && !records)
        status = rp_find_model(name, &dir, err);
    else if (!(dir = strdup(name)))
        status = rp_fail_memory(err, "a model", strlen(name));
    if (!status) status = make_model(device, dir, random, records, params, how, out, err);
    rp_visit_leave(&visit);
    return status;
}

rp_status rp_model_open(rp_device *device, const char *dir, const rp_model_params *params, rp_model **out,
                        rp_error *err) {
    return open_model(device, dir, false, NULL, params, NULL, out, err);
}

rp_status rp_model_open_records(rp_device *device, const rp_record *records, size_t count,
                                const rp_model_params *params, rp_model **out, rp_error *err) {
    rp_records list;
    if (out) *out = NULL;
    rp_status status = rp_records_check(records, count, "rp_model_open_records", &list, err);
    if (status) return status;
    status = open_model(device, RP_RECORDS_DIR, false, &list, params, NULL, out, err);
    free(list.sorted);
    return status;
}

rp_status rp_model_open_to_train(rp_device *device, const char *dir, const rp_model_params *params,
                                 const rp_to_train *how, rp_model **out, rp_error *err) {
    return open_model(device, dir, how->random, NULL, params, how, out, err);
}

rp_status rp_model_open_random(rp_device *device, const char *config, const rp_model_params *params,
                               rp_model **out, rp_error *err) {
    return open_model(device, config, true, NULL, params, NULL, out, err);
}

static bool has_queue(rp_model *model) {
    pthread_mutex_lock(&model->depth_lock);
    bool queued = model->queued;
    pthread_mutex_unlock(&model->depth_lock);
    return queued;
}

rp_status rp_model_close(rp_model **pointer) {
    if (!pointer || !*pointer) return RP_OK;
    rp_model *model = *pointer;
    bool forked = rp_device_forked(model->device);
    if (!forked && (has_queue(model) || !rp_gate_close(&model->gate))) return RP_ERROR_ARGUMENT;
    *pointer = NULL;
    if (!forked) destroy(model);
    return RP_OK;
}

void rp_model_verify_counts(rp_model *model, bool wait, rp_verify_counts *out) {
    rp_visit visit;
    *out = (rp_verify_counts){0};
    if (!model || !model->canary || rp_device_forked(model->device) ||
        rp_visit_enter(&visit, &model->gate, NULL, "rp_model_verify_counts", NULL))
        return;
    rp_canary_counts(model->canary, wait, out);
    rp_visit_leave(&visit);
}
