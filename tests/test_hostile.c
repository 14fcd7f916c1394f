/* Folders that were made to do harm: whatever stands where a file belongs, opening it returns, soon, with a
 * message that names it. tests/fuzz does the same to what the files hold. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "loader/pooling.h"
#include "loader/weights.h"
#include "reprise/tokenizer.h"
#include "support_fixture.h"

static char dir[FIXTURE_PATH_SIZE];

/* Files that an ALBERT's folder may hold, and those that it must. */
static const struct {
    const char *name;
    bool needed;
} files[] = {{"config.json", true},
             {"model.safetensors", true},
             {"spiece.model", true},
             {"vocab.txt", false},
             {"tokenizer_config.json", true},
             {"special_tokens_map.json", false},
             {"added_tokens.json", false},
             {"tokenizer.json", false},
             {"modules.json", false},
             {"1_Pooling/config.json", false},
             {"sentence_bert_config.json", false}};

static const char *path_of(const char *name) {
    static char path[2 * FIXTURE_PATH_SIZE];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static int make_folder(void **state) {
    (void)state;
    if (!fixture_make_dir(dir) || mkdir(path_of("1_Pooling"), 0700)) return -1;
    for (size_t i = 0; i < RP_COUNT(files); i++) {
        char target[2 * FIXTURE_PATH_SIZE];
        bool spiece = !strcmp(files[i].name, "spiece.model"); /* a small one */
        snprintf(target, sizeof target, SOURCE_DIR "%s%s",
                 spiece ? "/tests/fuzz/corpus/spiece/unigram" : "/tools/models/sentiment/",
                 spiece ? "" : files[i].name);
        if (files[i].needed && symlink(target, path_of(files[i].name))) return -1;
    }
    alarm(300); /* what waits for ever fails */
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    alarm(0);
    fixture_remove_dir(dir);
    return 0;
}

/* Everything that opening a model reads. */
static rp_status load(rp_error *err) {
    rp_config config;
    rp_weights weights;
    rp_pooling_config pooling = {0};
    rp_tokenizer *tokenizer = NULL;
    rp_status status = rp_config_load(dir, &config, err);
    if (status) return status;
    status = rp_weights_load(dir, &config, &weights, err);
    if (!status) rp_weights_finish(&weights);
    if (!status) status = rp_tokenizer_open(dir, &tokenizer, err);
    rp_tokenizer_close(&tokenizer);
    if (!status) status = rp_pooling_load(dir, config.hidden_size, &pooling, err);
    rp_pooling_finish(&pooling);
    rp_config_finish(&config);
    return status;
}

/* A terabyte that takes no room on the disk. */
static int make_huge(const char *path) {
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) return -1;
    int failed = ftruncate(fd, (off_t)1 << 40);
    return close(fd) || failed;
}

/* Put something in place of each file in turn; `make` returns 0. A vocab.txt is read where there is no
 * spiece.model. */
static void try_each(int (*make)(const char *path), rp_status expected) {
    for (size_t i = 0; i < RP_COUNT(files); i++) {
        rp_error err = {0};
        char backup[2 * FIXTURE_PATH_SIZE];
        const char *hidden = files[i].needed                       ? files[i].name
                             : !strcmp(files[i].name, "vocab.txt") ? "spiece.model"
                                                                   : NULL;
        snprintf(backup, sizeof backup, "%s/backup", dir);
        if (hidden) assert_int_equal(rename(path_of(hidden), backup), 0);
        assert_int_equal(make(path_of(files[i].name)), 0);
        rp_status status = load(&err);
        if (SIZE_MAX == UINT32_MAX && make == make_huge && !strcmp(files[i].name, "model.safetensors")) {
            assert_int_equal(status, RP_ERROR_UNSUPPORTED); /* nobody can look into it */
            status = expected;
        }
        if (status != expected || !strstr(err.message, files[i].name))
            print_error("%s: %s: %s\n", files[i].name, rp_status_name(status), err.message);
        assert_int_equal(status, expected);
        assert_non_null(strstr(err.message, files[i].name));
        assert_int_equal(remove(path_of(files[i].name)), 0);
        if (hidden) assert_int_equal(rename(backup, path_of(hidden)), 0);
    }
    rp_error err;
    assert_int_equal(load(&err), RP_OK);
}

static int make_pipe(const char *path) {
    return mkfifo(path, 0600);
}

static int make_endless(const char *path) {
    return symlink("/dev/zero", path);
}

static int make_directory(const char *path) {
    return mkdir(path, 0700);
}

static int make_unreadable(const char *path) {
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0);
    return fd < 0 ? -1 : close(fd);
}

static int make_noise(const char *path) {
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    unsigned char noise[5000];
    for (size_t i = 0; i < sizeof noise; i++) noise[i] = (unsigned char)((i + 7) * 2654435761u >> 11);
    ssize_t wrote = fd < 0 ? -1 : write(fd, noise, sizeof noise);
    return close(fd) || wrote != sizeof noise;
}

static void test_no_files(void **state) {
    (void)state;
    try_each(make_pipe, RP_ERROR_FILE);
    try_each(make_endless, RP_ERROR_FILE);
    try_each(make_directory, RP_ERROR_FILE);
    if (geteuid() != 0) try_each(make_unreadable, RP_ERROR_FILE);
}

static void test_files_of_anything(void **state) {
    (void)state;
    try_each(make_huge, RP_ERROR_FORMAT);
    try_each(make_noise, RP_ERROR_FORMAT);
}

/* Tokens are added one by one, so their number has a limit. */
static void test_many_added_tokens(void **state) {
    enum { TOKENS = 40000 };
    rp_error err = {0};
    char *text = malloc(TOKENS * 24), *at = text;
    (void)state;
    assert_non_null(text);
    for (int i = 0; i < TOKENS; i++) at += sprintf(at, "%c\"t%d\": %d", i ? ',' : '{', i, i);
    strcpy(at, "}");
    assert_true(fixture_write_text(dir, "added_tokens.json", text));
    assert_int_equal(load(&err), RP_ERROR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "added_tokens.json: more than 32768 added tokens"));
    free(text);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, make_folder, remove_folder)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_no_files),
        TEST(test_files_of_anything),
        TEST(test_many_added_tokens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
