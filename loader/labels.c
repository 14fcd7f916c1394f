#include "loader/labels.h"

#include <math.h>
#include <stdio.h>

#include "loader/json.h"

/* ---- numbers ---- */

bool rp_label_whole(rp_text label, uint32_t most, uint32_t *out) {
    uint64_t value = 0;
    if (!label.size || label.size > 10) return false;
    for (size_t i = 0; i < label.size; i++) {
        if (label.data[i] < '0' || label.data[i] > '9') return false;
        value = 10 * value + (uint64_t)(label.data[i] - '0');
    }
    *out = (uint32_t)value;
    return value <= most;
}

int rp_label_fit(rp_text label) {
    enum { MOST = 60 };
    size_t size = label.size < MOST ? label.size : MOST;
    while (size && size < label.size && (label.data[size] & 0xC0) == 0x80) size--;
    return (int)size;
}

/* Write the number as JSON has it, which has no number that begins with a plus, a point or a zero too many.
 * Returns its bytes; 0: it is too long, or nothing. */
static int as_json(rp_text label, char out[64]) {
    while (label.size && (*label.data == ' ' || *label.data == '+')) label.data++, label.size--;
    while (label.size && label.data[label.size - 1] == ' ') label.size--;
    bool minus = label.size && *label.data == '-';
    if (minus) label.data++, label.size--;
    while (label.size > 1 && *label.data == '0' && label.data[1] >= '0' && label.data[1] <= '9')
        label.data++, label.size--;
    if (!label.size || label.size > 60) return 0;
    return snprintf(out, 64, "%s%s%.*s%s", minus ? "-" : "", *label.data == '.' ? "0" : "", (int)label.size,
                    label.data, label.data[label.size - 1] == '.' ? "0" : "");
}

rp_status rp_label_number(rp_text label, double *out, rp_error *err) {
    const rp_json_flags flags = {.any = true, .reals = true};
    rp_json_document document = {0};
    rp_json_mistake mistake = {0};
    char text[64];
    int size = as_json(label, text);
    bool number = size && rp_json_read(text, (size_t)size, flags, &document, &mistake) &&
                  rp_json_number(&document.root, out) && isfinite(*out);
    rp_json_finish(&document);
    if (mistake.memory) return rp_fail_memory(err, "a label", (unsigned)size);
    return number ? RP_OK
                  : rp_fail(err, RP_ERROR_FORMAT, "the label '%.*s' is no finite number", rp_label_fit(label),
                            label.data);
}

/* A label that is a whole number of up to 18 digits, perhaps below zero. */
static bool is_whole(const char *name, int64_t *out) {
    const char *digits = name + (*name == '-');
    size_t size = strlen(digits);
    int64_t value = 0;
    if (!size || size > 18 || (size > 1 && *digits == '0') || strspn(digits, "0123456789") != size)
        return false;
    while (*digits) value = 10 * value + (*digits++ - '0');
    *out = *name == '-' ? -value : value;
    return true;
}

/* ---- the labels of data ---- */

/* Where `label` is among the sorted names, or would be. */
static size_t place_of(const rp_labels *labels, rp_text label, bool *found) {
    size_t low = 0, high = labels->count;
    *found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const char *name = labels->names[middle];
        int order = strncmp(name, label.data, label.size);
        if (!order && name[label.size]) order = 1;
        if (!order) *found = true;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

rp_status rp_label_check(rp_text label, rp_error *err) {
    if (label.size && label.size <= RP_LABEL_BYTES_MAX && !memchr(label.data, '\0', label.size)) return RP_OK;
    return rp_fail(err, RP_ERROR_FORMAT, "the label is %s; name it in 1 to %d bytes",
                   !label.size                        ? "empty"
                   : label.size <= RP_LABEL_BYTES_MAX ? "no text, as it holds a NUL"
                                                      : "too long",
                   RP_LABEL_BYTES_MAX);
}

rp_status rp_labels_add(rp_labels *labels, rp_text label, rp_error *err) {
    bool found;
    size_t at = place_of(labels, label, &found);
    if (found) return RP_OK;
    if (labels->count == RP_LABELS_MAX)
        return rp_fail(err, RP_ERROR_UNSUPPORTED,
                       "there are more than %d different labels; choose another column, or regression where "
                       "they are measures",
                       RP_LABELS_MAX);
    char *copy = rp_arena_copy(&labels->arena, label.data, label.size);
    if (!copy || !rp_grow((void **)&labels->names, &labels->capacity, labels->count + 1, sizeof(char *)))
        return rp_fail_memory(err, "the labels", label.size);
    memmove(labels->names + at + 1, labels->names + at, (labels->count++ - at) * sizeof(char *));
    labels->names[at] = copy;
    return RP_OK;
}

static int by_value(const void *left, const void *right) {
    int64_t a = 0, b = 0;
    is_whole(*(const char *const *)left, &a);
    is_whole(*(const char *const *)right, &b);
    return a < b ? -1 : a > b;
}

void rp_labels_sort(rp_labels *labels) {
    int64_t value;
    for (size_t i = 0; i < labels->count; i++)
        if (!is_whole(labels->names[i], &value)) return;
    if (labels->count) qsort(labels->names, labels->count, sizeof *labels->names, by_value);
}

void rp_labels_finish(rp_labels *labels) {
    free(labels->names);
    rp_arena_finish(&labels->arena);
    *labels = (rp_labels){0};
}

/* ---- the rows of a classifier ---- */

static int compare(const char *name, rp_text label) {
    int order = strncmp(name, label.data, label.size);
    return order ? order : name[label.size] != '\0';
}

/* Heapsort's half: qsort has no place for the names that the rows are compared by. */
static void sift(const rp_label_map *map, uint32_t at, uint32_t count) {
    for (uint32_t child; (child = 2 * at + 1) < count; at = child) {
        uint32_t *order = map->order, row;
        if (child + 1 < count && strcmp(map->names[order[child]], map->names[order[child + 1]]) < 0) child++;
        if (strcmp(map->names[order[at]], map->names[order[child]]) >= 0) return;
        row = order[at], order[at] = order[child], order[child] = row;
    }
}

uint32_t rp_label_map_find(const rp_label_map *map, rp_text label) {
    uint32_t number, low = 0, high = map->count;
    if (!map->order)
        return map->count && rp_label_whole(label, map->count - 1, &number) ? number : UINT32_MAX;
    if (!label.data || memchr(label.data, '\0', label.size)) return UINT32_MAX;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (compare(map->names[map->order[middle]], label) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < map->count && !compare(map->names[map->order[low]], label) ? map->order[low] : UINT32_MAX;
}

/* The first label that neither map finds; NULL: there is none. */
static const char *unknown(const rp_label_map *map, const rp_label_map *other, const rp_labels *labels) {
    for (size_t i = 0; i < labels->count; i++) {
        rp_text label = {labels->names[i], strlen(labels->names[i])};
        if (rp_label_map_find(map, label) == UINT32_MAX && rp_label_map_find(other, label) == UINT32_MAX)
            return labels->names[i];
    }
    return NULL;
}

rp_status rp_label_map_make(rp_label_map *map, const rp_labels *labels, const char *const *names,
                            uint32_t count, const char **which, rp_error *err) {
    *map = (rp_label_map){.order = rp_new_array(uint32_t, count), .names = names, .count = count};
    if (!map->order) return rp_fail_memory(err, "the labels", 4ull * count);
    for (uint32_t i = 0; i < count; i++) map->order[i] = i;
    for (uint32_t i = count / 2; i--;) sift(map, i, count);
    for (uint32_t end = count; end-- > 1;) {
        uint32_t row = map->order[0];
        map->order[0] = map->order[end];
        map->order[end] = row;
        sift(map, 0, end);
    }
    const rp_label_map named = *map, numbered = {.count = count};
    const char *missing = unknown(&named, &named, labels);
    if (!missing) return RP_OK;
    bool all = !unknown(&numbered, &numbered, labels);
    const char *neither = unknown(&named, &numbered, labels);
    rp_label_map_finish(map);
    if (all) {
        *map = numbered;
        return RP_OK;
    }
    if (neither) missing = neither;
    if (which) *which = missing;
    return rp_fail(err, RP_ERROR_FORMAT,
                   "the label '%.*s' is none of the model's %u (%.*s, ...), nor the number of one; name "
                   "labels as id2label of config.json has them",
                   rp_text_fit(missing, 60), missing, (unsigned)count, count ? rp_text_fit(names[0], 60) : 0,
                   count ? names[0] : "");
}

void rp_label_map_finish(rp_label_map *map) {
    free(map->order);
    *map = (rp_label_map){0};
}
