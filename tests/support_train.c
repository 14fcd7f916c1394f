#include "support_train.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int32_t *read_integers(const json_t *list) {
    size_t count = json_array_size(list);
    int32_t *out = calloc(count + 1, sizeof *out);
    for (size_t i = 0; out && i < count; i++) out[i] = (int32_t)json_integer_value(json_array_get(list, i));
    return out;
}

static float *read_numbers(const json_t *list) {
    size_t count = json_array_size(list);
    float *out = calloc(count + 1, sizeof *out);
    for (size_t i = 0; out && i < count; i++) out[i] = (float)json_number_value(json_array_get(list, i));
    return out;
}

static bool read_batch(const json_t *json, rp_train_batch *out) {
    const json_t *list = json_object_get(json, "sequences"), *item;
    size_t count = json_array_size(list), i;
    rp_sequence *sequences = calloc(count + 1, sizeof *sequences);
    out->sequences = sequences;
    out->count = count;
    out->choices = 3;
    if (json_object_get(json, "labels")) out->labels = read_integers(json_object_get(json, "labels"));
    if (json_object_get(json, "targets")) out->targets = read_numbers(json_object_get(json, "targets"));
    if (json_object_get(json, "teacher")) out->teacher = read_numbers(json_object_get(json, "teacher"));
    if (!sequences) return false;
    json_array_foreach(list, i, item) {
        const json_t *types = json_object_get(item, "types");
        sequences[i].count = (uint32_t)json_array_size(json_object_get(item, "ids"));
        sequences[i].ids = read_integers(json_object_get(item, "ids"));
        if (types) sequences[i].type_ids = read_integers(types);
        if (!sequences[i].ids || (types && !sequences[i].type_ids)) return false;
    }
    return true;
}

/* The files of sentence-transformers, beside the model; without them the vector is the mean. */
static bool write_pooling(const train_case *c, bool first) {
    char text[200], dir[1100];
    if (!first) return true;
    snprintf(text, sizeof text,
             "{\"word_embedding_dimension\": %d, \"pooling_mode_cls_token\": true, "
             "\"pooling_mode_mean_tokens\": false}",
             (int)json_integer_value(json_object_get(json_object_get(c->g.root, "config"), "hidden_size")));
    snprintf(dir, sizeof dir, "%s/1_Pooling", c->g.dir);
    return !mkdir(dir, 0777) && fixture_write_text(dir, "config.json", text);
}

/* The folder of a case that has a model of its own. */
static bool build_own(train_case *c) {
    const json_t *list = json_object_get(c->root, "tensors"), *one;
    char *config = json_dumps(json_object_get(c->root, "config"), 0);
    fixture_tensor *tensors = calloc(json_array_size(list), sizeof *tensors);
    size_t i;
    bool good = config && tensors && fixture_make_dir(c->g.dir);
    c->g.temporary = good;
    json_array_foreach(list, i, one) {
        const json_t *shape = json_object_get(one, "shape");
        tensors[i] = (fixture_tensor){json_string_value(json_object_get(one, "name")),
                                      (uint32_t)json_integer_value(json_array_get(shape, 0)),
                                      (uint32_t)json_integer_value(json_array_get(shape, 1)),
                                      json_number_value(json_object_get(one, "scale")),
                                      json_number_value(json_object_get(one, "offset"))};
    }
    good = good && fixture_write_folder(c->g.dir, config, tensors, i, &(fixture_layout){0}, NULL);
    free(config);
    free(tensors);
    return good;
}

bool train_open(const char *name, train_case *out) {
    const fixture_layout layout = {0};
    char path[1024];
    *out = (train_case){0};
    snprintf(path, sizeof path, "%s/goldens/train/%s.json", TESTS_DIR, name);
    out->root = json_load_file(path, 0, NULL);
    const json_t *steps = json_object_get(out->root, "steps"),
                 *batches = json_object_get(out->root, "batches");
    if (json_array_size(steps) != TRAIN_STEPS || json_array_size(batches) != TRAIN_BATCHES) {
        fprintf(stderr, "%s: missing or damaged\n", path);
        return false;
    }
    for (size_t i = 0; i < TRAIN_STEPS; i++) {
        out->loss[i] = json_number_value(json_array_get(json_array_get(steps, i), 0));
        out->norm[i] = json_number_value(json_array_get(json_array_get(steps, i), 1));
    }
    out->learning_rate = json_number_value(json_object_get(out->root, "lr"));
    out->weight_decay = json_number_value(json_object_get(out->root, "decay"));
    const char *pooling = json_string_value(json_object_get(out->root, "vectors"));
    const char *of = json_string_value(json_object_get(out->root, "case"));
    bool good = of ? golden_open(of, &layout, &out->g) : build_own(out);
    for (size_t i = 0; good && i < TRAIN_BATCHES; i++)
        good = read_batch(json_array_get(batches, i), &out->batches[i]);
    if (pooling)
        out->vectors = out->batches[0].targets ? RP_VECTORS_SCORED : RP_VECTORS_IN_BATCH;
    else
        good = good && (out->batches[0].targets || out->batches[0].labels);
    return good && (!pooling || write_pooling(out, !strcmp(pooling, "cls")));
}

void train_close(train_case *c) {
    for (size_t b = 0; b < TRAIN_BATCHES; b++) {
        for (size_t i = 0; i < c->batches[b].count; i++) {
            free((void *)(uintptr_t)c->batches[b].sequences[i].ids);
            free((void *)(uintptr_t)c->batches[b].sequences[i].type_ids);
        }
        free((void *)(uintptr_t)c->batches[b].sequences);
        free((void *)(uintptr_t)c->batches[b].labels);
        free((void *)(uintptr_t)c->batches[b].targets);
        free((void *)(uintptr_t)c->batches[b].teacher);
    }
    json_decref(c->root);
    golden_close(&c->g);
    *c = (train_case){0};
}

rp_trainer_params train_params(const train_case *c) {
    return (rp_trainer_params){.schedule = RP_SCHEDULE_CONSTANT,
                               .learning_rate = c->learning_rate,
                               .weight_decay = c->weight_decay,
                               .taught = c->batches[0].teacher != NULL,
                               .vectors = c->vectors,
                               .early_exit = json_is_true(json_object_get(c->root, "early_exit")),
                               .freeze =
                                   (rp_train_freeze)json_integer_value(json_object_get(c->root, "freeze"))};
}
