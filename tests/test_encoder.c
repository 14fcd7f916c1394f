/* Whole models against Hugging Face: every output of every case in tests/goldens/encoder, in one batch of
 * mixed lengths and each sequence alone. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "reprise/reprise.h"
#include "support_fixture.h"

/* The library's promise: this far from Hugging Face in float32, relative above 1. The second bound is on the
 * root of the mean square: a wrong GELU or epsilon can stay below the first one, float32 rounding stays far
 * below both. */
#define WORST_BOUND 2e-4
#define RMS_BOUND 3e-5

static const unsigned head_of_output[] = {
    [RP_OUTPUT_POOLED] = RP_HEAD_POOLER, [RP_OUTPUT_CLASSES] = RP_HEAD_CLASSIFIER,
    [RP_OUTPUT_TOKENS] = RP_HEAD_TOKENS, [RP_OUTPUT_SPANS] = RP_HEAD_SPANS,
    [RP_OUTPUT_CHOICE] = RP_HEAD_CHOICE, [RP_OUTPUT_MASKED_LM] = RP_HEAD_MASKED_LM,
    [RP_OUTPUT_ORDER] = RP_HEAD_ORDER};

/* Sequences [first, first + count) in one run: add their distance from the goldens to `error`. */
static void run_and_compare(rp_model *model, const golden *g, const golden_output *want, size_t first,
                            size_t count, golden_error *error) {
    size_t order[64], size = 0, row = 0, rows = 0, begin = 0;
    assert_true(count <= 64);
    for (size_t i = 0; i < count; i++) order[i] = first + i;
    float *got = golden_run(model, g, want->output, order, count, &size);
    assert_non_null(got);
    golden_rows(g, want->output, first, &begin, &rows);
    golden_rows(g, want->output, first + count - 1, &row, &rows);
    assert_int_equal(size, (row + rows - begin) * want->columns);
    golden_compare(want, begin, row + rows - begin, got, error);
    free(got);
}

/* Every output of the case for all sequences in one batch, and for every third sequence alone; each sequence
 * is alone for some of the outputs. */
static golden_error compare_case(rp_model *model, const golden *g) {
    golden_error error = {0};
    for (size_t i = 0; i < g->output_count; i++) {
        run_and_compare(model, g, &g->outputs[i], 0, g->sequence_count, &error);
        for (size_t s = 0; s < g->sequence_count; s++)
            if ((i + s) % 3 == 0) run_and_compare(model, g, &g->outputs[i], s, 1, &error);
    }
    if (!(error.worst <= WORST_BOUND))
        print_error("%s: %s[%zu][%zu] is %.9g instead of %.9g\n", g->name, golden_output_name(error.output),
                    error.row, error.column, error.got, error.want);
    print_message("%s: worst %.1e, rms %.1e\n", g->name, error.worst, golden_rms(&error));
    return error;
}

/* A slow bed runs those alone that REPRISE_TEST_CASES names. */
static bool is_wanted(const char *name) {
    const char *cases = getenv("REPRISE_TEST_CASES"), *at = cases;
    size_t length = strlen(name);
    while (at && (at = strstr(at, name))) {
        if ((at == cases || at[-1] == ' ') && (!at[length] || at[length] == ' ')) return true;
        at += length;
    }
    return !cases;
}

static void test_case_matches_hugging_face(void **state) {
    golden g = {0};
    rp_model *model = NULL;
    rp_error err = {0};
    unsigned heads = 0;
    if (!is_wanted(*state)) skip();
    assert_true(golden_open(*state, NULL, &g));
    if (rp_model_open(fixture_device, g.dir, NULL, &model, &err)) print_error("%s\n", err.message);
    assert_non_null(model);
    golden_error error = compare_case(model, &g);
    assert_true(error.worst <= WORST_BOUND);
    assert_true(golden_rms(&error) <= RMS_BOUND);
    for (size_t i = 0; i < g.output_count; i++) heads |= head_of_output[g.outputs[i].output];
    assert_int_equal(rp_model_get_info(model)->heads, heads);
    rp_model_close(&model);
    golden_close(&g);
}

/* The published all-MiniLM-L6-v2, where its folder is at hand: tools/check fetches it. */
static void test_minilm_matches_hugging_face(void **state) {
    const char *dir = getenv("REPRISE_MINILM");
    golden g = {0};
    rp_model *model = NULL;
    rp_error err = {0};
    (void)state;
    if (!dir || !*dir) skip();
    assert_true(golden_open_at("minilm", dir, &g));
    if (rp_model_open(fixture_device, g.dir, NULL, &model, &err)) print_error("%s\n", err.message);
    assert_non_null(model);
    golden_error error = compare_case(model, &g);
    assert_true(error.worst <= WORST_BOUND);
    assert_true(golden_rms(&error) <= RMS_BOUND);
    rp_model_close(&model);
    golden_close(&g);
}

/* The bounds above mean nothing if the comparison does not see differences. */
static void test_comparison_sees_differences(void **state) {
    float values[] = {1, 2, 3, -4}, off[] = {1, 2, 3.001f, -4}, nan[] = {1, NAN, 3, -4};
    golden_output want = {.output = RP_OUTPUT_CLASSES, .columns = 2, .values = values};
    golden_error same = {0}, different = {0}, broken = {0};
    (void)state;
    golden_compare(&want, 0, 2, values, &same);
    assert_true(same.worst == 0 && same.elements == 4);
    golden_compare(&want, 0, 2, off, &different);
    assert_true(different.worst > WORST_BOUND && different.row == 1 && different.column == 0);
    golden_compare(&want, 0, 2, nan, &broken);
    assert_false(broken.worst <= WORST_BOUND);
}

#define CASE(case_name) \
    { .name = "encoder: " case_name, .test_func = test_case_matches_hugging_face, .initial_state = case_name }

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_comparison_sees_differences),
        CASE("odd"),
        CASE("odd_spans"),
        CASE("odd_choice"),
        CASE("inner_spans"),
        CASE("head26_choice"),
        CASE("odd_f16"),
        CASE("odd_bf16"),
        CASE("head13_one"),
        CASE("head16"),
        CASE("head26"),
        CASE("head32"),
        CASE("head64"),
        CASE("head128"),
        CASE("head256"),
        CASE("deep"),
        CASE("groups"),
        CASE("groups_uneven"),
        CASE("groups_three"),
        CASE("inner"),
        CASE("inner_three"),
        CASE("vocab"),
        CASE("types1"),
        CASE("types3"),
        CASE("wide_embedding"),
        CASE("untied"),
        CASE("bert"),
        CASE("bert_classes"),
        CASE("bert_tokens"),
        CASE("bert_spans"),
        CASE("bert_choice"),
        CASE("bert_lm"),
        CASE("bert_pretraining"),
        CASE("distilbert"),
        CASE("distilbert_classes"),
        CASE("distilbert_tokens"),
        CASE("distilbert_spans"),
        CASE("distilbert_choice"),
        CASE("distilbert_lm"),
        CASE("distilbert_untied"),
        CASE("sentiment"),
        CASE("pretrained"),
        cmocka_unit_test(test_minilm_matches_hugging_face),
    };
    return cmocka_run_group_tests(tests, fixture_open_device, fixture_close_device);
}
