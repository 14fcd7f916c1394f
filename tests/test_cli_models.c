/* What the command answers with the bundled models, and how it writes it. */
#include "support_cli.h"
#include "support_fixture.h"

#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static double number(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    assert_true(json_is_real(value));
    return json_real_value(value);
}

static const char *string(const json_t *object, const char *key) {
    const char *value = json_string_value(json_object_get(object, key));
    assert_non_null(value);
    return value;
}

/* Every number with a point or an exponent in `text` is the shortest one of 6 to 9 digits that reads back as
 * the same float32. */
static void assert_floats_round_trip(const char *text) {
    size_t seen = 0;
    for (const char *at = text; *at;) {
        size_t size = strspn(at, "+-.0123456789e");
        bool starts = (*at >= '0' && *at <= '9') || *at == '-';
        if (!starts || !size) {
            at++;
            continue;
        }
        char token[64], shortest[64];
        assert_true(size < sizeof token);
        memcpy(token, at, size);
        token[size] = '\0';
        at += size;
        if (!strpbrk(token, ".e")) continue;
        float value = strtof(token, NULL);
        for (int digits = 6; digits <= 9; digits++) {
            snprintf(shortest, sizeof shortest, "%.*g", digits, (double)value);
            if (strtof(shortest, NULL) == value) break;
        }
        if (!strpbrk(shortest, ".e")) strcat(shortest, ".0");
        assert_string_equal(token, shortest);
        seen++;
    }
    assert_true(seen > 0);
}

/* ---- classify ---- */

static void test_classify_gives_labels_best_first(void **state) {
    (void)state;
    cli_run run =
        cli(CLI_ARGS("classify", "--json", "a warm and funny film", "dull and far too long", ""), NULL, 0);
    assert_int_equal(run.status, 0);
    assert_int_equal(run.err_size, 0);
    assert_int_equal(cli_line_count(&run), 3);
    const char *const first[] = {"POSITIVE", "NEGATIVE", NULL};
    for (size_t i = 0; i < 3; i++) {
        json_t *labels = cli_json(&run, i);
        assert_int_equal(json_array_size(labels), 2);
        const json_t *best = json_array_get(labels, 0), *other = json_array_get(labels, 1);
        assert_int_equal(json_object_size(best), 2);
        assert_true(number(best, "score") >= number(other, "score"));
        assert_true(fabs(number(best, "score") + number(other, "score") - 1) < 1e-6);
        assert_string_not_equal(string(best, "label"), string(other, "label"));
        if (first[i]) assert_string_equal(string(best, "label"), first[i]);
        json_decref(labels);
    }
    assert_floats_round_trip(run.out);
    cli_free(&run);

    run = cli(CLI_ARGS("classify", "--json", "--top-k", "1", "a warm and funny film"), NULL, 0);
    json_t *labels = cli_json(&run, 0);
    assert_int_equal(json_array_size(labels), 1);
    json_decref(labels);
    cli_free(&run);
}

static void test_classify_for_people(void **state) {
    (void)state;
    cli_run run = cli(CLI_ARGS("classify", "a warm and funny film", "an \x1b[31mescape"), NULL, 0);
    assert_int_equal(run.status, 0);
    assert_non_null(strstr(run.out, "a warm and funny film\n  POSITIVE"));
    assert_null(strchr(run.out, '\x1b')); /* no colours in a file, and none of the text's */
    cli_free(&run);
}

/* Lines of very different lengths, `count` of them. */
static char *mixed_lines(size_t count) {
    static const char words[] = "a warm funny film that never finds its feet and yet it moves ";
    char *text = malloc(count * 400 + 1), *at = text;
    assert_non_null(text);
    for (size_t i = 0; i < count; i++)
        at += sprintf(at, "%zu %.*s\n", i, (int)(i * 37 % 61), words + i % 2 * 2);
    return text;
}

static void test_batches_change_nothing(void **state) {
    (void)state;
    char *lines = mixed_lines(21);
    cli_run one = cli_text(CLI_ARGS("classify", "--json", "--batch-size", "1"), lines);
    cli_run some = cli_text(CLI_ARGS("classify", "--json", "--batch-size", "5"), lines);
    cli_run all = cli_text(CLI_ARGS("classify", "--json"), lines);
    assert_int_equal(one.status, 0);
    assert_int_equal(cli_line_count(&one), 21);
    assert_string_equal(one.out, some.out);
    assert_string_equal(one.out, all.out);
    cli_free(&one);
    cli_free(&some);
    cli_free(&all);
    free(lines);
}

static void test_a_bad_input_does_not_harm_the_others(void **state) {
    (void)state;
    cli_run good = cli_text(CLI_ARGS("classify", "--json"), "one\ntwo\nthree\nfour\n");
    cli_run bad = cli_text(CLI_ARGS("classify", "--json"), "one\n\xff\ntwo\nthree\n\xc3\nfour\n");
    assert_int_equal(good.status, 0);
    assert_int_equal(bad.status, 1);
    assert_int_equal(cli_line_count(&bad), 6);
    const size_t places[] = {0, 2, 3, 5};
    for (size_t i = 0; i < 4; i++) {
        json_t *a = cli_json(&good, i), *b = cli_json(&bad, places[i]);
        assert_true(json_equal(a, b));
        json_decref(a);
        json_decref(b);
    }
    char *error = cli_error(&bad, 4);
    assert_non_null(error);
    assert_non_null(strstr(error, "UTF-8"));
    free(error);
    cli_free(&good);
    cli_free(&bad);
}

static void test_a_cut_text_is_said_once(void **state) {
    (void)state;
    enum { WORDS = 2000 };
    char *text = malloc(3 * (WORDS * 5 + 1) + 16), *at = text;
    assert_non_null(text);
    for (size_t i = 0; i < 3; i++) {
        for (size_t w = 0; w < WORDS; w++) at += sprintf(at, "film ");
        at += sprintf(at, "\n");
    }
    cli_run run = cli_text(CLI_ARGS("classify", "--json"), text);
    assert_int_equal(run.status, 0);
    assert_int_equal(cli_line_count(&run), 3);
    char *said = strstr(run.err, "the rest was left out");
    assert_non_null(said);
    assert_null(strstr(said + strlen("the rest was left out"), "left out"));
    unsigned tokens = 0, takes = 0; /* the words, [CLS] and [SEP] */
    assert_int_equal(sscanf(run.err, "reprise: input 1: %u tokens, the model takes %u: ", &tokens, &takes),
                     2);
    assert_int_equal(tokens, WORDS + 2);
    assert_true(takes >= 64 && takes <= 512);
    assert_non_null(strstr(run.err, "3 of 3 inputs were cut"));
    cli_free(&run);
    free(text);
}

/* Begins a command of the system: what the sanitizers preload would find leaks in it. */
#define WITHOUT_PRELOAD "env -u LD_PRELOAD "

/* On a terminal a name may be cut to fit; what reads a pipe gets all of it. */
static void test_labels_are_whole_in_a_pipe(void **state) {
    (void)state;
    static const char label[] = "a_label_that_is_longer_than_any_column_of_a_table_on_a_terminal_would_be";
    char dir[FIXTURE_PATH_SIZE], command[3 * FIXTURE_PATH_SIZE];
    assert_true(fixture_make_dir(dir));
    snprintf(command, sizeof command,
             WITHOUT_PRELOAD "cp " SOURCE_DIR "/tools/models/sentiment/* '%s/' && " WITHOUT_PRELOAD
                             "sed -i 's/\"POSITIVE\"/\"%s\"/g' '%s/config.json'",
             dir, label, dir);
    assert_int_equal(system(command), 0);
    cli_run run = cli(CLI_ARGS("classify", "-m", dir, "a warm and funny film"), NULL, 0);
    assert_int_equal(run.status, 0);
    assert_non_null(strstr(run.out, label));
    cli_free(&run);
    fixture_remove_dir(dir);
}

/* It costs time at each start, so it is said, and once. */
static void test_a_cache_that_cannot_be_written_is_said_once(void **state) {
    (void)state;
    const char *before = getenv("REPRISE_CACHE_DIR");
    char *kept = before ? strdup(before) : NULL;
    setenv("REPRISE_CACHE_DIR", "/dev/null/cache", 1);
    cli_run run = cli(CLI_ARGS("classify", "--json", "good", "bad"), NULL, 0);
    setenv("REPRISE_CACHE_DIR", "", 1); /* nobody wants one */
    cli_run none = cli(CLI_ARGS("classify", "--json", "good"), NULL, 0);
    kept ? setenv("REPRISE_CACHE_DIR", kept, 1) : unsetenv("REPRISE_CACHE_DIR");
    free(kept);
    assert_int_equal(run.status | none.status, 0);
    const char *said = strstr(run.err, "/dev/null/cache");
    assert_non_null(said);
    assert_null(strstr(said + 1, "/dev/null/cache"));
    assert_int_equal(none.err_size, 0);
    cli_free(&run);
    cli_free(&none);
}

/* The command and the library alone, as somebody may have copied them: the output, owned by the caller. */
static char *run_copied(const char *dir, const char *prepare) {
    char line[5 * FIXTURE_PATH_SIZE];
    char *said = calloc(1, 4096);
    assert_non_null(said);
    snprintf(line, sizeof line,
             "cd '%s' && " WITHOUT_PRELOAD "cp " BINARY_DIR "/reprise . && " WITHOUT_PRELOAD
             "cp -P " BINARY_DIR "/libreprise.so* . && %s"
             "LD_LIBRARY_PATH='%s' ./reprise classify --json fine%s 2>&1",
             dir, prepare, dir, *prepare ? "\"" : "");
    FILE *pipe = popen(line, "r");
    assert_non_null(pipe);
    said[fread(said, 1, 4095, pipe)] = '\0';
    pclose(pipe);
    return said;
}

/* Who copies the command without its models reads where they could be; beside the library they are found, and
 * nothing asks /proc for that. */
static void test_bundled_models_are_looked_for_beside_the_library(void **state) {
    (void)state;
    char dir[FIXTURE_PATH_SIZE], command[3 * FIXTURE_PATH_SIZE];
    if (!access("/usr/local/share/reprise-0.2", F_OK)) skip(); /* it would be found there */
    assert_true(fixture_make_dir(dir));
    char *said = run_copied(dir, "");
    snprintf(command, sizeof command, "looked in %s/", dir);
    assert_non_null(strstr(said, "this bundled model is not installed"));
    assert_non_null(strstr(said, command));
    assert_non_null(strstr(said, "/share/reprise"));
    free(said);
    snprintf(command, sizeof command, "ln -s " SOURCE_DIR "/tools/models '%s/models'", dir);
    assert_int_equal(system(command), 0);
    said = run_copied(dir, "");
    assert_non_null(strstr(said, "POSITIVE"));
    free(said);
    if (!system("unshare -m mount -t tmpfs none /proc 2>/dev/null")) {
        said = run_copied(dir, "unshare -m sh -c \"mount -t tmpfs none /proc && ");
        if (!strstr(said, "POSITIVE")) fail_msg("%s", said);
        free(said);
    }
    fixture_remove_dir(dir);
}

/* One in so many is recomputed, however they come, and that is said. */
static void test_one_in_so_many_is_verified(void **state) {
    (void)state;
    char input[30 * 8 + 1] = "";
    for (size_t i = 0; i < 30; i++) sprintf(input + i * 8, "film %02zu\n", i);
    cli_run run = cli_text(CLI_ARGS("classify", "--json", "--verify-every", "3"), input);
    assert_int_equal(run.status, 0);
    assert_int_equal(cli_line_count(&run), 30);
    assert_non_null(strstr(run.err, "classify: 10 sequences recomputed in plain C, 0 left out\n"));
    cli_free(&run);
}

static void test_classify_streams(void **state) {
    (void)state;
    cli_pipe pipe = cli_start(CLI_ARGS("classify", "--json"));
    char line[512];
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(write(pipe.to, "fine\n", 5), 5);
        assert_true(cli_read_line(&pipe, line, sizeof line, 300));
        assert_int_equal(line[0], '[');
    }
    assert_int_equal(cli_finish(&pipe), 0);
}

/* The first lines of SST-2's file, where it is beside the project: Hugging Face gets 277 of these 300. */
static void test_sentiment_is_as_right_as_hugging_face(void **state) {
    (void)state;
    enum { LINES = 300, RIGHT = 277 };
    FILE *file = fopen(SOURCE_DIR "/../shared/data/sst2/dev.tsv", "r");
    if (!file) skip();
    char line[4096], *texts = calloc(LINES, sizeof line);
    bool positive[LINES];
    assert_non_null(texts);
    assert_non_null(fgets(line, sizeof line, file)); /* the names of the columns */
    for (size_t i = 0; i < LINES; i++) {
        assert_non_null(fgets(line, sizeof line, file));
        char *tab = strchr(line, '\t');
        assert_non_null(tab);
        positive[i] = tab[1] == '1';
        strcpy(tab, "\n");
        strcat(texts, line);
    }
    fclose(file);
    cli_run run = cli_text(CLI_ARGS("classify", "--json"), texts);
    assert_int_equal(run.status, 0);
    assert_int_equal(cli_line_count(&run), LINES);
    int right = 0;
    for (size_t i = 0; i < LINES; i++) {
        json_t *labels = cli_json(&run, i);
        right += !strcmp(string(json_array_get(labels, 0), "label"), "POSITIVE") == positive[i];
        json_decref(labels);
    }
    assert_int_equal(right, RIGHT);
    cli_free(&run);
    free(texts);
}

/* ---- fill-mask and coherence ---- */

static void assert_fills(const json_t *fills, size_t count) {
    assert_int_equal(json_array_size(fills), count);
    double before = 1;
    for (size_t i = 0; i < count; i++) {
        const json_t *fill = json_array_get(fills, i);
        double score = number(fill, "score");
        assert_int_equal(json_object_size(fill), 4);
        assert_true(score > 0 && score <= before);
        before = score;
        assert_true(json_is_integer(json_object_get(fill, "token")));
        assert_non_null(string(fill, "token_str"));
        assert_true(strlen(string(fill, "sequence")) > 0);
    }
}

static void test_fill_mask(void **state) {
    (void)state;
    cli_run run = cli_text(CLI_ARGS("fill-mask", "--json"),
                           "the captain of the [MASK] was old .\nthe [MASK] of the [MASK] .\nno mask\n");
    assert_int_equal(run.status, 1);
    assert_int_equal(cli_line_count(&run), 3);
    json_t *one = cli_json(&run, 0), *two = cli_json(&run, 1);
    assert_fills(one, 5);
    assert_int_equal(json_array_size(two), 2);
    assert_fills(json_array_get(two, 0), 5);
    assert_fills(json_array_get(two, 1), 5);
    char *error = cli_error(&run, 2);
    assert_non_null(error);
    assert_non_null(strstr(error, "[MASK]"));
    assert_floats_round_trip(run.out);
    free(error);
    json_decref(one);
    json_decref(two);
    cli_free(&run);

    run = cli(CLI_ARGS("fill-mask", "--json", "-k", "7", "the captain of the [MASK] was old ."), NULL, 0);
    one = cli_json(&run, 0);
    assert_fills(one, 7);
    json_decref(one);
    cli_free(&run);
    run = cli(CLI_ARGS("fill-mask", "the [MASK] of the [MASK] ."), NULL, 0);
    assert_int_equal(run.status, 0);
    assert_non_null(strstr(run.out, "mask 2"));
    cli_free(&run);
}

static void test_coherence(void **state) {
    (void)state;
    const char *a = "he opened the door and looked into the room .", *b = "there was nobody there .";
    char line[256];
    snprintf(line, sizeof line, "%s\t%s\n%s\t%s\n", a, b, b, a);
    cli_run args = cli(CLI_ARGS("coherence", "--json", a, b, b, a), NULL, 0);
    cli_run lines = cli_text(CLI_ARGS("coherence", "--json"), line);
    assert_int_equal(args.status, 0);
    assert_int_equal(cli_line_count(&args), 2);
    assert_string_equal(args.out, lines.out);
    for (size_t i = 0; i < 2; i++) {
        json_t *value = cli_json(&args, i);
        double score = number(value, "score");
        assert_int_equal(json_object_size(value), 2);
        assert_true(score >= 0 && score <= 1);
        assert_string_equal(string(value, "label"), score >= 0.5 ? "in_order" : "swapped");
        json_decref(value);
    }
    cli_free(&args);
    cli_free(&lines);
}

/* ---- embed ---- */

static void test_embed(void **state) {
    (void)state;
    const char *text = "a warm and funny film";
    cli_run mean = cli(CLI_ARGS("embed", "--json", text), NULL, 0);
    cli_run unit = cli(CLI_ARGS("embed", "--json", "--normalize", text), NULL, 0);
    cli_run every = cli(CLI_ARGS("embed", "--json", "--pooling", "none", text), NULL, 0);
    cli_run first = cli(CLI_ARGS("embed", "--json", "--pooling", "cls", text), NULL, 0);
    cli_run tokens = cli(CLI_ARGS("tokenize", "--json", text), NULL, 0);
    assert_int_equal(mean.status | unit.status | every.status | first.status | tokens.status, 0);
    json_t *m = cli_json(&mean, 0), *u = cli_json(&unit, 0), *e = cli_json(&every, 0),
           *f = cli_json(&first, 0), *t = cli_json(&tokens, 0);
    size_t rows = json_array_size(e);
    assert_int_equal(json_array_size(m), 384);
    assert_int_equal(rows, json_array_size(json_object_get(t, "input_ids")));
    assert_true(json_equal(json_array_get(e, 0), f));
    double squares = 0;
    for (size_t i = 0; i < 384; i++) {
        double sum = 0, value = json_real_value(json_array_get(m, i));
        for (size_t row = 0; row < rows; row++)
            sum += json_real_value(json_array_get(json_array_get(e, row), i));
        assert_true(fabs(sum / (double)rows - value) < 1e-5);
        squares += pow(json_real_value(json_array_get(u, i)), 2);
    }
    assert_true(fabs(squares - 1) < 1e-5);
    assert_floats_round_trip(mean.out);
    json_decref(m), json_decref(u), json_decref(e), json_decref(f), json_decref(t);
    cli_free(&mean), cli_free(&unit), cli_free(&every), cli_free(&first), cli_free(&tokens);
}

/* ---- models, heads and devices ---- */

static void test_a_command_without_its_head_says_what_there_is(void **state) {
    (void)state;
    const char *const commands[] = {"tag", "answer", "choose", "fill-mask", "coherence"};
    for (size_t i = 0; i < 5; i++) {
        bool two = strcmp(commands[i], "tag") && strcmp(commands[i], "fill-mask");
        cli_run run = cli(CLI_ARGS(commands[i], "-m", SOURCE_DIR "/tools/models/sentiment",
                                   "some text [MASK]", two ? "more" : NULL),
                          NULL, 0);
        assert_int_equal(run.status, 1);
        assert_int_equal(run.out_size, 0);
        assert_non_null(strstr(run.err, "classify"));
        assert_non_null(strstr(run.err, "embed"));
        cli_free(&run);
    }
}

static void test_the_model_of_the_environment(void **state) {
    (void)state;
    setenv("REPRISE_MODEL", SOURCE_DIR "/tools/models/pretrained", 1);
    cli_run none = cli(CLI_ARGS("classify", "x"), NULL, 0);
    cli_run given = cli(CLI_ARGS("classify", "-m", SOURCE_DIR "/tools/models/sentiment", "x"), NULL, 0);
    unsetenv("REPRISE_MODEL");
    assert_int_equal(none.status, 1);
    assert_non_null(strstr(none.err, "fill-mask"));
    assert_int_equal(given.status, 0);
    cli_free(&none);
    cli_free(&given);
}

static void test_devices(void **state) {
    (void)state;
    cli_run json = cli(CLI_ARGS("devices", "--json"), NULL, 0), people = cli(CLI_ARGS("devices"), NULL, 0);
    assert_int_equal(json.status, 0);
    long count = cli_line_count(&json);
    assert_true(count >= 1);
    for (long i = 0; i < count; i++) {
        json_t *device = cli_json(&json, (size_t)i);
        assert_int_equal(json_integer_value(json_object_get(device, "index")), i);
        assert_non_null(strstr(people.out, string(device, "name")));
        assert_non_null(strstr(people.out, string(device, "driver")));
        assert_true(json_integer_value(json_object_get(device, "memory_bytes")) > 0);
        bool usable = json_is_true(json_object_get(device, "usable"));
        assert_int_equal(usable, !*string(device, "reason"));
        json_decref(device);
    }
    cli_free(&json);
    cli_free(&people);
}

static void test_a_device_is_chosen_by_index_or_name(void **state) {
    (void)state;
    cli_run devices = cli(CLI_ARGS("devices", "--json"), NULL, 0);
    size_t usable = 0;
    json_t *device = cli_json(&devices, 0);
    while (!json_is_true(json_object_get(device, "usable"))) {
        json_decref(device);
        device = cli_json(&devices, ++usable);
    }
    char index[24];
    snprintf(index, sizeof index, "%zu", usable);
    cli_run by_index = cli(CLI_ARGS("classify", "--json", "-d", index, "x"), NULL, 0);
    cli_run by_name = cli(CLI_ARGS("classify", "--json", "-d", string(device, "name"), "x"), NULL, 0);
    cli_run no_index = cli(CLI_ARGS("classify", "-d", "99", "x"), NULL, 0);
    setenv("REPRISE_DEVICE", "no such thing", 1);
    cli_run no_name = cli(CLI_ARGS("classify", "x"), NULL, 0);
    unsetenv("REPRISE_DEVICE");
    assert_int_equal(by_index.status | by_name.status, 0);
    assert_int_equal(no_index.status, 1);
    assert_int_equal(no_name.status, 1);
    assert_non_null(strstr(no_index.err, "99"));
    assert_non_null(strstr(no_name.err, "no such thing"));
    json_decref(device);
    cli_free(&devices);
    cli_free(&by_index), cli_free(&by_name), cli_free(&no_index), cli_free(&no_name);
}

static void test_bench(void **state) {
    (void)state;
    const char *dir = SOURCE_DIR "/tools/models/sentiment";
    cli_run run =
        cli(CLI_ARGS("bench", "--config", dir, "--tokens", "24", "--batch", "2", "--repeat", "3", "--json"),
            NULL, 0);
    assert_int_equal(run.status, 0);
    assert_int_equal(cli_line_count(&run), 1);
    json_t *value = cli_json(&run, 0);
    double median = number(value, "median_ms");
    assert_true(number(value, "min_ms") > 0 && number(value, "min_ms") <= median);
    assert_true(number(value, "max_ms") >= median);
    assert_true(number(value, "host_ms") >= 0);
    /* 6 layers of H 384 and I 1536, 48 tokens in two sequences, and the mapping from E 128 */
    const double h = 384, t = 48;
    double operations = 6 * (8 * t * h * h + 4 * t * h * 1536 + 4 * h * 2 * 24 * 24) + 2 * t * 128 * h;
    assert_true(fabs(number(value, "gflops") * median * 1e6 / operations - 1) < 1e-6);
    assert_string_equal(string(value, "precision"), "f32");
    assert_string_equal(string(value, "config"), dir);
    assert_true(strlen(string(value, "device")) > 0 && strlen(string(value, "driver")) > 0);
    assert_int_equal(json_integer_value(json_object_get(value, "tokens")), 24);
    assert_int_equal(json_integer_value(json_object_get(value, "batch")), 2);
    assert_true(json_integer_value(json_object_get(value, "device_bytes")) > 1 << 20);
    json_decref(value);
    cli_free(&run);

    run = cli(CLI_ARGS("bench", "--config", dir, "--tokens", "600", "--repeat", "1"), NULL, 0);
    assert_int_equal(run.status, 1); /* longer than the model takes */
    assert_int_equal(run.out_size, 0);
    cli_free(&run);
    run = cli(CLI_ARGS("bench", "--config", "/nonexistent/config"), NULL, 0);
    assert_int_equal(run.status, 1);
    assert_non_null(strstr(run.err, "/nonexistent/config"));
    cli_free(&run);
}

static int clean_environment(void **state) {
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    const char *const names[] = {"REPRISE_MODEL", "REPRISE_DEVICE", "REPRISE_SHADER_DIR", "POSIXLY_CORRECT"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) unsetenv(names[i]);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classify_gives_labels_best_first),
        cmocka_unit_test(test_classify_for_people),
        cmocka_unit_test(test_batches_change_nothing),
        cmocka_unit_test(test_a_bad_input_does_not_harm_the_others),
        cmocka_unit_test(test_a_cut_text_is_said_once),
        cmocka_unit_test(test_labels_are_whole_in_a_pipe),
        cmocka_unit_test(test_a_cache_that_cannot_be_written_is_said_once),
        cmocka_unit_test(test_bundled_models_are_looked_for_beside_the_library),
        cmocka_unit_test(test_one_in_so_many_is_verified),
        cmocka_unit_test(test_classify_streams),
        cmocka_unit_test(test_sentiment_is_as_right_as_hugging_face),
        cmocka_unit_test(test_fill_mask),
        cmocka_unit_test(test_coherence),
        cmocka_unit_test(test_embed),
        cmocka_unit_test(test_a_command_without_its_head_says_what_there_is),
        cmocka_unit_test(test_the_model_of_the_environment),
        cmocka_unit_test(test_devices),
        cmocka_unit_test(test_a_device_is_chosen_by_index_or_name),
        cmocka_unit_test(test_bench),
    };
    return cmocka_run_group_tests(tests, clean_environment, NULL);
}
