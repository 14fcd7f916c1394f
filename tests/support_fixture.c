#include "support_fixture.h"
#include "support_pytorch.h"

#include <dirent.h>
#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static bool complain(const char *where, const char *what) {
    fprintf(stderr, "fixture: %s: %s\n", where, what);
    return false;
}

/* ---- the device ---- */

rp_device *fixture_device;

int fixture_open_device(void **state) {
    rp_error err = {0};
    (void)state;
    if (rp_device_open(NULL, &fixture_device, &err)) complain("the device", err.message);
    return fixture_device ? 0 : -1;
}

int fixture_close_device(void **state) {
    (void)state;
    rp_device_close(&fixture_device);
    return 0;
}

/* ---- folders ---- */

/* Folders that a failed test left: removed when the program ends. */
static char left_over[64][FIXTURE_PATH_SIZE];

static void remove_left_over(void) {
    for (size_t i = 0; i < 64; i++) fixture_remove_dir(left_over[i]);
}

static void remember_dir(const char *dir) {
    static bool registered;
    if (!registered) registered = atexit(remove_left_over) == 0;
    for (size_t i = 0; i < 64; i++)
        if (!left_over[i][0]) {
            memcpy(left_over[i], dir, strlen(dir) + 1);
            return;
        }
}

static void forget_dir(const char *dir) {
    for (size_t i = 0; i < 64; i++)
        if (!strcmp(left_over[i], dir)) left_over[i][0] = '\0';
}

int fixture_stride(int step) {
    return getenv("REPRISE_TEST_LONG") ? 1 : step;
}

bool fixture_make_dir(char dir[FIXTURE_PATH_SIZE]) {
    const char *tmp = getenv("TMPDIR");
    int n = snprintf(dir, FIXTURE_PATH_SIZE, "%s/reprise-fixture-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (n >= FIXTURE_PATH_SIZE || !mkdtemp(dir)) {
        dir[0] = '\0';
        return complain(tmp ? tmp : "/tmp", "cannot make a folder there");
    }
    remember_dir(dir);
    return true;
}

static void join(char path[2 * FIXTURE_PATH_SIZE], const char *dir, const char *name) {
    snprintf(path, 2 * FIXTURE_PATH_SIZE, "%s/%s", dir, name);
}

void fixture_remove_dir(const char *dir) {
    DIR *d = *dir ? opendir(dir) : NULL;
    if (!d) return;
    for (struct dirent *entry; (entry = readdir(d));) {
        char path[2 * FIXTURE_PATH_SIZE];
        join(path, dir, entry->d_name);
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..") && unlink(path))
            fixture_remove_dir(path);
    }
    closedir(d);
    rmdir(dir);
    forget_dir(dir);
}

bool fixture_write_text(const char *dir, const char *name, const char *text) {
    char path[2 * FIXTURE_PATH_SIZE];
    join(path, dir, name);
    FILE *f = fopen(path, "wb");
    if (!f) return complain(path, "cannot be written");
    bool ok = fwrite(text, 1, strlen(text), f) == strlen(text);
    ok = fclose(f) == 0 && ok;
    return ok || complain(path, "cannot be written");
}

char *fixture_read(const char *dir, const char *name, size_t *size) {
    char path[2 * FIXTURE_PATH_SIZE];
    snprintf(path, sizeof path, "%s%s%s", dir ? dir : "", dir ? "/" : "", name);
    FILE *file = fopen(path, "rb");
    if (!file) fail_msg("%s is missing", path);
    fseek(file, 0, SEEK_END);
    *size = (size_t)ftell(file);
    rewind(file);
    char *bytes = calloc(1, *size + 1);
    if (!bytes || fread(bytes, 1, *size, file) != *size) fail_msg("%s cannot be read", path);
    fclose(file);
    return bytes;
}

/* ---- the generator ---- */

static uint64_t hash_name(const char *name) {
    uint64_t h = 0xCBF29CE484222325u; // FNV-1a
    for (; *name; name++) h = (h ^ (unsigned char)*name) * 0x100000001B3u;
    return h;
}

/* Element i of the splitmix64 stream of `seed`. */
static uint64_t stream_at(uint64_t seed, uint64_t i) {
    uint64_t z = seed + (i + 1) * 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static float element_at(const fixture_tensor *t, uint64_t seed, uint64_t i) {
    double x = (double)(stream_at(seed, i) >> 40) / (1 << 23) - 1.0;
    return (float)(t->offset + t->scale * x);
}

static uint32_t float_bits(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static float bits_float(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Round to the nearest even bfloat16. */
static uint16_t to_bf16(float x) {
    uint32_t bits = float_bits(x);
    return (uint16_t)((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
}

/* Round to the nearest even half. |x| < 65504. */
static uint16_t to_f16(float x) {
    uint32_t bits = float_bits(x), sign = bits >> 16 & 0x8000;
    float magnitude = fabsf(x);
    if (magnitude < 0x1p-14f) // a subnormal half counts in steps of 2^-24
        return (uint16_t)(sign | (uint32_t)rintf(magnitude * 0x1p24f));
    bits = float_bits(magnitude) - (112u << 23);
    return (uint16_t)(sign | (bits + 0xFFF + (bits >> 13 & 1)) >> 13);
}

static float from_f16(uint16_t half) {
    uint32_t exponent = half >> 10 & 31, fraction = half & 0x3FF;
    float magnitude =
        exponent ? bits_float((exponent + 112) << 23 | fraction << 13) : (float)fraction * 0x1p-24f;
    return half & 0x8000 ? -magnitude : magnitude;
}

size_t fixture_elements(const fixture_tensor *t) {
    return (size_t)t->rows * (t->columns ? t->columns : 1);
}

static bool is_int8(const fixture_tensor *t) {
    return t->scale < 0;
}

size_t fixture_element_size(const fixture_tensor *t, fixture_dtype dtype) {
    return is_int8(t) ? 1 : dtype == FIXTURE_F64 ? 8 : dtype == FIXTURE_F32 ? 4 : 2;
}

bool fixture_write_elements(FILE *f, const fixture_tensor *t, const fixture_layout *layout,
                            uint64_t *checksum) {
    fixture_dtype dtype = layout->dtype;
    uint64_t seed = hash_name(t->name);
    size_t n = fixture_elements(t);
    for (size_t k = 0; k < n; k++) {
        size_t i = layout->transposed && t->columns ? k % t->rows * t->columns + k / t->rows : k;
        float x = element_at(t, seed, i);
        uint32_t word = float_bits(x), stored = word;
        if (dtype == FIXTURE_F16) {
            word = to_f16(x);
            stored = float_bits(from_f16((uint16_t)word));
        } else if (dtype == FIXTURE_BF16) {
            word = to_bf16(x);
            stored = word << 16;
        }
        *checksum += stored;
        unsigned char bytes[4] = {word & 255, word >> 8 & 255, word >> 16 & 255, word >> 24};
        double wide = x;
        size_t size = fixture_element_size(t, dtype);
        if (is_int8(t)) bytes[0] = 0;
        if (fwrite(dtype == FIXTURE_F64 && !is_int8(t) ? (void *)&wide : bytes, 1, size, f) != size)
            return false;
    }
    return true;
}

/* ---- safetensors ---- */

void fixture_file_name(const fixture_tensor *t, const fixture_layout *layout, char out[FIXTURE_PATH_SIZE]) {
    const char *name = t->name, *strip = layout->strip_prefix;
    if (strip && !strncmp(name, strip, strlen(strip))) name += strlen(strip);
    snprintf(out, FIXTURE_PATH_SIZE, "%s%s", layout->add_prefix ? layout->add_prefix : "", name);
}

/* The header of shard `shard`, which takes every `shards`-th tensor. Freed by the caller. */
static char *make_header(const fixture_tensor *tensors, size_t count, const fixture_layout *layout,
                         size_t shard, size_t shards) {
    static const char *const dtypes[] = {"F32", "F16", "BF16", "F64"};
    json_t *header = json_pack("{s:{s:s}}", "__metadata__", "format", "pt");
    json_int_t at = 0;
    for (size_t i = shard; i < count; i += shards) {
        char name[FIXTURE_PATH_SIZE];
        json_t *shape = json_array();
        json_int_t end = at + (json_int_t)(fixture_elements(&tensors[i]) *
                                           fixture_element_size(&tensors[i], layout->dtype));
        json_array_append_new(shape, json_integer(tensors[i].rows));
        if (tensors[i].columns) json_array_append_new(shape, json_integer(tensors[i].columns));
        fixture_file_name(&tensors[i], layout, name);
        json_object_set_new(header, name,
                            json_pack("{s:s, s:o, s:[I,I]}", "dtype",
                                      is_int8(&tensors[i]) ? "I8" : dtypes[layout->dtype], "shape", shape,
                                      "data_offsets", at, end));
        at = end;
    }
    char *text = json_dumps(header, JSON_COMPACT);
    json_decref(header);
    return text;
}

/* The header is not padded: tensors may begin at any byte, and readers have to cope. */
static bool write_shard(const char *path, const fixture_tensor *tensors, size_t count,
                        const fixture_layout *layout, size_t shard, size_t shards, uint64_t *checksum) {
    char *header = make_header(tensors, count, layout, shard, shards);
    FILE *f = header ? fopen(path, "wb") : NULL;
    bool ok = f != NULL;
    if (ok) {
        uint64_t size = strlen(header);
        for (int i = 0; i < 8; i++) ok = fputc((int)(size >> 8 * i & 255), f) != EOF && ok;
        ok = fwrite(header, 1, size, f) == size && ok;
        for (size_t i = shard; ok && i < count; i += shards)
            ok = fixture_write_elements(f, &tensors[i], layout, checksum);
        ok = fclose(f) == 0 && ok;
    }
    free(header);
    return ok || complain(path, "cannot be written");
}

/* Shard `shard` of `shards`, counted from 0; the whole when there is one. */
static void shard_name(const fixture_layout *layout, uint32_t shard, uint32_t shards, char out[64]) {
    const char *base = layout->form ? "pytorch_model" : "model",
               *suffix = layout->form ? "bin" : "safetensors";
    if (shards > 1)
        snprintf(out, 64, "%s-%05u-of-%05u.%s", base, shard + 1, shards, suffix);
    else
        snprintf(out, 64, "%s.%s", base, suffix);
}

static bool write_index(const char *dir, const fixture_tensor *tensors, size_t count,
                        const fixture_layout *layout) {
    json_t *map = json_object();
    json_int_t total = 0;
    for (size_t i = 0; i < count; i++) {
        char name[FIXTURE_PATH_SIZE], file[64];
        fixture_file_name(&tensors[i], layout, name);
        shard_name(layout, (uint32_t)(i % layout->shards), layout->shards, file);
        json_object_set_new(map, name, json_string(file));
        total +=
            (json_int_t)(fixture_elements(&tensors[i]) * fixture_element_size(&tensors[i], layout->dtype));
    }
    json_t *root = json_pack("{s:{s:I}, s:o}", "metadata", "total_size", total, "weight_map", map);
    char *text = json_dumps(root, JSON_INDENT(2));
    const char *name = layout->form ? "pytorch_model.bin.index.json" : "model.safetensors.index.json";
    bool ok = text && fixture_write_text(dir, name, text);
    free(text);
    json_decref(root);
    return ok;
}

bool fixture_write_folder(const char *dir, const char *config, const fixture_tensor *tensors, size_t count,
                          const fixture_layout *layout, uint64_t *checksum) {
    uint64_t sum = 0;
    bool ok = fixture_write_text(dir, "config.json", config);
    uint32_t shards = layout->shards > 1 ? layout->shards : 1;
    for (uint32_t s = 0; ok && s < shards; s++) {
        char name[64], path[2 * FIXTURE_PATH_SIZE];
        shard_name(layout, s, shards, name);
        join(path, dir, name);
        if (layout->form)
            ok = fixture_write_pytorch(path, tensors, count, layout, s, shards, &sum);
        else
            ok = write_shard(path, tensors, count, layout, s, shards, &sum);
    }
    if (ok && shards > 1) ok = write_index(dir, tensors, count, layout);
    if (checksum) *checksum = sum;
    return ok;
}

/* ---- reading goldens ---- */

static const char *const output_names[] = {"hidden", "mean",  "cls",    "max",       "pooled", "classes",
                                           "tokens", "spans", "choice", "masked_lm", "order"};
enum { OUTPUTS = sizeof output_names / sizeof output_names[0] };

const char *golden_output_name(rp_output output) {
    return (size_t)output < OUTPUTS ? output_names[output] : "?";
}

static float *read_floats(const char *path, size_t *count) {
    FILE *f = fopen(path, "rb");
    if (!f) return NULL;
    float *values = NULL;
    unsigned char bytes[4];
    long size = fseek(f, 0, SEEK_END) ? -1 : ftell(f);
    if (size >= 0) values = calloc((size_t)size / 4 + 1, sizeof *values);
    rewind(f);
    *count = 0;
    while (values && *count < (size_t)size / 4 && fread(bytes, 1, 4, f) == 4)
        values[(*count)++] = bits_float((uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 |
                                        (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24);
    fclose(f);
    return values;
}

/* An array of whole numbers as int32. NULL when `json` is no array. */
static int32_t *read_ids(const json_t *json) {
    size_t n = json_array_size(json);
    int32_t *ids = json_is_array(json) ? calloc(n ? n : 1, sizeof *ids) : NULL;
    for (size_t i = 0; ids && i < n; i++) ids[i] = (int32_t)json_integer_value(json_array_get(json, i));
    return ids;
}

static bool read_sequences(golden *g) {
    json_t *list = json_object_get(g->root, "sequences"), *rows = json_object_get(g->root, "rows");
    g->sequence_count = json_array_size(list);
    g->row_count = json_array_size(rows);
    g->sequences = calloc(g->sequence_count + 1, sizeof *g->sequences);
    g->rows = calloc(g->row_count + 1, sizeof *g->rows);
    if (!g->sequences || !g->rows) return false;
    for (size_t i = 0; i < g->sequence_count; i++) {
        json_t *ids = json_object_get(json_array_get(list, i), "ids");
        json_t *types = json_object_get(json_array_get(list, i), "types");
        g->sequences[i] =
            (rp_sequence){.ids = read_ids(ids), .type_ids = read_ids(types), .count = json_array_size(ids)};
        if (!g->sequences[i].ids) return false;
        g->token_count += g->sequences[i].count;
    }
    for (size_t i = 0; i < g->row_count; i++) {
        json_t *row = json_array_get(rows, i);
        g->rows[i] = (rp_row){.sequence = (uint32_t)json_integer_value(json_array_get(row, 0)),
                              .token = (uint32_t)json_integer_value(json_array_get(row, 1))};
    }
    return g->sequence_count > 0;
}

static size_t output_rows(const golden *g, rp_output output) {
    size_t end = 0, count = 0;
    golden_rows(g, output, g->sequence_count - 1, &end, &count);
    return end + count;
}

static bool read_outputs(golden *g, size_t value_count) {
    json_t *list = json_object_get(g->root, "outputs");
    g->output_count = json_array_size(list);
    g->outputs = calloc(g->output_count + 1, sizeof *g->outputs);
    if (!g->outputs) return false;
    for (size_t i = 0; i < g->output_count; i++) {
        const char *name = "";
        int columns = 0, sample = 0, at = 0, kind = 0;
        if (json_unpack(json_array_get(list, i), "{s:s, s:i, s:i, s:i}", "output", &name, "columns", &columns,
                        "sample", &sample, "at", &at))
            return false;
        while (kind < OUTPUTS && strcmp(name, output_names[kind])) kind++;
        if (kind == OUTPUTS) return false;
        g->outputs[i] = (golden_output){.output = (rp_output)kind,
                                        .columns = (uint32_t)columns,
                                        .sample = (uint32_t)sample,
                                        .values = g->values + at};
        size_t stored = output_rows(g, (rp_output)kind) * (size_t)(sample ? sample + 1 : columns);
        if ((size_t)at + stored > value_count) return false;
    }
    return g->output_count > 0;
}

static bool read_tensors(golden *g) {
    json_t *list = json_object_get(g->root, "tensors");
    const char *dtype = json_string_value(json_object_get(g->root, "dtype"));
    g->tensor_count = json_array_size(list);
    g->tensors = calloc(g->tensor_count + 1, sizeof *g->tensors);
    if (!g->tensors) return false;
    for (size_t i = 0; i < g->tensor_count; i++) {
        json_t *t = json_array_get(list, i), *shape = json_object_get(t, "shape");
        g->tensors[i] = (fixture_tensor){.name = json_string_value(json_object_get(t, "name")),
                                         .rows = (uint32_t)json_integer_value(json_array_get(shape, 0)),
                                         .columns = (uint32_t)json_integer_value(json_array_get(shape, 1)),
                                         .scale = json_number_value(json_object_get(t, "scale")),
                                         .offset = json_number_value(json_object_get(t, "offset"))};
        if (!g->tensors[i].name) return false;
    }
    g->layout.shards = (uint32_t)json_integer_value(json_object_get(g->root, "shards"));
    if (dtype && !strcmp(dtype, "F16")) g->layout.dtype = FIXTURE_F16;
    if (dtype && !strcmp(dtype, "BF16")) g->layout.dtype = FIXTURE_BF16;
    return true;
}

/* The parts of a case that are in the two files. */
static bool load_case(const char *name, golden *g) {
    char path[2 * FIXTURE_PATH_SIZE];
    json_error_t problem;
    size_t value_count = 0;
    *g = (golden){.name = name};
    snprintf(path, sizeof path, "%s/goldens/encoder/%s.json", TESTS_DIR, name);
    g->root = json_load_file(path, 0, &problem);
    if (!g->root) return complain(path, problem.text);
    snprintf(path, sizeof path, "%s/goldens/encoder/%s.bin", TESTS_DIR, name);
    g->values = read_floats(path, &value_count);
    if (!g->values) return complain(path, "cannot be read");
    if (!read_sequences(g) || !read_outputs(g, value_count) || !read_tensors(g))
        return complain(path, "is not what make_encoder_goldens.py writes");
    return true;
}

static bool build_folder(golden *g, const fixture_layout *layout) {
    const char *expected = json_string_value(json_object_get(g->root, "checksum"));
    char *config = json_dumps(json_object_get(g->root, "config"), JSON_INDENT(2));
    char text[32];
    uint64_t checksum = 0;
    bool ok = config && expected && fixture_make_dir(g->dir);
    g->temporary = ok;
    ok = ok && fixture_write_folder(g->dir, config, g->tensors, g->tensor_count, layout, &checksum);
    free(config);
    snprintf(text, sizeof text, "%016llx", (unsigned long long)checksum);
    if (ok && layout->dtype == g->layout.dtype && strcmp(text, expected))
        return complain(g->name, "the weights differ from those of make_encoder_goldens.py");
    return ok;
}

bool golden_open(const char *name, const fixture_layout *layout, golden *out) {
    if (!load_case(name, out)) return false;
    const char *folder = json_string_value(json_object_get(out->root, "folder"));
    if (!folder) return build_folder(out, layout ? layout : &out->layout);
    snprintf(out->dir, sizeof out->dir, "%s/%s", SOURCE_DIR, folder);
    return true;
}

bool golden_open_at(const char *name, const char *dir, golden *out) {
    if (!load_case(name, out)) return false;
    snprintf(out->dir, sizeof out->dir, "%s", dir);
    return true;
}

void golden_close(golden *g) {
    if (g->temporary) fixture_remove_dir(g->dir);
    for (size_t i = 0; g->sequences && i < g->sequence_count; i++) {
        free((void *)g->sequences[i].ids);
        free((void *)g->sequences[i].type_ids);
    }
    free(g->sequences);
    free(g->rows);
    free(g->outputs);
    free(g->tensors);
    free(g->values);
    json_decref(g->root);
    *g = (golden){0};
}

/* ---- running ---- */

/* The case's rows of the sequences in `order`, renumbered. */
static size_t pick_rows(const golden *g, const size_t *order, size_t count, rp_row *out) {
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        for (size_t r = 0; r < g->row_count; r++)
            if (g->rows[r].sequence == (order ? order[i] : i))
                out[n++] = (rp_row){.sequence = (uint32_t)i, .token = g->rows[r].token};
    return n;
}

float *golden_run(rp_model *model, const golden *g, rp_output output, const size_t *order, size_t count,
                  size_t *size) {
    rp_sequence *sequences = calloc(count + 1, sizeof *sequences);
    rp_row *rows = calloc(count * g->row_count + 1, sizeof *rows);
    float *out = NULL;
    if (sequences && rows) {
        rp_run_params params = {.output = output};
        rp_error err = {0};
        for (size_t i = 0; i < count; i++) sequences[i] = g->sequences[order ? order[i] : i];
        if (output == RP_OUTPUT_MASKED_LM) {
            params.rows = rows;
            params.row_count = pick_rows(g, order, count, rows);
        }
        *size = rp_model_output_size(model, sequences, count, &params);
        out = calloc(*size + 1, sizeof *out);
        if (out) out[*size] = 12345; // one more than the run may write
        if (out &&
            (rp_model_run(model, sequences, count, &params, out, *size, NULL, &err) || out[*size] != 12345)) {
            complain(g->name, err.status ? err.message : "the run wrote past its output");
            free(out);
            out = NULL;
        }
    }
    free(sequences);
    free(rows);
    return out;
}

/* ---- comparing ---- */

const golden_output *golden_find(const golden *g, rp_output output) {
    for (size_t i = 0; i < g->output_count; i++)
        if (g->outputs[i].output == output) return &g->outputs[i];
    return NULL;
}

void golden_rows(const golden *g, rp_output output, size_t s, size_t *first, size_t *count) {
    *first = s;
    *count = 1;
    if (output == RP_OUTPUT_HIDDEN || output == RP_OUTPUT_TOKENS || output == RP_OUTPUT_SPANS) {
        *first = 0;
        for (size_t i = 0; i < s; i++) *first += g->sequences[i].count;
        *count = g->sequences[s].count;
    } else if (output == RP_OUTPUT_MASKED_LM) {
        *first = *count = 0;
        for (size_t i = 0; i < g->row_count; i++) {
            *first += g->rows[i].sequence < s;
            *count += g->rows[i].sequence == s;
        }
    }
}

static void add_error(golden_error *e, double away, const golden_output *want, size_t row, size_t column,
                      double a, double b) {
    if (!(away <= e->worst)) { // a NaN counts as the worst
        e->worst = isnan(away) ? INFINITY : away;
        e->output = want->output;
        e->row = row;
        e->column = column;
        e->got = a;
        e->want = b;
    }
}

static void add_element(golden_error *e, const golden_output *want, size_t row, size_t column, float a,
                        float b) {
    double away = fabs((double)a - b) / fmax(1, fabs(b));
    add_error(e, away, want, row, column, a, b);
    e->squares += away * away;
    e->elements++;
}

/* `row` holds `columns` results; `stored` what the script's sampled() kept of them. */
static void compare_row(const golden_output *want, size_t r, const float *row, golden_error *e) {
    uint32_t columns = want->columns, sample = want->sample;
    const float *stored = want->values + r * (sample ? sample + 1 : columns);
    for (uint32_t k = 0; k < (sample ? sample : columns); k++) {
        uint64_t column = sample ? stream_at(1, r * sample + k) % columns : k;
        add_element(e, want, r, column, row[column], stored[k]);
    }
    if (!sample) return;
    double sum = 0, bound = 0; // independent errors of 1 each would move the sum by about `bound`
    for (uint32_t c = 0; c < columns; c++) {
        sum += stream_at(0, c) & 1 ? -(double)row[c] : (double)row[c];
        bound += fmax(1, (double)row[c] * row[c]);
    }
    add_error(e, fabs(sum - stored[sample]) / sqrt(bound), want, r, columns, sum, stored[sample]);
}

void golden_compare(const golden_output *want, size_t first, size_t count, const float *got,
                    golden_error *error) {
    for (size_t r = 0; r < count; r++) compare_row(want, first + r, got + r * want->columns, error);
}

double golden_rms(const golden_error *error) {
    return error->elements ? sqrt(error->squares / (double)error->elements) : 0;
}
