#include "support_pretrain.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- instances ---- */

static int32_t *append(const json_t *list, int32_t *to) {
    size_t i;
    const json_t *item;
    json_array_foreach(list, i, item) *to++ = (int32_t)json_integer_value(item);
    return to;
}

/* All numbers of a batch, in one piece that its first sequence begins. */
static bool read_batch(const json_t *list, rp_train_batch *out) {
    size_t count = json_array_size(list), room = 0, i;
    const json_t *item;
    json_array_foreach(list, i, item) room += 4 * json_array_size(json_object_get(item, "ids"));
    rp_sequence *sequences = calloc(count, sizeof *sequences);
    int32_t *next = calloc(room + 2 * count, sizeof *next);
    if (!sequences || !next) return false;
    *out = (rp_train_batch){.sequences = sequences, .count = count};
    json_array_foreach(list, i, item) {
        const json_t *types = json_object_get(item, "types");
        sequences[i].count = (uint32_t)json_array_size(json_object_get(item, "ids"));
        sequences[i].ids = next;
        next = append(json_object_get(item, "ids"), next);
        if (types) sequences[i].type_ids = next;
        next = append(types, next);
    }
    out->masked_positions = (const uint32_t *)next;
    json_array_foreach(list, i, item) next = append(json_object_get(item, "masked_positions"), next);
    out->masked_ids = next;
    json_array_foreach(list, i, item) next = append(json_object_get(item, "masked_ids"), next);
    out->order = next;
    json_array_foreach(list, i, item) *next++ = (int32_t)json_integer_value(json_object_get(item, "order"));
    out->masked_counts = (const uint32_t *)next;
    json_array_foreach(list, i, item) *next++ =
        (int32_t)json_array_size(json_object_get(item, "masked_positions"));
    return true;
}

/* ---- the folder ---- */

static bool build_folder(pretrain_case *c) {
    const fixture_layout layout = {0};
    const json_t *list = json_object_get(c->root, "tensors"), *item;
    fixture_tensor *tensors = calloc(json_array_size(list), sizeof *tensors);
    char *config = json_dumps(json_object_get(c->root, "config"), 0), sum[32];
    uint64_t checksum = 0;
    size_t i;
    json_array_foreach(list, i, item) {
        const json_t *shape = json_object_get(item, "shape");
        tensors[i] = (fixture_tensor){.name = json_string_value(json_object_get(item, "name")),
                                      .rows = (uint32_t)json_integer_value(json_array_get(shape, 0)),
                                      .columns = (uint32_t)json_integer_value(json_array_get(shape, 1)),
                                      .scale = json_number_value(json_object_get(item, "scale")),
                                      .offset = json_number_value(json_object_get(item, "offset"))};
    }
    bool ok = config && fixture_make_dir(c->dir) &&
              fixture_write_folder(c->dir, config, tensors, json_array_size(list), &layout, &checksum);
    snprintf(sum, sizeof sum, "%016llx", (unsigned long long)checksum);
    if (ok && strcmp(sum, json_string_value(json_object_get(c->root, "checksum")))) {
        fprintf(stderr, "the generator disagrees with the script's\n");
        ok = false;
    }
    free(config);
    free(tensors);
    return ok;
}

bool pretrain_open(const char *name, pretrain_case *out) {
    char path[1024];
    *out = (pretrain_case){0};
    snprintf(path, sizeof path, "%s/goldens/pretrain/%s.json", TESTS_DIR, name);
    out->root = json_load_file(path, 0, NULL);
    const json_t *batches = json_object_get(out->root, "batches");
    if (json_array_size(batches) != PRETRAIN_BATCHES) {
        fprintf(stderr, "%s: missing or damaged\n", path);
        return false;
    }
    out->learning_rate = json_number_value(json_object_get(out->root, "lr"));
    out->weight_decay = json_number_value(json_object_get(out->root, "decay"));
    bool good = build_folder(out);
    for (size_t i = 0; good && i < PRETRAIN_BATCHES; i++) {
        out->lists[i] = json_array_get(batches, i);
        good = read_batch(out->lists[i], &out->batches[i]);
    }
    return good;
}

void pretrain_close(pretrain_case *c) {
    for (size_t b = 0; b < PRETRAIN_BATCHES; b++) {
        if (c->batches[b].sequences) free((void *)(uintptr_t)c->batches[b].sequences[0].ids);
        free((void *)(uintptr_t)c->batches[b].sequences);
    }
    json_decref(c->root);
    fixture_remove_dir(c->dir);
    *c = (pretrain_case){0};
}

rp_trainer_params pretrain_params(const pretrain_case *c, rp_optimizer optimizer) {
    const json_t *classes = json_object_get(json_object_get(c->root, "config"), "architectures");
    bool alone = strstr(json_string_value(json_array_get(classes, 0)), "ForMaskedLM");
    return (rp_trainer_params){.head = alone ? RP_HEAD_MASKED_LM : RP_TRAIN_BOTH,
                               .optimizer = optimizer,
                               .schedule = RP_SCHEDULE_CONSTANT,
                               .learning_rate = c->learning_rate,
                               .weight_decay = c->weight_decay};
}
