/* The bundled models that answer for an application: each opens by its name, and its answers are those of
 * Hugging Face's classes with the same float16 weights in float32 (tests/goldens/bundled_answers.py). */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "reprise/reprise.h"
#include "support_fixture.h"

static const float NEAR = 2e-4f;

static rp_model *open_model(const char *name) {
    rp_model *model = NULL;
    rp_error err = {0};
    if (rp_model_open(fixture_device, name, NULL, &model, &err)) fail_msg("%s", err.message);
    return model;
}

/* The labels of a text, best first. */
typedef struct expected_label {
    const char *text, *label;
    float score;
    const char *next; /* and the second one */
    float next_score;
} expected_label;

static void check_labels(const char *name, const expected_label *rows, size_t count) {
    rp_model *model = open_model(name);
    for (size_t i = 0; i < count; i++) {
        const rp_input input = {.text = {rows[i].text, strlen(rows[i].text)}};
        rp_result *result = NULL;
        rp_error err = {0};
        size_t labels = 0;
        if (rp_classify(model, &input, 1, NULL, &result, &err)) fail_msg("%s", err.message);
        const rp_label *got = rp_result_labels(result, 0, &labels);
        assert_true(labels >= 2);
        if (strcmp(got[0].label, rows[i].label) || strcmp(got[1].label, rows[i].next) ||
            fabsf(got[0].score - rows[i].score) > NEAR || fabsf(got[1].score - rows[i].next_score) > NEAR)
            fail_msg("%s: '%s': %s %.6f, %s %.6f", name, rows[i].text, got[0].label, (double)got[0].score,
                     got[1].label, (double)got[1].score);
        rp_result_free(&result);
    }
    rp_model_close(&model);
}

static void test_intents(void **state) {
    static const expected_label rows[] = {
        {"I am still waiting on my card?", "card_arrival", 0.992872f, "lost_or_stolen_card", 0.001778f},
        {"How much do you charge to exchange dollars for euros?", "exchange_charge", 0.984141f,
         "exchange_rate", 0.003686f},
    };
    (void)state;
    check_labels("bundled:intents", rows, sizeof rows / sizeof *rows);
}

static void test_spam(void **state) {
    static const expected_label rows[] = {
        {"You have won a prize! Call 09061701461 now to claim it.", "spam", 0.996647f, "call_or_click",
         0.985935f},
        {"see you at the station at six", "spam", 0.00494f, "call_or_click", 0.001498f},
        {"I put the pictures on www.example.org", "spam", 0.607869f, "call_or_click", 0.006605f},
    };
    (void)state;
    check_labels("bundled:spam", rows, sizeof rows / sizeof *rows);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_intents),
        cmocka_unit_test(test_spam),
    };
    return cmocka_run_group_tests(tests, fixture_open_device, fixture_close_device);
}
