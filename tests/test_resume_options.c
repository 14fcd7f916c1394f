/* A training that is to go on with other options: each option that decides what is learnt is refused by its
 * name, and each other one is not. The options are those of the params, one by one: a new one has to say here
 * which of the two it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "reprise/reprise.h"
#include "support_fixture.h"

#define MODELS SOURCE_DIR "/tools/models/"
#define FILMS "sentence\tlabel\na warm film\tPOSITIVE\na dull film\tNEGATIVE\n"
#define TEXT "a letter came.\nhe read it twice.\nit burnt.\n\nthe ship was old.\nit sank.\n"
#define TINY                                                                                                 \
    "{\"model_type\": \"albert\", \"embedding_size\": 16, \"hidden_size\": 24, \"num_attention_heads\": 2, " \
    "\"num_hidden_layers\": 1, \"intermediate_size\": 40, \"max_position_embeddings\": 40}"

enum { PATH = FIXTURE_PATH_SIZE + 64 };

static rp_device *device;
static const char *texts[2];
static char dir[FIXTURE_PATH_SIZE], films[PATH], others[PATH], text[PATH], more[PATH], tiny[PATH],
    smaller[PATH], out[PATH], log_file[PATH], vocabulary[PATH];

static int begin(void **state) {
    static const struct {
        char *path;
        const char *name, *content;
    } files[] = {{films, "films.tsv", FILMS},
                 {others, "others.tsv", FILMS "an odd film\tPOSITIVE\n"},
                 {text, "text.txt", TEXT},
                 {more, "more.txt", TEXT "\n" TEXT},
                 {tiny, "tiny.json", TINY},
                 {smaller, "smaller.json", TINY},
                 {vocabulary, "vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nit\nship\n"},
                 {out, "out", NULL},
                 {log_file, "log.jsonl", NULL}};
    rp_error err = {0};
    (void)state;
    if (!fixture_make_dir(dir)) return -1;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(files[i].path, PATH, "%s/%s", dir, files[i].name);
        if (files[i].content && !fixture_write_text(dir, files[i].name, files[i].content)) return -1;
    }
    char *hidden = strdup(TINY);
    memcpy(strstr(hidden, "40,"), "36,", 3);
    fixture_write_text(dir, "smaller.json", hidden);
    free(hidden);
    texts[0] = text;
    texts[1] = more;
    if (rp_device_open(NULL, &device, &err)) print_error("%s\n", err.message);
    return device ? 0 : -1;
}

static int end(void **state) {
    (void)state;
    rp_device_close(&device);
    fixture_remove_dir(dir);
    return 0;
}

static int clean(void **state) {
    (void)state;
    fixture_remove_dir(out);
    return 0;
}

static void hear(void *user, rp_log_level level, const char *message) {
    (void)user, (void)level, (void)message;
}

/* A field, as the params have it. */
typedef struct field {
    const char *name;
    size_t offset, size;
} field;

/* What an option is called in the recipe; "": it decides nothing, "-": what it would take is another test's.
 * And another value of it: a number of its type, or a pointer. */
typedef struct option {
    const char *name, *recipe;
    union {
        const void *pointer;
        double real;
        uint64_t number;
    } other;
} option;

static const option *find(const option *options, size_t count, const char *name) {
    for (size_t i = 0; i < count; i++)
        if (!strcmp(options[i].name, name)) return &options[i];
    fail_msg("%s: say in this test whether it decides what is learnt", name);
    return NULL;
}

/* What came of a resume with one option changed. */
static void check(const option *o, rp_status status, const rp_error *err) {
    char named[64];
    snprintf(named, sizeof named, ": %s: the training that is to go on had ", o->recipe);
    if (!*o->recipe && status) fail_msg("%s: %s", o->name, err->message);
    if (*o->recipe && (status != RP_ERROR_ARGUMENT || !strstr(err->message, named)))
        fail_msg("%s: %d, %s", o->name, (int)status, status ? err->message : "");
}

/* ---- fine-tuning ---- */

#define STRUCT(name, size) \
    { #name, 0, 0 }
#define VALUE(name, value) \
    { #name, 0, 0 }
#define FIELD(owner, name, offset, size) \
    { #owner "." #name, offset, size }

static const field fields[] = {
#include "abi_train.def"
};

static const rp_call call = {.log = hear};
static const rp_training_handler handler = {0};

static const option finetune_options[] = {
    {"model", "model", {.pointer = MODELS "sentiment"}},
    {"train", "train", {.pointer = others}},
    {"dev", "dev", {.pointer = others}},
    {"out", "-", {0}},
    {"task", "-", {0}}, /* the folder's head has one */
    {"epochs", "steps", {.number = 2}},
    {"steps", "steps", {.number = 3}},
    {"batch_size", "batch_size", {.number = 3}},
    {"max_tokens", "max_length", {.number = 9}},
    {"learning_rate", "lr", {.real = 1e-3}},
    {"warmup", "warmup", {.real = 0.5}},
    {"schedule", "schedule", {.number = RP_SCHEDULE_CONSTANT}},
    {"no_shuffle", "shuffle", {.number = 1}},
    {"skip_bad", "skip_bad", {.number = 1}},
    {"early_exit", "early_exit", {.number = 1}},
    {"weight_decay", "weight_decay", {.real = 0.5}},
    {"max_grad_norm", "max_grad_norm", {.real = 0.5}},
    {"label_smoothing", "label_smoothing", {.real = 0.5}},
    {"seed", "seed", {.number = 7}},
    {"format", "format", {.pointer = "csv"}},
    {"text_column", "text_column", {.pointer = "sentence"}},
    {"pair_column", "-", {0}}, /* the file has none */
    {"label_column", "label_column", {.pointer = "label"}},
    {"handler", "", {.pointer = &handler}},
    {"call", "", {.pointer = &call}},
    {"teacher", "teacher", {.pointer = MODELS "sentiment"}},
    {"label_weight", "-", {0}}, /* goes with a teacher: below */
    {"stride", "stride", {.number = 3}},
    {"recompute", "", {.number = RP_RECOMPUTE_ALWAYS}},
    {"keep", "", {.number = 1}},
    {"optimizer", "optimizer", {.number = RP_OPTIMIZER_LAMB}},
    {"eval_every", "eval_every", {.number = 2}},
    {"save_every", "", {.number = 2}},
    {"resume", "-", {0}},
    {"metric", "metric", {.pointer = "loss"}},
    {"log", "", {.pointer = log_file}},
    {"plot", "", {.pointer = NULL}},
    {"command", "", {.pointer = "reprise"}},
    {"world", "-", {0}}, /* test_cli_mpi */
    {"labels", "labels", {.pointer = "POSITIVE,NEGATIVE"}},
    {"freeze", "freeze", {.number = RP_FREEZE_EMBEDDINGS}},
    {"precision", "precision", {.number = RP_PRECISION_F16}},
    {"reserved", "-", {0}},
};

/* Change one option, and say whether there is anything to try. */
static bool change(const char *owner, const field *f, const option *options, size_t count, void *params,
                   const option **out_option) {
    size_t size = strlen(owner);
    if (strncmp(f->name, owner, size) || f->name[size] != '.') return false;
    *out_option = find(options, count, f->name + size + 1);
    if (!strcmp((*out_option)->recipe, "-")) return false;
    memcpy((char *)params + f->offset, &(*out_option)->other, f->size);
    return true;
}

static void test_finetune(void **state) {
    const rp_finetune_params base = {
        .model = MODELS "pretrained", .train = films, .dev = films, .out = out, .batch_size = 2, .epochs = 1};
    rp_error err = {0};
    size_t tried = 0;
    (void)state;
    if (rp_finetune(device, &base, &err)) fail_msg("%s", err.message);
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        rp_finetune_params params = base;
        const option *o;
        params.resume = true;
        params.call = &call;
        if (!change("rp_finetune_params", &fields[i], finetune_options,
                    sizeof finetune_options / sizeof *finetune_options, &params, &o))
            continue;
        check(o, rp_finetune(device, &params, &err), &err);
        tried++;
    }
    assert_true(tried > 30);
}

/* The weight of labels beside a teacher; and the same file under the same name with another byte in it. */
static void test_a_file_that_has_changed(void **state) {
    const rp_finetune_params base = {.model = MODELS "pretrained",
                                     .train = films,
                                     .out = out,
                                     .batch_size = 2,
                                     .epochs = 1,
                                     .teacher = MODELS "sentiment"};
    rp_finetune_params params = base;
    rp_error err = {0};
    (void)state;
    if (rp_finetune(device, &base, &err)) fail_msg("%s", err.message);
    params.resume = true;
    if (rp_finetune(device, &params, &err)) fail_msg("%s", err.message);
    params.label_weight = 0.7;
    assert_int_equal(rp_finetune(device, &params, &err), RP_ERROR_ARGUMENT);
    assert_non_null(strstr(err.message, ": label_weight: the training that is to go on had "));
    params.label_weight = 0;
    assert_true(fixture_write_text(dir, "films.tsv",
                                   "sentence\tlabel\na worm film\tPOSITIVE\na dull film\tNEGATIVE\n"));
    assert_int_equal(rp_finetune(device, &params, &err), RP_ERROR_ARGUMENT);
    assert_non_null(strstr(err.message, ": train: the training that is to go on had "));
    assert_true(fixture_write_text(dir, "films.tsv", FILMS));
}

/* ---- pre-training ---- */

static const option pretrain_options[] = {
    {"corpus", "corpus", {.pointer = &texts[1]}},
    {"corpus_count", "-", {0}}, /* goes with `corpus` */
    {"instances", "-", {0}},    /* goes without it */
    {"instance_count", "-", {0}},
    {"config", "config", {.pointer = smaller}},
    {"init", "-", {0}}, /* goes without `config` */
    {"tokenizer", "config_weights", {.pointer = vocabulary}} /* the new model has another size */,
    {"out", "-", {0}},
    {"dev", "dev", {.pointer = more}},
    {"write_instances", "", {.pointer = log_file}},
    {"epochs", "-", {0}}, /* `steps` decides */
    {"steps", "steps", {.number = 3}},
    {"batch_size", "batch_size", {.number = 3}},
    {"max_tokens", "max_length", {.number = 20}},
    {"max_predictions", "max_predictions", {.number = 3}},
    {"ngram", "ngram", {.number = 2}},
    {"masked_share", "masked_share", {.real = 0.3}},
    {"short_share", "short_share", {.real = 0.3}},
    {"no_shuffle", "shuffle", {.number = 1}},
    {"skip_bad", "skip_bad", {.number = 1}},
    {"optimizer", "optimizer", {.number = RP_OPTIMIZER_ADAMW}},
    {"schedule", "schedule", {.number = RP_SCHEDULE_CONSTANT}},
    {"learning_rate", "lr", {.real = 1e-5}},
    {"warmup", "warmup", {.real = 0.5}},
    {"weight_decay", "weight_decay", {.real = 0.5}},
    {"max_grad_norm", "max_grad_norm", {.real = 0.5}},
    {"seed", "config_weights", {.number = 5}}, /* the first that differs is the new model */
    {"handler", "", {.pointer = &handler}},
    {"call", "", {.pointer = &call}},
    {"recompute", "", {.number = RP_RECOMPUTE_ALWAYS}},
    {"keep", "", {.number = 1}},
    {"freeze", "freeze", {.number = RP_FREEZE_EMBEDDINGS}},
    {"precision", "precision", {.number = RP_PRECISION_F16}},
    {"eval_every", "eval_every", {.number = 2}},
    {"save_every", "", {.number = 2}},
    {"resume", "-", {0}},
    {"metric", "metric", {.pointer = "mlm_loss"}},
    {"log", "", {.pointer = log_file}},
    {"plot", "", {.pointer = NULL}},
    {"command", "", {.pointer = "reprise"}},
    {"world", "-", {0}},
    {"reserved", "-", {0}},
};

static void test_pretrain(void **state) {
    const rp_pretrain_params base = {.corpus = texts,
                                     .corpus_count = 1,
                                     .config = tiny,
                                     .tokenizer = MODELS "pretrained",
                                     .dev = text,
                                     .out = out,
                                     .batch_size = 2,
                                     .steps = 1};
    rp_error err = {0};
    size_t tried = 0;
    (void)state;
    if (rp_pretrain(device, &base, &err)) fail_msg("%s", err.message);
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        rp_pretrain_params params = base;
        const option *o;
        params.resume = true;
        params.call = &call;
        if (!change("rp_pretrain_params", &fields[i], pretrain_options,
                    sizeof pretrain_options / sizeof *pretrain_options, &params, &o))
            continue;
        check(o, rp_pretrain(device, &params, &err), &err);
        tried++;
    }
    assert_true(tried > 25);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test_teardown(test_finetune, clean),
                                       cmocka_unit_test_teardown(test_a_file_that_has_changed, clean),
                                       cmocka_unit_test_teardown(test_pretrain, clean)};
    return cmocka_run_group_tests(tests, begin, end);
}
