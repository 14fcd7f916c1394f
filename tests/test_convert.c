/* Folders that are written anew: the same weights and tokens, nothing half-written where memory, the disk or
 * a weight fails. The linker sends the library's allocations and writes here (--wrap). */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/half.h"
#include "loader/json.h"
#include "loader/names.h"
#include "reprise/reprise.h"
#include "support_fixture.h"

#define GOLDENS TESTS_DIR "/goldens/tf/"
#define SENTIMENT SOURCE_DIR "/tools/models/sentiment"

/* ---- faults ---- */

static int memory_due = -1,
           disk_due = -1; /* calls that succeed before one does not; negative: none is to fail */

static bool fails(int *due) {
    return *due >= 0 && (*due)-- == 0;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
char *__real_strdup(const char *text);
ssize_t __real_write(int fd, const void *data, size_t size);
int __real_fsync(int fd);
int __real_rename(const char *from, const char *to);
int __real_mkdir(const char *path, mode_t mode);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);
char *__wrap_strdup(const char *text);
ssize_t __wrap_write(int fd, const void *data, size_t size);
int __wrap_fsync(int fd);
int __wrap_rename(const char *from, const char *to);
int __wrap_mkdir(const char *path, mode_t mode);

void *__wrap_malloc(size_t size) {
    return fails(&memory_due) ? NULL : __real_malloc(size);
}
void *__wrap_calloc(size_t count, size_t size) {
    return fails(&memory_due) ? NULL : __real_calloc(count, size);
}
void *__wrap_realloc(void *block, size_t size) {
    return fails(&memory_due) ? NULL : __real_realloc(block, size);
}
char *__wrap_strdup(const char *text) {
    return fails(&memory_due) ? NULL : __real_strdup(text);
}

static bool disk_full;

/* Once it is full it stays so until the test says otherwise. */
static bool disk_is_full(void) {
    disk_full = disk_full || fails(&disk_due);
    errno = disk_full ? ENOSPC : errno;
    return disk_full;
}

/* What was free is still written. */
ssize_t __wrap_write(int fd, const void *data, size_t size) {
    bool before = disk_full;
    if (!disk_is_full()) return __real_write(fd, data, size);
    return before || size < 2 ? -1 : __real_write(fd, data, size / 2);
}
int __wrap_fsync(int fd) {
    return disk_is_full() ? -1 : __real_fsync(fd);
}
int __wrap_rename(const char *from, const char *to) {
    if (!fails(&disk_due)) return __real_rename(from, to);
    errno = ENOSPC;
    return -1;
}
int __wrap_mkdir(const char *path, mode_t mode) {
    return disk_is_full() ? -1 : __real_mkdir(path, mode);
}

/* ---- folders ---- */

static char dir[FIXTURE_PATH_SIZE], out[FIXTURE_PATH_SIZE + 16], in[FIXTURE_PATH_SIZE + 16];

static int setup(void **state) {
    (void)state;
    if (!fixture_make_dir(dir)) return -1;
    snprintf(out, sizeof out, "%s/out", dir);
    snprintf(in, sizeof in, "%s/in", dir);
    return mkdir(in, 0755);
}

static int teardown(void **state) {
    (void)state;
    fixture_remove_dir(dir);
    return 0;
}

static size_t count_files(const char *path) {
    size_t count = 0;
    DIR *folder = opendir(path);
    if (!folder) return 0;
    for (const struct dirent *item; (item = readdir(folder));)
        count += strcmp(item->d_name, ".") && strcmp(item->d_name, "..");
    closedir(folder);
    return count;
}

static bool has(const char *folder, const char *name) {
    char path[2048];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return access(path, F_OK) == 0;
}

static void put(const char *folder, const char *name, const char *text) {
    char path[2048];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    char *slash = strrchr(path, '/');
    *slash = '\0';
    mkdir(path, 0755);
    *slash = '/';
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void copy(const char *from, const char *folder, const char *name) {
    char path[2048], *bytes = malloc(1 << 20);
    FILE *file = fopen(from, "rb");
    assert_non_null(file);
    size_t size = fread(bytes, 1, 1 << 20, file);
    fclose(file);
    put(folder, name, "");
    snprintf(path, sizeof path, "%s/%s", folder, name);
    file = fopen(path, "wb");
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    fclose(file);
    free(bytes);
}

static void convert(const char *from, const rp_convert_params *params) {
    rp_error err = {0};
    if (rp_convert(from, out, params, &err)) fail_msg("%s: %s", from, err.message);
}

static void convert_fails(const char *from, const rp_convert_params *params, rp_status expected,
                          const char *needle) {
    rp_error err = {0};
    size_t before = count_files(dir), inside = count_files(out);
    rp_status status = rp_convert(from, out, params, &err);
    if (status != expected || err.status != expected || !strstr(err.message, needle))
        fail_msg("%s: %s, not %s", rp_status_name(status), err.message, needle);
    assert_int_equal(count_files(dir), before);
    assert_int_equal(count_files(out), inside);
}

/* ---- weights ---- */

typedef struct opened {
    rp_config config;
    rp_weights weights;
} opened;

static void open_folder(const char *path, opened *o) {
    rp_error err = {0};
    if (rp_config_load(path, &o->config, &err) || rp_weights_load(path, &o->config, &o->weights, &err))
        fail_msg("%s: %s", path, err.message);
}

static void close_folder(opened *o) {
    rp_weights_finish(&o->weights);
    rp_config_finish(&o->config);
}

typedef struct pair {
    const opened *a, *b;
    rp_dtype dtype; /* of b */
    size_t tensors;
} pair;

static rp_status compare_slot(const rp_slot *slot, void *context) {
    pair *p = context;
    const char *at = (const char *)slot->tensor, *whole = (const char *)&p->a->weights;
    bool layer = at < whole || at >= whole + sizeof p->a->weights;
    const rp_tensor *b = (const rp_tensor *)(layer ? (const char *)p->b->weights.layers +
                                                         (at - (const char *)p->a->weights.layers)
                                                   : (const char *)&p->b->weights + (at - whole));
    assert_non_null(b->data);
    assert_int_equal(b->dtype, p->dtype);
    assert_int_equal(b->rows, slot->tensor->rows);
    assert_int_equal(b->columns, slot->tensor->columns);
    for (size_t i = 0; i < (size_t)b->rows * b->columns; i++) {
        float want = rp_tensor_get(slot->tensor, i), got = rp_tensor_get(b, i);
        if (p->dtype == RP_F16) want = rp_half_to_float(rp_float_to_half(want));
        if (want != got) fail_msg("%s[%zu] is %g, not %g", slot->name, i, (double)got, (double)want);
    }
    p->tensors++;
    return RP_OK;
}

/* `out` holds what `from` does. */
static void compare(const char *from, rp_dtype dtype, const char *architecture) {
    opened a, b;
    open_folder(from, &a);
    open_folder(out, &b);
    pair p = {.a = &a, .b = &b, .dtype = dtype};
    assert_int_equal(a.config.family, b.config.family);
    assert_int_equal(a.config.activation, b.config.activation);
    assert_int_equal(a.weights.heads, b.weights.heads);
    assert_int_equal(a.config.label_count, b.config.label_count);
    for (uint32_t i = 0; i < a.config.label_count; i++)
        assert_string_equal(a.config.labels[i], b.config.labels[i]);
    assert_true(a.weights.parameters == b.weights.parameters);
    assert_string_equal(b.config.architecture, architecture);
    rp_slots_each(&a.config, &a.weights, RP_PART_ENCODER | a.weights.heads, compare_slot, &p);
    assert_true(p.tensors > 20);
    for (size_t i = 0; a.weights.heads & RP_HEAD_MASKED_LM && i < a.config.vocab_size; i++) {
        float want = rp_tensor_get(&a.weights.lm_bias, i);
        if (dtype == RP_F16) want = rp_half_to_float(rp_float_to_half(want));
        assert_true(want == rp_tensor_get(&b.weights.lm_bias, i));
    }
    close_folder(&a);
    close_folder(&b);
}

static void test_checkpoints(void **state) {
    (void)state;
    static const char *const cases[][2] = {{"albert", "AlbertForPreTraining"},
                                           {"albert_hub", "AlbertForPreTraining"},
                                           {"albert_classifier", "AlbertForSequenceClassification"},
                                           {"bert", "BertForPreTraining"},
                                           {"bert_squad", "BertForQuestionAnswering"}};
    const rp_convert_params half = {.dtype = RP_CONVERT_F16, .overwrite = true};
    for (size_t i = 0; i < RP_COUNT(cases); i++) {
        char from[512];
        snprintf(from, sizeof from, GOLDENS "%s", cases[i][0]);
        convert(from, &(rp_convert_params){.overwrite = true});
        compare(from, RP_F32, cases[i][1]);
        convert(from, &half);
        compare(from, RP_F16, cases[i][1]);
    }
}

static void test_config_keeps_its_fields(void **state) {
    (void)state;
    char path[sizeof out + 32];
    rp_json_document document;
    copy(GOLDENS "bert_squad.safetensors", in, "model.safetensors");
    put(in, "config.json",
        "{\"hidden_size\": 12, \"num_hidden_layers\": 1, \"num_attention_heads\": 2, \"intermediate_size\": "
        "20, "
        "\"max_position_embeddings\": 16, \"vocab_size\": 31, \"mine\": {\"x\": [1.5, \"\xc3\xa9\"]}, "
        "\"torch_dtype\": \"float64\", \"architectures\": [\"MyModel\"], \"id2label\": {\"0\": \"no\", "
        "\"1\": 7}}");
    rp_error err = {0};
    assert_int_equal(rp_convert(in, out, NULL, &err), RP_ERROR_UNSUPPORTED); // whose model is MyModel?
    put(in, "config.json",
        "{\"hidden_size\": 12, \"num_hidden_layers\": 1, \"num_attention_heads\": 2, \"intermediate_size\": "
        "20, "
        "\"max_position_embeddings\": 16, \"vocab_size\": 31, \"mine\": {\"x\": [1.5, \"\xc3\xa9\"]}, "
        "\"torch_dtype\": \"float64\", \"id2label\": {\"0\": \"no\", \"1\": 7}}");
    convert(in, NULL);
    snprintf(path, sizeof path, "%s/config.json", out);
    assert_int_equal(rp_json_load(path, &document, NULL), RP_OK);
    const rp_json *root = &document.root, *mine = rp_json_get(rp_json_get(root, "mine"), "x");
    assert_true(mine->items[0].real == 1.5);
    assert_string_equal(mine->items[1].text, "\xc3\xa9");
    assert_int_equal(rp_json_get(rp_json_get(root, "id2label"), "1")->integer, 7);
    assert_string_equal(rp_json_string(rp_json_get(root, "model_type")), "bert");
    assert_string_equal(rp_json_string(rp_json_get(root, "torch_dtype")), "float32");
    assert_string_equal(rp_json_string(&rp_json_get(root, "architectures")->items[0]),
                        "BertForQuestionAnswering");
    assert_int_equal(rp_json_get(root, "type_vocab_size")->integer, 2);
    assert_true(rp_json_get(root, "layer_norm_eps")->real == 1e-12);
    rp_json_finish(&document);
}

/* A safetensors file of one layer in which one weight is large. */
static void test_too_large_for_f16(void **state) {
    (void)state;
    char path[sizeof in + 32];
    float large = 65520;
    copy(GOLDENS "bert_squad.safetensors", in, "model.safetensors");
    copy(GOLDENS "bert_squad.json", in, "config.json");
    snprintf(path, sizeof path, "%s/model.safetensors", in);
    FILE *file = fopen(path, "r+b");
    assert_int_equal(fseek(file, -4, SEEK_END), 0);
    assert_int_equal(fwrite(&large, 4, 1, file), 1);
    fclose(file);
    convert_fails(in, &(rp_convert_params){.dtype = RP_CONVERT_F16}, RP_ERROR_FORMAT, "65520");
    assert_false(has(dir, "out"));
    convert(in, NULL);
}

static void count_note(void *user, const char *text) {
    *(int *)user += 1;
    assert_non_null(strstr(text, "classifier.weight: has one row"));
}

/* One row could be two heads: the caller says which, and hears what is left out where nobody does. */
static void test_heads(void **state) {
    (void)state;
    static const char from[] = GOLDENS "bert_one_row";
    static const struct {
        rp_head head;
        const char *architecture;
    } cases[] = {{0, "BertModel"},
                 {RP_HEAD_CLASSIFIER, "BertForSequenceClassification"},
                 {RP_HEAD_CHOICE, "BertForMultipleChoice"}};
    int notes;
    const rp_convert_handler handler = {.note = count_note, .user = &notes};
    for (size_t i = 0; i < RP_COUNT(cases); i++) {
        opened o;
        notes = 0;
        convert(from, &(rp_convert_params){.head = cases[i].head, .handler = &handler, .overwrite = true});
        open_folder(out, &o);
        assert_string_equal(o.config.architecture, cases[i].architecture);
        assert_int_equal(o.weights.heads, RP_HEAD_POOLER | cases[i].head);
        assert_int_equal(notes, cases[i].head ? 0 : 1);
        close_folder(&o);
    }
    fixture_remove_dir(out);
    convert_fails(from, &(rp_convert_params){.head = RP_HEAD_SPANS}, RP_ERROR_HEAD, "--head answer");
    convert_fails(from, &(rp_convert_params){.head = RP_HEAD_POOLER}, RP_ERROR_ARGUMENT, "head 1 is none");
    convert_fails(from, &(rp_convert_params){.head = RP_HEAD_SPANS | RP_HEAD_TOKENS}, RP_ERROR_ARGUMENT,
                  "none of");
}

/* ---- the tokenizer ---- */

/* A folder of Google's, whose vocabulary has another name: both files are written. */
static void test_google_vocabulary(void **state) {
    (void)state;
    copy(GOLDENS "albert_hub/assets/albert_config.json", in, "albert_config.json");
    copy(GOLDENS "albert_hub/variables/variables.index", in, "model.ckpt-best.index");
    copy(GOLDENS "albert_hub/variables/variables.data-00000-of-00001", in,
         "model.ckpt-best.data-00000-of-00001");
    copy(SENTIMENT "/spiece.model", in, "assets/30k-clean.model");
    convert(in, NULL);
    assert_int_equal(count_files(out), 5);
    assert_true(has(out, "spiece.model") && has(out, "tokenizer.json") && has(out, "tokenizer_config.json"));
}

/* ---- sentence-transformers ---- */

static void test_modules(void **state) {
    (void)state;
    copy(GOLDENS "bert_squad.safetensors", in, "model.safetensors");
    copy(GOLDENS "bert_squad.json", in, "config.json");
    put(in, "modules.json", "[{\"path\": \"\"}, {\"path\": \"1_Pooling\"}, {\"path\": \"2_Normalize\"}]");
    put(in, "1_Pooling/config.json", "{}");
    put(in, "sentence_bert_config.json", "{}");
    put(in, "unrelated.txt", "");
    convert(in, NULL);
    assert_int_equal(count_files(out), 5);
    assert_true(has(out, "1_Pooling/config.json") && has(out, "sentence_bert_config.json"));
    put(in, "modules.json", "[{\"path\": \"../in\"}]");
    convert_fails(in, &(rp_convert_params){.overwrite = true}, RP_ERROR_UNSUPPORTED,
                  "modules.json: path: \"../in\"");
}

static void test_transformer_in_a_folder(void **state) {
    (void)state;
    copy(GOLDENS "bert_squad.safetensors", in, "0_Transformer/model.safetensors");
    copy(GOLDENS "bert_squad.json", in, "0_Transformer/config.json");
    put(in, "0_Transformer/vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n");
    put(in, "modules.json",
        "[{\"path\": \"0_Transformer\", \"type\": \"sentence_transformers.models.Transformer\"}, {\"path\": "
        "\"1_Pooling\"}]");
    put(in, "1_Pooling/config.json", "{}");
    convert(in, NULL);
    assert_int_equal(count_files(out), 3);
    assert_true(has(out, "0_Transformer/model.safetensors") && has(out, "0_Transformer/vocab.txt"));
    assert_true(has(out, "0_Transformer/tokenizer_config.json"));
}

/* ---- a folder that exists ---- */

static void test_existing_folder(void **state) {
    (void)state;
    char slashed[sizeof out + 4];
    static const char from[] = GOLDENS "bert_squad";
    assert_int_equal(mkdir(out, 0755), 0);
    convert(from, NULL); // it is empty
    assert_int_equal(count_files(dir), 2);
    put(out, "notes.txt", "mine");
    put(out, "tokenizer.json", "of another model");
    convert_fails(from, NULL, RP_ERROR_FILE, "overwriting");
    snprintf(slashed, sizeof slashed, "%s//", out);
    assert_int_equal(rp_convert(from, slashed, &(rp_convert_params){.overwrite = true}, NULL), RP_OK);
    assert_true(has(out, "notes.txt") && has(out, "model.safetensors"));
    assert_false(has(out, "tokenizer.json"));
    assert_int_equal(count_files(out), 3);
    // in place: the files that are read are those that are replaced
    assert_int_equal(
        rp_convert(out, out, &(rp_convert_params){.dtype = RP_CONVERT_F16, .overwrite = true}, NULL), RP_OK);
    compare(from, RP_F16, "BertForQuestionAnswering");
}

static void test_wrong_places(void **state) {
    (void)state;
    char path[sizeof out + 16];
    rp_error err = {0};
    put(dir, "out", "a file");
    convert_fails(GOLDENS "bert", NULL, RP_ERROR_FILE, "is no folder");
    snprintf(path, sizeof path, "%s/no/out", dir);
    assert_int_equal(rp_convert(GOLDENS "bert", path, NULL, &err), RP_ERROR_FILE);
    assert_int_equal(rp_convert(GOLDENS "bert", "", NULL, &err), RP_ERROR_ARGUMENT);
    assert_int_equal(rp_convert(GOLDENS "bert", NULL, NULL, &err), RP_ERROR_ARGUMENT);
    assert_int_equal(rp_convert(NULL, path, NULL, &err), RP_ERROR_ARGUMENT);
    assert_int_equal(rp_convert(in, path, NULL, &err), RP_ERROR_FILE);
    assert_int_equal(rp_convert(in, path, &(rp_convert_params){.reserved = {0, 1}}, &err), RP_ERROR_ARGUMENT);
    assert_int_equal(rp_convert(in, path, &(rp_convert_params){.dtype = 9}, &err), RP_ERROR_ARGUMENT);
}

/* ---- what fails on the way ---- */

/* Every n-th call fails, into a folder that is made and into one that exists. Where a failure does not
 * matter, the folder is whole. */
static void sweep(int *due, rp_status expected, const char *needle, const char *from, size_t files) {
    for (int exists = 0; exists < 2; exists++) {
        bool came = true;
        for (int n = 0; came; n++) {
            rp_error err = {0};
            if (exists) mkdir(out, 0755);
            size_t before = count_files(dir);
            *due = n;
            rp_status status = rp_convert(from, out, NULL, &err);
            came = *due < 0;
            *due = -1;
            disk_full = false;
            if (status && (status != expected || !strstr(err.message, needle)))
                fail_msg("%d: %s: %s", n, rp_status_name(status), err.message);
            assert_true(came || !status);
            if (status) assert_int_equal(count_files(dir), before);
            assert_int_equal(count_files(out), status ? 0 : files);
            if (came) fixture_remove_dir(out);
        }
        compare(from, RP_F32, "AlbertForPreTraining");
        fixture_remove_dir(out);
    }
}

static void test_memory(void **state) {
    (void)state;
    copy(GOLDENS "albert_hub/assets/albert_config.json", in, "albert_config.json");
    copy(GOLDENS "albert_hub/variables/variables.index", in, "x.index");
    copy(GOLDENS "albert_hub/variables/variables.data-00000-of-00001", in, "x.data-00000-of-00001");
    copy(SENTIMENT "/spiece.model", in, "30k-clean.model");
    sweep(&memory_due, RP_ERROR_HOST_MEMORY, "memory", in, 5);
}

static void test_full_disk(void **state) {
    (void)state;
    sweep(&disk_due, RP_ERROR_FILE, "make room", GOLDENS "albert_hub", 2);
}

static bool take_progress(void *user, uint64_t done, uint64_t all) {
    uint64_t *seen = user;
    assert_true(done > seen[0] && done <= all);
    seen[0] = done;
    return done < seen[1];
}

/* The handler hears of every byte, and what it stops leaves nothing behind. */
static void test_stopping(void **state) {
    (void)state;
    uint64_t seen[2] = {0, UINT64_MAX};
    const rp_convert_handler handler = {.progress = take_progress, .user = seen};
    const rp_convert_params params = {.handler = &handler};
    convert(GOLDENS "bert", &params);
    fixture_remove_dir(out);
    uint64_t all = seen[0];
    assert_int_equal(all, 4 * (31 * 12 + 16 * 12 + 2 * 12 + 24 + 2 * (4 * 156 + 24 + 260 + 252 + 24) + 156 +
                               156 + 24 + 31 + 26));
    for (uint64_t at = 1; at <= all; at += 1000) {
        seen[0] = 0;
        seen[1] = at;
        convert_fails(GOLDENS "bert", &params, RP_ERROR_STOPPED, "stopped");
    }
}

/* Writing beyond the limit on the size of files would end the process. */
static void test_limit_on_files(void **state) {
    (void)state;
    struct rlimit before, limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = before;
    limit.rlim_cur = 4096;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    convert_fails(GOLDENS "bert", NULL, RP_ERROR_FILE, "ulimit");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_checkpoints, setup, teardown),
        cmocka_unit_test_setup_teardown(test_config_keeps_its_fields, setup, teardown),
        cmocka_unit_test_setup_teardown(test_too_large_for_f16, setup, teardown),
        cmocka_unit_test_setup_teardown(test_heads, setup, teardown),
        cmocka_unit_test_setup_teardown(test_google_vocabulary, setup, teardown),
        cmocka_unit_test_setup_teardown(test_modules, setup, teardown),
        cmocka_unit_test_setup_teardown(test_transformer_in_a_folder, setup, teardown),
        cmocka_unit_test_setup_teardown(test_existing_folder, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wrong_places, setup, teardown),
        cmocka_unit_test_setup_teardown(test_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full_disk, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stopping, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limit_on_files, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
