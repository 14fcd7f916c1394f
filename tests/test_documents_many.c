/* Documents in numbers: questions that are read in several pieces, and links that lead nowhere. */
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

#include "reprise/reprise.h"
#include "support_tasks.h"

static char dir[FIXTURE_PATH_SIZE], folder[FIXTURE_PATH_SIZE + 32];
static rp_error err;

static int setup(void **state) {
    if (!fixture_make_dir(dir)) return -1;
    snprintf(folder, sizeof folder, "%s/docs", dir);
    return mkdir(folder, 0777) ? -1 : fixture_open_device(state);
}

static int teardown(void **state) {
    fixture_remove_dir(dir);
    return fixture_close_device(state);
}

/* At 400 passages a question two are read at a time: the answers are those of each question alone. */
static void test_pieces(void **state) {
    const rp_text questions[] = {RP_TEXT("Where was Ada born?"), RP_TEXT(""), RP_TEXT("Who lived in London?"),
                                 RP_TEXT("badgers"), RP_TEXT("the winter and the ship")};
    enum { COUNT = sizeof questions / sizeof *questions };
    const rp_document_params params = {.passages = 400, .top_k = 3};
    rp_documents *documents = NULL;
    rp_model *model = NULL;
    rp_result *all = NULL, *one = NULL;
    task_case c;
    (void)state;
    assert_true(task_case_open("answer", &c));
    assert_int_equal(rp_model_open(fixture_device, c.dir, NULL, &model, &err), RP_OK);
    assert_true(fixture_write_text(folder, "ada", "Ada was born in London. A friend lived there."));
    assert_true(fixture_write_text(folder, "ship", "The winter came to London, and the ship was gone."));
    assert_int_equal(rp_documents_open(folder, NULL, &documents, &err), RP_OK);
    assert_int_equal(rp_answer_documents(model, documents, questions, COUNT, &params, &all, &err), RP_OK);
    assert_int_equal(rp_result_status(all, 1, NULL), RP_ERROR_TEXT);
    for (size_t i = 0; i < COUNT; i++) {
        char *want = NULL, *got = NULL;
        if (i == 1) continue;
        assert_int_equal(rp_answer_documents(model, documents, &questions[i], 1, &params, &one, &err), RP_OK);
        assert_int_equal(rp_result_json(one, 0, NULL, &want, NULL, &err), RP_OK);
        assert_int_equal(rp_result_json(all, i, NULL, &got, NULL, &err), RP_OK);
        assert_string_equal(got, want);
        rp_string_free(&want);
        rp_string_free(&got);
        rp_result_free(&one);
    }
    rp_result_free(&all);
    rp_documents_close(&documents);
    rp_model_close(&model);
    task_case_close(&c);
}

static void take_message(void *user, rp_log_level level, const char *message) {
    int *heard = user;
    assert_int_equal(level, RP_LOG_WARNING);
    assert_non_null(strstr(message, "docs/gone: this link leads nowhere"));
    (*heard)++;
}

static void test_links_that_lead_nowhere(void **state) {
    int heard = 0;
    const rp_call call = {.log = take_message, .user = &heard};
    const rp_documents_params params = {.call = &call};
    char link[FIXTURE_PATH_SIZE + 64];
    rp_documents *documents = NULL;
    (void)state;
    snprintf(link, sizeof link, "%s/gone", folder);
    assert_int_equal(symlink("/no/such/file", link), 0);
    assert_int_equal(rp_documents_open(folder, &params, &documents, &err),
                     RP_ERROR_FILE); /* nothing else is there */
    assert_int_equal(heard, 1);
    assert_true(fixture_write_text(folder, "here", "Ada was born in London."));
    assert_int_equal(rp_documents_open(folder, &params, &documents, &err), RP_OK);
    assert_int_equal(heard, 2);
    assert_int_equal(rp_documents_get_info(documents)->documents, 1);
    rp_documents_close(&documents);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {TEST(test_pieces), TEST(test_links_that_lead_nowhere)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
