/* Fetching models from a hub that answers as it should: which files, where they lie, and how they are found
 * again. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "support_pull.h"

#include "reprise/tokenizer.h"

#define SNAPSHOT "hub/models--org--tiny/snapshots/" HUB_COMMIT

static const hub_file *file_of(const pull_test *t, const char *path) {
    for (size_t i = 0; i < t->hub.count; i++)
        if (!strcmp(t->hub.files[i].path, path)) return &t->hub.files[i];
    return NULL;
}

/* The file `path` is in the snapshot as a link to its blob. */
static void check_file(const pull_test *t, const char *path, const char *target_begin) {
    char name[1024], target[256], wanted[256];
    snprintf(name, sizeof name, "%s/" SNAPSHOT "/%s", t->dir, path);
    ssize_t size = readlink(name, target, sizeof target - 1);
    assert_true(size > 0);
    target[size] = '\0';
    snprintf(wanted, sizeof wanted, "%s/%s", target_begin, file_of(t, path)->etag);
    assert_string_equal(target, wanted);
    snprintf(name, sizeof name, SNAPSHOT "/%s", path);
    assert_true(pull_holds(t, name, path));
}

static bool has(const pull_test *t, const char *path) {
    char name[1024];
    struct stat info;
    snprintf(name, sizeof name, "%s/" SNAPSHOT "/%s", t->dir, path);
    return !lstat(name, &info);
}

static void test_what_is_needed_comes_into_the_cache_of_huggingface_hub(void **state) {
    pull_test *t = *state;
    hub_add_model(&t->hub, "model.safetensors", 300000);
    hub_add_text(&t->hub, "pytorch_model.bin", "not needed");
    hub_add_text(&t->hub, "onnx/model.onnx", "not needed");
    hub_add_text(&t->hub, "tf_model.h5", "not needed");
    assert_int_equal(pull(t, "org/tiny"), RP_OK);
    char *ref = pull_read(t, NULL, "hub/models--org--tiny/refs/main"), wanted[1024];
    assert_non_null(ref);
    assert_string_equal(ref, HUB_COMMIT); /* no line end */
    free(ref);
    snprintf(wanted, sizeof wanted, "%s/" SNAPSHOT, t->dir);
    assert_string_equal(t->out, wanted);
    check_file(t, "config.json", "../../blobs");
    check_file(t, "tokenizer.json", "../../blobs");
    check_file(t, "model.safetensors", "../../blobs");
    assert_false(has(t, "README.md"));
    assert_false(has(t, "pytorch_model.bin"));
    assert_false(has(t, "onnx"));
    assert_false(has(t, "tf_model.h5"));
    char *lock = pull_read(t, NULL, "hub/.locks/models--org--tiny/%s.lock", file_of(t, "config.json")->etag);
    assert_non_null(lock);
    free(lock);
    assert_null(
        pull_read(t, NULL, "hub/models--org--tiny/blobs/%s.incomplete", file_of(t, "config.json")->etag));
}

static void test_a_second_pull_asks_for_the_list_alone(void **state) {
    pull_test *t = *state;
    hub_add_model(&t->hub, "model.safetensors", 1000);
    assert_int_equal(pull(t, "org/tiny"), RP_OK);
    hub_forget(&t->hub);
    assert_int_equal(pull(t, "org/tiny"), RP_OK);
    assert_int_equal(hub_count(&t->hub, ""), 1);
    assert_int_equal(hub_count(&t->hub, "/api/models/org/tiny/revision/main"), 1);
}

/* ---- tokens ---- */

static void test_the_token_goes_to_the_hub_alone(void **state) {
    pull_test *t = *state;
    hub_add_model(&t->hub, "model.safetensors", 1000);
    t->params.token = "hf_secret";
    assert_int_equal(pull(t, "org/tiny"), RP_OK);
    assert_true(hub_count(&t->hub, "token=hf_secret") >= 5);
    assert_int_equal(hub_count(&t->hub, "storage:"), 1);
    assert_int_equal(hub_count(&t->hub, "storage:/model.safetensors token= "), 1);
}

/* The files of a model that was renamed, and small files of today's hub, are at another address of the same
 * host. */
static bool redirect_on_the_host(hub_request *r) {
    char headers[1024];
    static const char before[] = "/org/tiny/resolve/";
    if (!strncmp(r->path, "/moved/", 7)) {
        memmove(r->path, r->path + 6, strlen(r->path + 6) + 1);
        hub_answer(r, SIZE_MAX);
        return true;
    }
    if (strncmp(r->path, before, strlen(before))) return false;
    snprintf(headers, sizeof headers, "X-Repo-Commit: %s\r\nLocation: /moved%s\r\n", HUB_COMMIT, r->path);
    hub_send(r, 307, headers, "see there", 9);
    return true;
}

static void test_a_relative_redirect_keeps_the_token(void **state) {
    pull_test *t = *state;
    hub_add_model(&t->hub, "model.safetensors", 1000);
    t->params.token = "hf_secret";
    t->hub.script = redirect_on_the_host;
    assert_int_equal(pull(t, "org/tiny"), RP_OK);
    assert_int_equal(hub_count(&t->hub, "/moved/"), hub_count(&t->hub, "/moved/org/tiny/resolve/"));
    check_file(t, "config.json", "../../blobs");
    check_file(t, "model.safetensors", "../../blobs");
    assert_int_equal(hub_count(&t->hub, "token=hf_secret") + 1, hub_count(&t->hub, ""));
}

static void test_where_the_token_comes_from(void **state) {
    pull_test *t = *state;
    char home[FIXTURE_PATH_SIZE];
    hub_add_model(&t->hub, "model.safetensors", 10);
    t->params.token = NULL;
    snprintf(home, sizeof home, "%.400s/home", t->dir);
    assert_int_equal(mkdir(home, 0700), 0);
    assert_true(fixture_write_text(home, "token", "hf_file\n"));
    assert_true(fixture_write_text(home, "other", "  hf_path \r\n"));
    setenv("HF_HOME", home, 1);
    assert_int_equal(pull(t, "org/tiny"), RP_OK);
    assert_true(hub_count(&t->hub, "token=hf_file ") > 0);
    setenv("HF_TOKEN_PATH", "$HF_HOME/other", 1);
    assert_int_equal(pull(t, "org/tiny"), RP_OK);
    assert_true(hub_count(&t->hub, "token=hf_path ") > 0);
    setenv("HF_TOKEN", "hf_env", 1);
    assert_int_equal(pull(t, "org/tiny"), RP_OK);
    assert_int_equal(hub_count(&t->hub, "token=hf_env "), 1);
    setenv("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1", 1);
    assert_int_equal(pull(t, "org/tiny"), RP_OK);
    assert_int_equal(hub_count(&t->hub, "token= from"), 2); /* and that of the storage before */
    t->params.token = "two\r\nX-Evil: 1";
    assert_int_equal(pull(t, "org/tiny"), RP_ERROR_ARGUMENT);
    assert_null(strstr(t->err.message, "two"));
    setenv("HF_TOKEN", "has blanks", 1);
    unsetenv("HF_HUB_DISABLE_IMPLICIT_TOKEN");
    t->params.token = NULL;
    assert_int_equal(pull(t, "org/tiny"), RP_ERROR_ARGUMENT);
    assert_non_null(strstr(t->err.message, "HF_TOKEN"));
}

/* ---- finding again ---- */

static void test_a_name_is_found_without_a_network(void **state) {
    pull_test *t = *state;
    rp_error err;
    char *dir = NULL;
    hub_add_model(&t->hub, "model.safetensors", 1000);
    hub_add(&t->hub, "vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n", 34, false);
    setenv("HF_HUB_CACHE", t->cache, 1);
    assert_int_equal(rp_find_model("org/tiny", &dir, &err), RP_ERROR_FILE);
    assert_non_null(strstr(err.message, "`reprise pull org/tiny`"));
    t->params.cache_dir = NULL;
    assert_int_equal(pull(t, "org/tiny"), RP_OK);
    hub_forget(&t->hub);
    const char *names[] = {"org/tiny", "org/tiny@main", "org/tiny@" HUB_COMMIT, t->repo, t->out};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_int_equal(rp_find_model(names[i], &dir, &err), RP_OK);
        assert_string_equal(dir, t->out);
        rp_string_free(&dir);
    }
    assert_int_equal(rp_find_model("org/tiny@v2", &dir, &err), RP_ERROR_FILE);
    assert_non_null(strstr(err.message, "`reprise pull org/tiny@v2`"));
    assert_int_equal(hub_count(&t->hub, ""), 0);
    hub_stop(&t->hub);
    hub_start(&t->hub);
    t->params.offline = true;
    assert_int_equal(pull(t, "org/tiny"), RP_OK);
    t->params.offline = false;
    setenv("HF_HUB_OFFLINE", "on", 1);
    assert_int_equal(pull(t, "org/tiny"), RP_OK);
    assert_int_equal(pull(t, "org/other"), RP_ERROR_FILE);
    assert_int_equal(hub_count(&t->hub, ""), 0);
}

static void test_models_that_come_along_are_found_by_name(void **state) {
    pull_test *t = *state;
    rp_error err;
    char *dir = NULL, before[1024];
    rp_tokenizer *tokenizer = NULL;
    assert_int_equal(rp_find_model("sentiment", &dir, &err), RP_OK);
    assert_int_equal(access(dir, R_OK), 0);
    rp_string_free(&dir);
    assert_int_equal(rp_tokenizer_open("pretrained", &tokenizer, &err), RP_OK);
    rp_tokenizer_close(&tokenizer);
    /* a folder of that name comes first, unless the name says which is meant */
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(t->dir), 0);
    assert_int_equal(mkdir("sentiment", 0700), 0);
    assert_int_equal(rp_find_model("sentiment", &dir, &err), RP_OK);
    assert_string_equal(dir, "sentiment");
    rp_string_free(&dir);
    assert_int_equal(rp_find_model("bundled:sentiment", &dir, &err), RP_OK);
    assert_string_not_equal(dir, "sentiment");
    rp_string_free(&dir);
    assert_int_equal(chdir(before), 0);
    static const char *const none[] = {"bundled:", "bundled:none", "bundled:../models/sentiment",
                                       "bundled:/etc"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        assert_int_equal(rp_find_model(none[i], &dir, &err), RP_ERROR_FILE);
        assert_null(dir);
        if (!strstr(err.message, "take one of sentiment, pretrained")) fail_msg("%s", err.message);
    }
}

static void test_what_no_name_can_be(void **state) {
    pull_test *t = *state;
    char path[4 * FIXTURE_PATH_SIZE], *dir = NULL;
    rp_error err;
    setenv("HF_HUB_CACHE", t->cache, 1);
    assert_int_equal(rp_find_model(NULL, &dir, &err), RP_ERROR_ARGUMENT);
    assert_int_equal(rp_find_model("", &dir, &err), RP_ERROR_FILE);
    assert_int_equal(rp_find_model("a", NULL, &err), RP_ERROR_ARGUMENT);
    assert_int_equal(rp_find_model("/nowhere/at/all", &dir, &err), RP_ERROR_FILE);
    assert_null(strstr(err.message, "pull"));
    assert_true(fixture_write_text(t->dir, "file", "x"));
    snprintf(path, sizeof path, "%s/file", t->dir);
    assert_int_equal(rp_find_model(path, &dir, &err), RP_ERROR_FILE);
    assert_non_null(strstr(err.message, "not a folder"));
    /* a ref that leads elsewhere is none */
    snprintf(path, sizeof path, "mkdir -p %s/refs %s/snapshots/x", t->repo, t->repo);
    assert_int_equal(system(path), 0);
    snprintf(path, sizeof path, "%s/refs", t->repo);
    assert_true(fixture_write_text(path, "main", "../../../.."));
    assert_int_equal(rp_find_model("org/tiny", &dir, &err), RP_ERROR_FILE);
    assert_int_equal(rp_find_model(t->repo, &dir, &err), RP_ERROR_FILE);
    assert_non_null(strstr(err.message, "`reprise pull org/tiny`"));
    /* of a folder without a main revision the only snapshot is meant */
    snprintf(path, sizeof path, "mkdir %s/snapshots/" HUB_COMMIT, t->repo);
    assert_int_equal(system(path), 0);
    snprintf(path, sizeof path, "%s/snapshots/" HUB_COMMIT, t->repo);
    assert_int_equal(rp_find_model(t->repo, &dir, &err), RP_OK);
    assert_string_equal(dir, path);
    rp_string_free(&dir);
    assert_int_equal(rp_find_model("org/tiny", &dir, &err), RP_ERROR_FILE);
    snprintf(path, sizeof path, "mkdir %s/snapshots/1123456789abcdef0123456789abcdef01234567", t->repo);
    assert_int_equal(system(path), 0);
    assert_int_equal(rp_find_model(t->repo, &dir, &err), RP_ERROR_FILE);
}

/* ---- the cache folder ---- */

static void test_where_the_cache_is(void **state) {
    pull_test *t = *state;
    char text[1024];
    hub_add_model(&t->hub, "model.safetensors", 10);
    t->params.cache_dir = NULL;
    snprintf(text, sizeof text, "%s/home", t->dir);
    setenv("HOME", text, 1);
    assert_int_equal(pull(t, "org/tiny"), RP_ERROR_FILE); /* that home does not exist, and is not made */
    assert_int_equal(access(text, F_OK), -1);
    assert_int_equal(mkdir(text, 0700), 0);
    setenv("XDG_CACHE_HOME", "relative", 1);
    assert_int_equal(pull(t, "org/tiny"), RP_OK);
    assert_int_equal(access("relative", F_OK), -1);
    assert_true(
        pull_holds(t, "home/.cache/huggingface/hub/models--org--tiny/snapshots/" HUB_COMMIT "/config.json",
                   "config.json"));
    snprintf(text, sizeof text, "%s/xdg", t->dir);
    setenv("XDG_CACHE_HOME", text, 1);
    assert_int_equal(pull(t, "org/tiny"), RP_OK);
    assert_true(pull_holds(t, "xdg/huggingface/hub/models--org--tiny/snapshots/" HUB_COMMIT "/config.json",
                           "config.json"));
    setenv("HF_HOME", "~/hf", 1);
    assert_int_equal(pull(t, "org/tiny"), RP_OK);
    assert_true(
        pull_holds(t, "home/hf/hub/models--org--tiny/snapshots/" HUB_COMMIT "/config.json", "config.json"));
    setenv("HUGGINGFACE_HUB_CACHE", "${HOME}/old", 1);
    assert_int_equal(pull(t, "org/tiny"), RP_OK);
    assert_true(
        pull_holds(t, "home/old/models--org--tiny/snapshots/" HUB_COMMIT "/config.json", "config.json"));
    setenv("HF_HUB_CACHE", "$HOME/new", 1);
    assert_int_equal(pull(t, "org/tiny"), RP_OK);
    assert_true(
        pull_holds(t, "home/new/models--org--tiny/snapshots/" HUB_COMMIT "/config.json", "config.json"));
    setenv("HF_ENDPOINT", t->hub.endpoint, 1);
    t->params.endpoint = NULL;
    assert_int_equal(pull(t, "org/tiny"), RP_OK);
    snprintf(text, sizeof text, "%s/org/tiny/tree/main", t->hub.endpoint);
    assert_int_equal(pull(t, text), RP_OK);
    setenv("HF_ENDPOINT", "ftp://127.0.0.1", 1);
    assert_int_equal(pull(t, "org/tiny"), RP_ERROR_ARGUMENT);
    assert_non_null(strstr(t->err.message, "HF_ENDPOINT"));
}

static void test_revisions(void **state) {
    pull_test *t = *state;
    hub_add_model(&t->hub, "model.safetensors", 10);
    t->params.revision = "refs/pr/1";
    assert_int_equal(pull(t, "org/tiny"), RP_OK);
    char *ref = pull_read(t, NULL, "hub/models--org--tiny/refs/refs/pr/1");
    assert_non_null(ref);
    assert_string_equal(ref, HUB_COMMIT);
    free(ref);
    assert_int_equal(hub_count(&t->hub, "/revision/refs%2Fpr%2F1 "), 1);
    t->params.revision = HUB_COMMIT;
    assert_int_equal(pull(t, "org/tiny"), RP_OK);
    assert_null(pull_read(t, NULL, "hub/models--org--tiny/refs/" HUB_COMMIT));
    t->params.revision = "v1";
    assert_int_equal(pull(t, "org/tiny@v2"), RP_ERROR_ARGUMENT);
    static const char *const bad[] = {"../main", "/etc/passwd", "a/../../../b", "", "a\\b", "a//b", "a\nb"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        t->params.revision = bad[i];
        assert_int_equal(pull(t, "org/tiny"), RP_ERROR_ARGUMENT);
    }
}

static void test_a_copy_in_a_folder(void **state) {
    pull_test *t = *state;
    static char output[FIXTURE_PATH_SIZE];
    hub_add_model(&t->hub, "model.safetensors", 70000);
    hub_add_text(&t->hub, "modules.json",
                 "[{\"type\": \"a.Transformer\", \"path\": \"\"}, {\"type\": \"a.Pooling\", "
                 "\"path\": \"1_Pooling\"}]");
    hub_add_text(&t->hub, "1_Pooling/config.json", "{}");
    snprintf(output, sizeof output, "%.400s/made/out", t->dir);
    t->params.output = output;
    for (int i = 0; i < 2; i++) { /* also over what is there, and without a network */
        assert_int_equal(pull(t, "org/tiny"), RP_OK);
        assert_string_equal(t->out, output);
        assert_true(pull_holds(t, "made/out/config.json", "config.json"));
        assert_true(pull_holds(t, "made/out/model.safetensors", "model.safetensors"));
        assert_true(pull_holds(t, "made/out/1_Pooling/config.json", "1_Pooling/config.json"));
        assert_null(pull_read(t, NULL, "made/out/README.md"));
        assert_true(fixture_write_text(output, "config.json", "old"));
        t->params.offline = true;
    }
}

/* ---- which files ---- */

static void test_shards(void **state) {
    pull_test *t = *state;
    static const char index[] =
        "{\"weight_map\": {\"a\": \"part-1.safetensors\", \"b\": \"part-1.safetensors\", \"c\": "
        "\"part-2.safetensors\"}}";
    hub_add_model(&t->hub, "part-1.safetensors", 100);
    hub_add_text(&t->hub, "part-2.safetensors", "two");
    hub_add_text(&t->hub, "part-3.safetensors", "not listed");
    hub_add_text(&t->hub, "model.safetensors.index.json", index);
    hub_add_text(&t->hub, "pytorch_model.bin", "not needed");
    assert_int_equal(pull(t, "org/tiny"), RP_OK);
    assert_true(has(t, "part-1.safetensors") && has(t, "part-2.safetensors"));
    assert_true(has(t, "model.safetensors.index.json"));
    assert_false(has(t, "part-3.safetensors") || has(t, "pytorch_model.bin"));
}

static void test_pickles_where_there_is_nothing_else(void **state) {
    pull_test *t = *state;
    hub_add_model(&t->hub, "pytorch_model.bin", 100);
    hub_add_text(&t->hub, "tf_model.h5", "not needed");
    assert_int_equal(pull(t, "org/tiny"), RP_OK);
    assert_true(has(t, "pytorch_model.bin"));
    assert_false(has(t, "tf_model.h5"));
}

static void test_checkpoints_of_tensorflow(void **state) {
    pull_test *t = *state;
    static const char *const names[] = {"albert_config.json",
                                        "model.ckpt.index",
                                        "model.ckpt.data-00000-of-00001",
                                        "checkpoint",
                                        "30k-clean.model",
                                        "variables/variables.index",
                                        "variables/variables.data-00000-of-00001",
                                        "assets/vocab.txt"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) hub_add_text(&t->hub, names[i], names[i]);
    hub_add_text(&t->hub, "model.ckpt.meta", "not needed");
    assert_int_equal(pull(t, "org/tiny"), RP_OK);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) assert_true(has(t, names[i]));
    assert_false(has(t, "model.ckpt.meta"));
}

static void test_modules_of_sentence_transformers(void **state) {
    pull_test *t = *state;
    hub_add_text(
        &t->hub, "modules.json",
        "[{\"type\": \"sentence_transformers.models.Transformer\", \"path\": \"0_Transformer\"}, {\"type\": "
        "\"sentence_transformers.models.Pooling\", \"path\": \"1_Pooling\"}, {\"type\": "
        "\"sentence_transformers.models.Dense\", \"path\": \"2_Dense\"}]");
    static const char *const needed[] = {
        "0_Transformer/config.json", "0_Transformer/pytorch_model.bin",
        "0_Transformer/vocab.txt",   "0_Transformer/sentence_bert_config.json",
        "1_Pooling/config.json",     "2_Dense/config.json",
        "2_Dense/model.safetensors", "config_sentence_transformers.json"};
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) hub_add_text(&t->hub, needed[i], needed[i]);
    hub_add_text(&t->hub, "2_Dense/pytorch_model.bin", "not needed");
    hub_add_text(&t->hub, "3_Other/config.json", "not needed");
    hub_add_text(&t->hub, "train.csv", "not needed");
    assert_int_equal(pull(t, "org/tiny"), RP_OK);
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) assert_true(has(t, needed[i]));
    assert_false(has(t, "2_Dense/pytorch_model.bin") || has(t, "3_Other") || has(t, "train.csv"));
    check_file(t, "1_Pooling/config.json", "../../../blobs");
}

static void test_a_model_without_weights_says_what_it_has(void **state) {
    pull_test *t = *state;
    hub_add_text(&t->hub, "config.json", "{}");
    assert_int_equal(pull(t, "org/tiny"), RP_ERROR_UNSUPPORTED);
    assert_non_null(strstr(t->err.message, "no weights"));
    hub_add_text(&t->hub, "onnx/model.onnx", "x");
    assert_int_equal(pull(t, "org/tiny"), RP_ERROR_UNSUPPORTED);
    assert_non_null(strstr(t->err.message, "onnx/model.onnx"));
    hub_add_text(&t->hub, "tf_model.h5", "x");
    assert_int_equal(pull(t, "org/tiny"), RP_ERROR_UNSUPPORTED);
    assert_non_null(strstr(t->err.message, "tf_model.h5"));
    assert_null(pull_read(t, NULL, "hub/models--org--tiny/refs/main"));
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, pull_setup, pull_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_what_is_needed_comes_into_the_cache_of_huggingface_hub),
        TEST(test_a_second_pull_asks_for_the_list_alone),
        TEST(test_the_token_goes_to_the_hub_alone),
        TEST(test_a_relative_redirect_keeps_the_token),
        TEST(test_where_the_token_comes_from),
        TEST(test_a_name_is_found_without_a_network),
        TEST(test_models_that_come_along_are_found_by_name),
        TEST(test_what_no_name_can_be),
        TEST(test_where_the_cache_is),
        TEST(test_revisions),
        TEST(test_a_copy_in_a_folder),
        TEST(test_shards),
        TEST(test_pickles_where_there_is_nothing_else),
        TEST(test_checkpoints_of_tensorflow),
        TEST(test_modules_of_sentence_transformers),
        TEST(test_a_model_without_weights_says_what_it_has),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
