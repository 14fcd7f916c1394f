/* reprise bench: what each measurement writes, and what it refuses. No value is compared with a time. */
#include "support_cli.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "reprise/reprise.h"
#include "tools/bench/measure.h"

#define CONFIG SOURCE_DIR "/tools/models/sentiment"

static double number(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    if (!json_is_number(value)) print_error("no number %s\n", key);
    assert_true(json_is_number(value));
    assert_true(isfinite(json_number_value(value)));
    return json_number_value(value);
}

static const char *string(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    if (!json_is_string(value)) print_error("no string %s\n", key);
    assert_true(json_is_string(value));
    return json_string_value(value);
}

static void check_device(const json_t *object) {
    assert_true(strlen(string(object, "device")) > 0);
    assert_true(strlen(string(object, "driver")) > 0);
    assert_true(json_is_boolean(json_object_get(object, "cpu")));
}

/* ---- a run ---- */

/* The keys that are promised, and their values. */
static void check_run(const json_t *value, const char *weights, unsigned tokens, unsigned batch) {
    static const char *const keys[] = {"median_ms", "min_ms",  "max_ms",    "gflops",      "roofline_gflops",
                                       "fraction",  "host_ms", "device_ms", "device_bytes"};
    check_device(value);
    assert_string_equal(string(value, "config"), CONFIG);
    assert_string_equal(string(value, "weights"), weights);
    assert_string_equal(string(value, "precision"), "f32");
    assert_int_equal(number(value, "tokens"), tokens);
    assert_int_equal(number(value, "batch"), batch);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) assert_true(number(value, keys[i]) > 0);
    assert_true(number(value, "min_ms") <= number(value, "median_ms"));
    assert_true(number(value, "median_ms") <= number(value, "max_ms"));
    assert_string_equal(string(value, "unit"), "f32");
    double share = number(value, "gflops") / number(value, "roofline_gflops");
    assert_true(fabs(number(value, "fraction") - share) < 1e-9);
    assert_true(json_is_integer(json_object_get(value, "device_bytes")));
    if (json_is_true(json_object_get(value, "cpu"))) {
        assert_true(number(value, "cpu_ms") > 0);
        assert_true(number(value, "roofline_cpu_gflops") > 0);
    }
}

static void test_a_run_against_its_schema(void **state) {
    (void)state;
    cli_run run = cli(
        CLI_ARGS("bench", "--config", CONFIG, "--tokens", "16", "--batch", "2", "--repeat", "2", "--json"),
        NULL, 0);
    assert_int_equal(run.status, 0);
    assert_int_equal(cli_line_count(&run), 1);
    json_t *value = cli_json(&run, 0);
    check_run(value, "random", 16, 2);
    assert_int_equal(number(value, "total_tokens"), 32);
    assert_null(json_object_get(value, "padded_median_ms"));
    json_decref(value);
    cli_free(&run);
}

static void test_mixed_lengths_run_packed_and_padded(void **state) {
    (void)state;
    const char *file = cli_file("lengths", "3\n20\n1\n", strlen("3\n20\n1\n"));
    cli_run run = cli(CLI_ARGS("bench", "-m", CONFIG, "--lengths", file, "--repeat", "1", "--json"), NULL, 0);
    assert_int_equal(run.status, 0);
    json_t *value = cli_json(&run, 0);
    check_run(value, "model", 20, 3);
    assert_int_equal(number(value, "total_tokens"), 24);
    assert_true(number(value, "padded_median_ms") > 0);
    double speedup = number(value, "padded_median_ms") / number(value, "median_ms");
    assert_true(fabs(number(value, "packed_speedup") - speedup) < 1e-9);
    if (json_is_true(json_object_get(value, "cpu"))) {
        speedup = number(value, "padded_cpu_ms") / number(value, "cpu_ms");
        assert_true(fabs(number(value, "packed_cpu_speedup") - speedup) < 1e-9);
    }
    /* 6 layers of H 384 and I 1536, and the mapping from E 128: the padding is no work */
    const double h = 384, t = 24, squares = 9 + 400 + 1;
    double work = 6 * (8 * t * h * h + 4 * t * h * 1536 + 4 * h * squares) + 2 * t * 128 * h;
    assert_true(fabs(number(value, "gflops") * number(value, "median_ms") * 1e6 / work - 1) < 1e-6);
    json_decref(value);
    cli_free(&run);
    unlink(file);

    run = cli_text(CLI_ARGS("bench", "--config", CONFIG, "--lengths", "-", "--repeat", "1", "--json"),
                   "3\r\n 20 \n1");
    assert_int_equal(run.status, 0);
    value = cli_json(&run, 0);
    check_run(value, "random", 20, 3);
    json_decref(value);
    cli_free(&run);
    run = cli(CLI_ARGS("bench", "--config", CONFIG, "--lengths", "sst2", "--batch", "3", "--repeat", "1"),
              NULL, 0);
    assert_int_equal(run.status, 0);
    assert_non_null(strstr(run.out, "padded"));
    assert_non_null(strstr(run.out, "roofline"));
    cli_free(&run);
}

/* ---- a trace ---- */

static void test_a_trace_parses(void **state) {
    (void)state;
    const char *path = cli_file("trace.json", NULL, 0);
    cli_run run = cli(
        CLI_ARGS("bench", "--config", CONFIG, "--tokens", "8", "--repeat", "1", "--trace", path, "--json"),
        NULL, 0);
    assert_int_equal(run.status, 0);
    json_t *trace = json_load_file(path, 0, NULL);
    assert_non_null(trace);
    const json_t *events = json_object_get(trace, "traceEvents");
    assert_true(json_is_array(events));
    size_t host = 0, device = 0, attention = 0;
    double before = -1;
    for (size_t i = 0; i < json_array_size(events); i++) {
        const json_t *event = json_array_get(events, i);
        if (strcmp(string(event, "ph"), "X")) continue;
        bool on_device = !strcmp(string(event, "cat"), "device");
        assert_true(number(event, "dur") >= 0);
        assert_true(number(event, "ts") >= 0);
        assert_int_equal(number(event, "tid"), on_device ? 2 : 1);
        attention += !strcmp(string(event, "name"), "attention");
        host += !on_device;
        device += on_device;
        if (on_device) assert_true(number(event, "ts") >= before);
        if (on_device) before = number(event, "ts");
    }
    assert_int_equal(host, 3);
    assert_int_equal(attention, 6); /* one in each layer */
    assert_true(device >= 6 * 5);
    json_decref(trace);
    cli_free(&run);
    unlink(path);

    run = cli(CLI_ARGS("bench", "--config", CONFIG, "--tokens", "8", "--repeat", "1", "--trace",
                       "/nonexistent/trace"),
              NULL, 0);
    assert_int_equal(run.status, 1);
    assert_int_equal(run.out_size, 0);
    assert_non_null(strstr(run.err, "/nonexistent/trace"));
    cli_free(&run);
}

/* ---- the other measurements ---- */

static void test_roofline(void **state) {
    (void)state;
    static const char *const keys[] = {"f32_gflops",  "f16_gflops",  "int8_gops",  "cooperative_gflops",
                                       "copy_gbytes", "dispatch_us", "barrier_us", "submit_us"};
    cli_run json = cli(CLI_ARGS("bench", "--roofline", "--json"), NULL, 0);
    cli_run people = cli(CLI_ARGS("bench", "--roofline"), NULL, 0);
    assert_int_equal(json.status | people.status, 0);
    assert_non_null(strstr(people.out, "fp32 fma"));
    json_t *value = cli_json(&json, 0);
    check_device(value);
    const json_t *notes = json_object_get(value, "notes");
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        assert_true(number(value, keys[i]) >= 0);
        /* what is missing says why */
        assert_true(strlen(string(notes, keys[i])) > 0);
    }
    assert_true(number(value, "f32_gflops") > 0);
    assert_true(number(value, "copy_gbytes") > 0);
    static const char *const arithmetic[][2] = {{"f32_gflops", "f32_cpu_gflops"},
                                                {"f16_gflops", "f16_cpu_gflops"},
                                                {"int8_gops", "int8_cpu_gops"},
                                                {"cooperative_gflops", "cooperative_cpu_gflops"}};
    for (size_t i = 0; i < sizeof arithmetic / sizeof *arithmetic; i++) {
        bool cpu = json_is_true(json_object_get(value, "cpu")) && number(value, arithmetic[i][0]) > 0;
        assert_int_equal(json_object_get(value, arithmetic[i][1]) != NULL, cpu);
        if (cpu) assert_true(number(value, arithmetic[i][1]) > 0);
        /* only a device or a build without it leaves one out */
        const char *note = string(notes, arithmetic[i][0]);
        if (!number(value, arithmetic[i][0]))
            assert_true(strstr(note, "the device has no") || strstr(note, "this build"));
    }
    assert_true(number(value, "submit_us") > 0);
    json_decref(value);
    cli_free(&json);
    cli_free(&people);
}

/* The fraction of an operator is of what its kernel multiplies with. */
static void check_unit(const json_t *value) {
    const char *unit = string(value, "unit"), *kernel = string(value, "kernel");
    bool matrix = strstr(kernel, "cooperative"), dot = strstr(kernel, "matmul_dot");
    bool product = strncmp(kernel, "matmul", 6) == 0 || strncmp(kernel, "attention", 9) == 0;
    assert_string_equal(unit, !product ? "copy" : matrix ? "cooperative" : dot ? "int8" : "f32");
    assert_int_equal(json_object_get(value, "roofline_gflops") != NULL, product);
    if (product) {
        double least = number(value, "gflops") / number(value, "roofline_gflops");
        assert_true(number(value, "fraction") >= least * (1 - 1e-9));
    }
}

static void test_ops(void **state) {
    (void)state;
    static const char *const ops[] = {"qkv", "attention",  "attention output",
                                      "ffn", "ffn output", "layer norm"};
    cli_run run = cli(CLI_ARGS("bench", "--ops", "--config", CONFIG, "--tokens", "24", "--json"), NULL, 0);
    assert_int_equal(run.status, 0);
    for (size_t n = 0; n < sizeof ops / sizeof *ops; n++) {
        int found = 0, chosen = 0;
        for (long i = 0; i < cli_line_count(&run); i++) {
            json_t *value = cli_json(&run, (size_t)i);
            if (!strcmp(string(value, "op"), ops[n])) {
                found++;
                chosen += json_is_true(json_object_get(value, "chosen"));
                check_device(value);
                assert_true(strlen(string(value, "kernel")) > 0);
                assert_int_equal(number(value, "rows"), 24);
                assert_true(number(value, "ms") > 0 && number(value, "fraction") > 0);
                assert_true(number(value, "timed") > 0 && number(value, "timed") <= 1);
                check_unit(value);
                string(value, "statistics");
            }
            json_decref(value);
        }
        assert_true(found > 0);
        assert_int_equal(chosen, 1);
    }
    cli_free(&run);
    run = cli(CLI_ARGS("bench", "--ops", "--config", CONFIG, "--tokens", "5000"), NULL, 0);
    assert_int_equal(run.status, 1);
    assert_non_null(strstr(run.err, "5000"));
    cli_free(&run);
}

static void test_ops_of_every_precision(void **state) {
    (void)state;
    static const char *const precisions[] = {"f16", "int8", "int4"}; /* f32: above */
    for (size_t i = 0; i < sizeof precisions / sizeof *precisions; i++) {
        cli_run run = cli(CLI_ARGS("bench", "--ops", "--config", CONFIG, "--tokens", "8", "--precision",
                                   precisions[i], "--json"),
                          NULL, 0);
        assert_int_equal(run.status, 0);
        json_t *value = cli_json(&run, 0);
        assert_string_equal(string(value, "precision"), precisions[i]);
        assert_string_equal(string(value, "op"), "qkv");
        json_decref(value);
        for (long n = 0; n < cli_line_count(&run); n++) {
            value = cli_json(&run, (size_t)n);
            check_unit(value);
            json_decref(value);
        }
        cli_free(&run);
    }
}

static void test_replay(void **state) {
    (void)state;
    cli_run run =
        cli(CLI_ARGS("bench", "--replay", "--config", CONFIG, "--tokens", "8", "--repeat", "1", "--json"),
            NULL, 0);
    assert_int_equal(run.status, 0);
    int at_six = 0, distinct = 0;
    double one_layer = 0;
    for (long i = 0; i < cli_line_count(&run); i++) {
        json_t *value = cli_json(&run, (size_t)i);
        check_device(value);
        assert_true(strlen(string(value, "way")) > 0);
        assert_true(number(value, "median_ms") > 0 && number(value, "record_ms") > 0);
        at_six += number(value, "layers") == 6 && number(value, "distinct") == 1;
        distinct += number(value, "distinct") == 6;
        if (!i) one_layer = number(value, "weight_bytes");
        assert_true(number(value, "weight_bytes") == one_layer * number(value, "distinct"));
        json_decref(value);
    }
    assert_true(one_layer > 0);
    assert_int_equal(at_six, 6);   /* the ways */
    assert_int_equal(distinct, 2); /* 6 layers, and those again */
    cli_free(&run);
}

static void test_startup(void **state) {
    (void)state;
    static const char *const keys[] = {"loader_ms",    "instance_ms",  "choice_ms",    "device_ms",
                                       "files_ms",     "upload_ms",    "pipelines_ms", "tuning_ms",
                                       "recording_ms", "first_run_ms", "later_run_ms"};
    for (int folder = 0; folder < 2; folder++) {
        cli_run run = cli(CLI_ARGS("bench", "--startup", folder ? "-m" : "--config", CONFIG, "--tokens", "8",
                                   "--precision", "f16", "--json"),
                          NULL, 0);
        assert_int_equal(run.status, 0);
        json_t *value = cli_json(&run, 0);
        double sum = 0;
        check_device(value);
        assert_string_equal(string(value, "config"), CONFIG);
        assert_string_equal(string(value, "weights"), folder ? "model" : "random");
        assert_string_equal(string(value, "precision"), "f16");
        assert_int_equal(number(value, "tokens"), 8);
        for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
            assert_true(number(value, keys[i]) >= 0);
            sum += number(value, keys[i]);
        }
        sum -= number(value, "later_run_ms");
        assert_true(fabs(number(value, "total_ms") - sum) < 1e-6);
        for (size_t i = 0; i < 4; i++) sum -= number(value, keys[i]);
        assert_true(fabs(number(value, "above_device_ms") - sum) < 1e-6);
        json_decref(value);
        cli_free(&run);
    }
}

/* Every policy answers all texts of the same traces. */
static void test_serve(void **state) {
    (void)state;
    static const char *const names[] = {"dynamic", "static", "join", "least-work"};
    static const char *const times[] = {"mean_ms", "p50_ms", "p99_ms", "worst_ms"};
    static const char *const ratios[] = {"mean_ratio", "p50_ratio", "p99_ratio", "worst_ratio"};
    cli_run run = cli(
        CLI_ARGS("bench", "--serve", "--config", CONFIG, "--batch", "6", "--repeat", "2", "--json"), NULL, 0);
    assert_int_equal(run.status, 0);
    json_t *value = cli_json(&run, 0);
    check_device(value);
    assert_int_equal(number(value, "texts"), 6);
    assert_int_equal(number(value, "traces"), 2);
    assert_true(number(value, "alone_ms") > 0);
    for (size_t i = 0; i < 4; i++) {
        const json_t *one = json_object_get(value, names[i]);
        assert_true(number(one, "saturated_tokens_per_s") > 0 && number(one, "idle_ms") > 0);
        for (size_t k = 0; k < 4; k++) {
            assert_true(number(one, times[k]) > 0);
            assert_true(i ? number(one, ratios[k]) > 0 : fabs(number(one, ratios[k]) - 1) < 1e-9);
        }
        assert_true(number(one, "worst_ms") >= number(one, "p50_ms"));
    }
    json_decref(value);
    cli_free(&run);
}

/* Layers that are kept and that are computed again: the same parts, and a sum that is theirs. */
static void test_train(void **state) {
    (void)state;
    static const char *const keys[] = {"forward_ms", "head_ms", "backward_ms", "update_ms"};
    cli_run run = cli(CLI_ARGS("bench", "--train", "--config", CONFIG, "--tokens", "8", "--batch", "3",
                               "--repeat", "1", "--json"),
                      NULL, 0);
    assert_int_equal(run.status, 0);
    json_t *value = cli_json(&run, 0), *ways = json_object_get(value, "ways");
    check_device(value);
    assert_int_equal(number(value, "batch"), 3);
    assert_true(number(value, "inference_ms") > 0 && number(value, "roofline_gflops") > 0);
    assert_int_equal(json_array_size(ways), 2);
    for (size_t i = 0; i < 2; i++) {
        json_t *way = json_array_get(ways, i), *operators = json_object_get(way, "operators");
        double sum = 0;
        assert_string_equal(string(way, "recompute"), i ? "always" : "never");
        assert_int_equal(number(way, "micro_batches"), 1);
        for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) sum += number(way, keys[k]);
        assert_true(fabs(number(way, "step_ms") - sum) < 1e-6);
        assert_true(json_array_size(operators) > 20);
    }
    json_decref(value);
    cli_free(&run);
    run = cli(CLI_ARGS("bench", "--train", "--config", CONFIG, "--tokens", "513"), NULL, 0);
    assert_int_equal(run.status, 1);
    assert_non_null(strstr(run.err, "takes at most"));
    cli_free(&run);
}

static void test_accuracy(void **state) {
    (void)state;
    static const char *const tables[] = {
        "POSITIVE\ta warm and funny film\n0\ta dull , lifeless mess\nNEGATIVE\twonderful\n",
        "sentence\tlabel\na warm and funny film\t1\r\na dull , lifeless mess\t0\nwonderful\t0\n"};
    for (size_t i = 0; i < 2; i++) {
        const char *file = cli_file("accuracy", tables[i], strlen(tables[i]));
        cli_run run = cli(CLI_ARGS("bench", "--accuracy", file, "--json"), NULL, 0);
        assert_int_equal(run.status, 0);
        json_t *value = cli_json(&run, 0);
        check_device(value);
        assert_int_equal(number(value, "texts"), 3);
        assert_int_equal(number(value, "right"), 2);
        assert_true(fabs(number(value, "accuracy") - 200.0 / 3) < 1e-9);
        assert_true(number(value, "largest_difference") == 0);
        json_decref(value);
        cli_free(&run);
        unlink(file);
    }
}

/* A NUL is a character of a text, whose end is what decides here; neither is a byte order mark a label's. */
static void test_accuracy_with_odd_characters(void **state) {
    (void)state;
    static const char table[] = "\xEF\xBB\xBF"
                                "1\tbad\0 , no : a superb , warm and funny film";
    const char *file = cli_file("odd-table", table, sizeof table - 1);
    cli_run run = cli(CLI_ARGS("bench", "--accuracy", file, "--json"), NULL, 0);
    cli_run piped = cli(CLI_ARGS("bench", "--accuracy", "-", "--json"), table, sizeof table - 1);
    assert_int_equal(run.status | piped.status, 0);
    assert_string_equal(run.out, piped.out);
    json_t *value = cli_json(&run, 0);
    assert_int_equal(number(value, "right"), 1);
    json_decref(value);
    cli_free(&run), cli_free(&piped);
    unlink(file);
}

static void test_tables_that_cannot_be_used(void **state) {
    (void)state;
    static const struct {
        const char *content, *says;
    } tables[] = {{"", "no labelled text"},
                  {"1\tfine\nno tab\n", "line 2"},
                  {"superb\tfine\n", "superb"},
                  {"7\tfine\n", "'7'"}};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        const char *file = cli_file("bad-table", tables[i].content, strlen(tables[i].content));
        cli_run run = cli(CLI_ARGS("bench", "--accuracy", file), NULL, 0);
        assert_int_equal(run.status, 1);
        assert_int_equal(run.out_size, 0);
        assert_non_null(strstr(run.err, tables[i].says));
        cli_free(&run);
        unlink(file);
    }
    cli_run missing = cli(CLI_ARGS("bench", "--accuracy", "/nonexistent/table"), NULL, 0);
    assert_int_equal(missing.status, 1);
    assert_non_null(strstr(missing.err, "/nonexistent/table"));
    cli_free(&missing);
}

/* ---- the functions ---- */

static void test_wrong_arguments_are_refused(void **state) {
    (void)state;
    rp_device *device = NULL;
    rp_model *model = NULL;
    rp_error err;
    rp_roofline roofline;
    rp_replay_time time;
    rp_start_times start;
    rp_model_params params = {.random_groups = 7};
    assert_int_equal(rp_device_open(NULL, &device, &err), RP_OK);
    assert_int_equal(rp_bench_roofline(NULL, RP_ROOFLINE_ALL, &roofline, &err), RP_ERROR_ARGUMENT);
    assert_int_equal(rp_bench_roofline(device, RP_ROOFLINE_ALL, NULL, &err), RP_ERROR_ARGUMENT);
    assert_int_equal(rp_bench_roofline(device, 0, &roofline, &err), RP_OK);
    assert_true(roofline.f32.value == 0 && roofline.submit.value == 0);
    assert_int_equal(rp_bench_ops(device, CONFIG, 8, RP_PRECISION_F32, NULL, NULL, &err), RP_ERROR_ARGUMENT);
    assert_int_equal(rp_model_open_random(device, CONFIG, &params, &model, &err), RP_ERROR_ARGUMENT);
    params.random_groups = 3; /* 6 layers */
    assert_int_equal(rp_model_open_random(device, CONFIG, &params, &model, &err), RP_OK);
    assert_int_equal(rp_model_get_info(model)->groups, 3);
    assert_int_equal(rp_bench_replay(model, RP_REPLAY_WAYS, 1, 8, 1, &time, &err), RP_ERROR_ARGUMENT);
    assert_int_equal(rp_bench_replay(model, RP_REPLAY_LISTED, 0, 8, 1, &time, &err), RP_ERROR_ARGUMENT);
    assert_int_equal(rp_bench_replay(model, RP_REPLAY_LISTED, 1, 0, 1, &time, &err), RP_ERROR_ARGUMENT);
    assert_int_equal(rp_bench_replay(model, RP_REPLAY_LISTED, 1, 5000, 1, &time, &err), RP_ERROR_ARGUMENT);
    assert_int_equal(rp_bench_trace(model, NULL, 1, NULL, NULL, &err), RP_ERROR_ARGUMENT);
    rp_bench_start_times(NULL, &start);
    assert_true(start.device == 0);
    rp_bench_start_times(model, NULL);
    rp_model_close(&model);
    rp_device_close(&device);
}

/* What a kernel multiplies with. */
static void test_units(void **state) {
    (void)state;
    rp_kernel kernel = {.rounding = RP_ROUNDING_NONE};
    assert_int_equal(rp_kernel_unit(&kernel), RP_UNIT_F32);
    kernel.rounding = RP_ROUNDING_F16;
    assert_int_equal(rp_kernel_unit(&kernel), RP_UNIT_F32);
    kernel.rounding = RP_ROUNDING_INT8;
    assert_int_equal(rp_kernel_unit(&kernel), RP_UNIT_INT8);
    kernel = (rp_kernel){.rounding = RP_ROUNDING_F16, .matrix = {.m = 16, .n = 16, .k = 16}};
    assert_int_equal(rp_kernel_unit(&kernel), RP_UNIT_COOPERATIVE);
    assert_int_equal(rp_bench_unit(NULL), RP_ROOFLINE_F32); /* of a model: the next test */
}

/* A run after the measurements gives the bits that it gave before: they leave nothing behind. */
static void test_a_model_is_as_before(void **state) {
    (void)state;
    enum { TOKENS = 5, H = 384 };
    int32_t ids[TOKENS] = {2, 50, 60, 70, 3};
    const rp_sequence sequence = {.ids = ids, .count = TOKENS};
    float before[TOKENS * H], after[TOKENS * H];
    rp_device *device = NULL;
    rp_model *model = NULL;
    rp_error err;
    rp_replay_time time;
    assert_int_equal(rp_device_open(NULL, &device, &err), RP_OK);
    assert_int_equal(rp_model_open(device, CONFIG, NULL, &model, &err), RP_OK);
    assert_int_equal(rp_bench_unit(model), RP_ROOFLINE_F32);
    assert_int_equal(rp_model_run(model, &sequence, 1, NULL, before, TOKENS * H, NULL, &err), RP_OK);
    for (int way = 0; way < RP_REPLAY_WAYS; way++) {
        assert_int_equal(rp_bench_replay(model, (rp_replay_way)way, 2, 7, 2, &time, &err), RP_OK);
        assert_true(time.least > 0 && time.least <= time.median && time.record > 0);
    }
    assert_int_equal(rp_model_run(model, &sequence, 1, NULL, after, TOKENS * H, NULL, &err), RP_OK);
    assert_memory_equal(before, after, sizeof before);
    rp_model_close(&model);
    assert_int_equal(rp_device_memory_used(device), 0);
    rp_device_close(&device);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_run_against_its_schema),
        cmocka_unit_test(test_mixed_lengths_run_packed_and_padded),
        cmocka_unit_test(test_a_trace_parses),
        cmocka_unit_test(test_roofline),
        cmocka_unit_test(test_ops),
        cmocka_unit_test(test_ops_of_every_precision),
        cmocka_unit_test(test_replay),
        cmocka_unit_test(test_startup),
        cmocka_unit_test(test_serve),
        cmocka_unit_test(test_train),
        cmocka_unit_test(test_accuracy),
        cmocka_unit_test(test_accuracy_with_odd_characters),
        cmocka_unit_test(test_tables_that_cannot_be_used),
        cmocka_unit_test(test_wrong_arguments_are_refused),
        cmocka_unit_test(test_units),
        cmocka_unit_test(test_a_model_is_as_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
