/* What a step of training costs beside an inference, and what a queue makes of texts that come at random, as
 * `reprise bench` measures them: of base, which takes minutes and more than an hour, so it is left out where
 * REPRISE_TEST_LONG is not set (tools/testbeds long). Of training the times are the processor's where that is
 * the device, and other programs change them little; the queue wants a machine of its own. */
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support_cli.h"

static double number(const json_t *from, const char *key) {
    const json_t *value = json_object_get(from, key);
    assert_true(json_is_number(value));
    return json_number_value(value);
}

static void at_most(const char *name, const char *what, double got, double most) {
    print_message("recompute %s: %s is %.2f, at most %.2f\n", name, what, got, most);
    if (!(got <= most)) fail_msg("recompute %s: %s is %.2f, more than %.2f", name, what, got, most);
}

static void test_base(void **state) {
    size_t ways = 0, i;
    json_t *way;
    (void)state;
    if (!getenv("REPRISE_TEST_LONG")) skip();
    cli_run run = cli(CLI_ARGS("bench", "--train", "--config", "base", "--tokens", "128", "--batch", "8",
                               "--repeat", "2", "--json"),
                      NULL, 0);
    assert_int_equal(run.status, 0);
    json_t *root = json_loads(run.out, 0, NULL);
    assert_non_null(root);
    const double inference = number(root, "inference_fraction");
    json_array_foreach(json_object_get(root, "ways"), i, way) {
        const char *name = json_string_value(json_object_get(way, "recompute"));
        const bool kept = name && !strcmp(name, "never");
        if (kept) at_most(name, "backward, of the forward,", number(way, "backward_per_forward"), 2.3);
        at_most(name, "the step, of the inference,", number(way, "step_per_inference"), kept ? 3.6 : 4.6);
        at_most(name, "what the roofline's share lost", inference - number(way, "product_fraction"), 0.1);
        ways++;
    }
    assert_int_equal(ways, 2);
    json_decref(root);
    cli_free(&run);
}

static void ratio(const json_t *policy, const char *key, double most) {
    double got = number(policy, key);
    print_message("%s is %.3f, at most %.2f\n", key, got, most);
    if (!(got <= most)) fail_msg("least work: %s is %.3f, more than %.2f", key, got, most);
}

/* By the bounds for llvmpipe: a GPU is bound otherwise (tests/test_choose.c has both as formulas). */
static void test_queue(void **state) {
    (void)state;
    if (!getenv("REPRISE_TEST_LONG")) skip();
    cli_run run =
        cli(CLI_ARGS("bench", "--serve", "--config", "base", "--batch", "2500", "--repeat", "4", "--json"),
            NULL, 0);
    assert_int_equal(run.status, 0);
    json_t *root = json_loads(run.out, 0, NULL);
    assert_non_null(root);
    const json_t *least = json_object_get(root, "least-work"), *dynamic = json_object_get(root, "dynamic");
    ratio(least, "mean_ratio", 0.6);
    ratio(least, "p50_ratio", 0.5);
    ratio(least, "p99_ratio", 1.15);
    ratio(least, "worst_ratio", 6);
    assert_true(number(least, "saturated_tokens_per_s") >= 0.98 * number(dynamic, "saturated_tokens_per_s"));
    assert_true(number(least, "idle_ms") <= 1.03 * number(root, "alone_ms"));
    json_decref(root);
    cli_free(&run);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_base), cmocka_unit_test(test_queue)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
