/* Moderation: what its files may say, which labels count, which action follows, which sentences made the
 * difference, what hides words, and thresholds that are calibrated. With small models of random weights. */
#include "support_tasks.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "apps/plain_text.h"

#define ROOM (2 * FIXTURE_PATH_SIZE)

static task_case many, one; /* labels a, b, c, d, each by itself; labels bad, so-so, good */
static rp_model *several, *single;

static int open_models(void **state) {
    rp_error err = {0};
    (void)state;
    if (fixture_open_device(state) || !task_case_open("long_many", &many) || !task_case_open("long", &one))
        return -1;
    if (rp_model_open(fixture_device, many.dir, NULL, &several, &err) ||
        rp_model_open(fixture_device, one.dir, NULL, &single, &err)) {
        print_error("%s\n", err.message);
        return -1;
    }
    return 0;
}

static int close_models(void **state) {
    rp_model_close(&several);
    rp_model_close(&single);
    task_case_close(&many);
    task_case_close(&one);
    return fixture_close_device(state);
}

/* ---- helpers ---- */

static const char *file(const char *name, const char *text) {
    static char path[ROOM];
    assert_true(fixture_write_text(many.dir, name, text));
    snprintf(path, sizeof path, "%s/%s", many.dir, name);
    return path;
}

/* Moderation by these texts of files; NULL: no such file. */
static rp_moderation *rules(rp_model *model, const char *thresholds, const char *policy) {
    char paths[2][ROOM];
    rp_moderation_params params = {0};
    rp_moderation *m = NULL;
    rp_error err = {0};
    if (thresholds) params.thresholds = strcpy(paths[0], file("t.json", thresholds));
    if (policy) params.policy = strcpy(paths[1], file("p.json", policy));
    if (rp_moderation_open(model, &params, &m, &err)) print_error("%s\n", err.message);
    assert_non_null(m);
    return m;
}

static rp_result *moderate(const rp_moderation *m, const char *text, bool normalize) {
    const rp_text texts = {text, strlen(text)};
    rp_result *result = NULL;
    rp_error err = {0};
    if (rp_moderate(m, &texts, 1, &(rp_moderate_params){.normalize = normalize}, &result, &err))
        print_error("%s\n", err.message);
    assert_non_null(result);
    return result;
}

/* The score of row `label`. */
static float score_of(rp_model *model, const char *text, uint32_t label) {
    const rp_input input = {.text = {text, strlen(text)}};
    const rp_classify_params params = {.long_texts = RP_LONG_MAX};
    rp_result *result = NULL;
    rp_error err = {0};
    size_t count = 0;
    float score = NAN;
    assert_int_equal(rp_classify(model, &input, 1, &params, &result, &err), RP_OK);
    const rp_label *labels = rp_result_labels(result, 0, &count);
    for (size_t i = 0; i < count; i++)
        if (labels[i].index == label) score = labels[i].score;
    rp_result_free(&result);
    return score;
}

static const rp_moderated *find(const rp_verdict *v, const char *label) {
    for (size_t i = 0; i < v->label_count; i++)
        if (!strcmp(v->labels[i].label, label)) return &v->labels[i];
    return NULL;
}

/* ---- files ---- */

static void test_bad_files_are_refused(void **state) {
    static const struct {
        const char *thresholds, *policy, *part;
    } cases[] = {
        {"", NULL, "t.json"},
        {"[]", NULL, "\"thresholds\" must be an object"},
        {"{}", NULL, "\"thresholds\" must be an object"},
        {"{\"thresholds\": {}}", NULL, "\"thresholds\" must be an object"},
        {"{\"thresholds\": {\"a\": 1.5}}", NULL, "number from 0 to 1"},
        {"{\"thresholds\": {\"a\": -0.1}}", NULL, "number from 0 to 1"},
        {"{\"thresholds\": {\"a\": NaN}}", NULL, "number from 0 to 1"},
        {"{\"thresholds\": {\"a\": \"0.5\"}}", NULL, "number from 0 to 1"},
        {"{\"thresholds\": {\"e\": 0.5}}", NULL, "no label \"e\"; it has a, b, c, d"},
        {"{\"thresholds\": {\"a\": 0.5, \"a\": 0.6}}", NULL, "t.json"},
        {NULL, "[]", "a policy must be an object"},
        {NULL, "{}", "\"rules\" must be a list"},
        {NULL, "{\"rules\": []}", "\"rules\" must be a list"},
        {NULL, "{\"rules\": [3]}", "a rule must be an object"},
        {NULL, "{\"rule\": []}", "\"rule\" is not known"},
        {NULL, "{\"rules\": [{\"action\": \"x\"}]}", "must have a \"label\""},
        {NULL, "{\"rules\": [{\"label\": \"z\", \"action\": \"x\"}]}", "no label \"z\""},
        {NULL, "{\"rules\": [{\"label\": \"a\"}]}", "an action must be a text"},
        {NULL, "{\"rules\": [{\"label\": \"a\", \"action\": \"\"}]}", "an action must be a text"},
        {NULL, "{\"rules\": [{\"label\": \"a\", \"action\": 1}]}", "an action must be a text"},
        {NULL, "{\"rules\": [{\"label\": \"a\", \"action\": \"x\", \"treshold\": 1}]}",
         "\"treshold\" is not known"},
        {NULL, "{\"rules\": [{\"label\": \"a\", \"action\": \"x\", \"threshold\": 2}]}",
         "number from 0 to 1"},
        {NULL, "{\"rules\": [{\"label\": \"a\", \"action\": \"x\"}], \"actions\": [\"y\"]}",
         "not in \"actions\""},
        {NULL, "{\"rules\": [{\"label\": \"a\", \"action\": \"x\"}], \"actions\": [\"x\", \"x\"]}",
         "different texts"},
        {NULL, "{\"rules\": [{\"label\": \"a\", \"action\": \"x\"}], \"actions\": \"x\"}", "different texts"},
        {NULL, "{\"rules\": [{\"label\": \"a\", \"action\": \"x\"}], \"default\": 0}",
         "an action must be a text"},
        {"{\"thresholds\": {\"b\": 0.5}}", "{\"rules\": [{\"label\": \"a\", \"action\": \"x\"}]}",
         "no threshold of its own"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char paths[2][ROOM];
        rp_moderation_params params = {0};
        rp_moderation *m = NULL;
        rp_error err = {0};
        if (cases[i].thresholds) params.thresholds = strcpy(paths[0], file("t.json", cases[i].thresholds));
        if (cases[i].policy) params.policy = strcpy(paths[1], file("p.json", cases[i].policy));
        assert_int_equal(rp_moderation_open(several, &params, &m, &err), RP_ERROR_FORMAT);
        if (!strstr(err.message, cases[i].part)) print_error("case %zu: %s\n", i, err.message);
        assert_non_null(strstr(err.message, cases[i].part));
        assert_non_null(strstr(err.message, cases[i].thresholds && !cases[i].policy ? "t.json" : "p.json"));
        assert_null(m);
    }
    rp_moderation *m = NULL;
    rp_error err = {0};
    const rp_moderation_params missing = {.thresholds = "/no/such/file"};
    assert_int_equal(rp_moderation_open(several, &missing, &m, &err), RP_ERROR_FILE);
    assert_int_equal(rp_moderation_open(NULL, NULL, &m, &err), RP_ERROR_ARGUMENT);
    assert_int_equal(rp_moderate(NULL, NULL, 0, NULL, &(rp_result *){NULL}, &err), RP_ERROR_ARGUMENT);
    task_case value = {0};
    rp_model *number = NULL;
    assert_true(task_case_open("long_value", &value));
    assert_int_equal(rp_model_open(fixture_device, value.dir, NULL, &number, &err), RP_OK);
    assert_int_equal(rp_moderation_open(number, NULL, &m, &err), RP_ERROR_UNSUPPORTED);
    rp_model_close(&number);
    task_case_close(&value);
}

/* Without a file every label of one kind of model may count, and all but the first of the other; the folder's
 * own file is found. */
static void test_which_labels_count(void **state) {
    (void)state;
    rp_moderation *m = rules(several, NULL, NULL);
    rp_result *result = moderate(m, "a warm and funny film", false);
    const rp_verdict *v = rp_result_verdict(result, 0);
    bool flagged = false;
    assert_int_equal(v->label_count, 4);
    for (size_t i = 0; i < 4; i++) {
        const rp_moderated *label = &v->labels[i];
        assert_true(label->score == score_of(several, "a warm and funny film", label->index));
        assert_true(label->threshold == 0.5f);
        assert_int_equal(label->flagged, label->score >= 0.5f);
        if (i) assert_true(label->score <= label[-1].score);
        flagged = flagged || label->flagged;
    }
    assert_int_equal(v->flagged, flagged);
    assert_string_equal(v->action, flagged ? "flag" : "allow");
    rp_result_free(&result);
    rp_moderation_close(&m);
    m = rules(single, NULL, NULL);
    result = moderate(m, "a warm and funny film", false);
    assert_int_equal(rp_result_verdict(result, 0)->label_count, 2);
    assert_null(find(rp_result_verdict(result, 0), "bad"));
    rp_result_free(&result);
    rp_moderation_close(&m);
    file("thresholds.json", "{\"thresholds\": {\"b\": 0, \"c\": 1}, \"rows\": 3}");
    m = rules(several, NULL, NULL);
    result = moderate(m, "dull.", false);
    v = rp_result_verdict(result, 0);
    assert_int_equal(v->label_count, 2);
    assert_true(find(v, "b")->flagged && !find(v, "c")->flagged);
    assert_null(rp_result_verdict(result, 1));
    rp_result_free(&result);
    rp_moderation_close(&m);
    char path[ROOM];
    snprintf(path, sizeof path, "%s/thresholds.json", many.dir);
    unlink(path);
}

static void test_actions(void **state) {
#define RULES                                                                                        \
    "{\"rules\": [{\"label\": \"a\", \"threshold\": 0, \"action\": \"review\"}, {\"label\": \"b\", " \
    "\"threshold\": 0, \"action\": \"block\"}, {\"label\": \"b\", \"action\": \"never\"}]"
    static const struct {
        const char *policy, *action;
    } cases[] = {
        {RULES "}", "review"},
        {RULES ", \"actions\": [\"never\", \"block\", \"review\"]}", "block"},
        {RULES ", \"actions\": [\"never\", \"review\", \"block\"], \"default\": \"x\"}", "review"},
        {"{\"rules\": [{\"label\": \"b\", \"action\": \"never\"}], \"default\": \"pass on\"}", "pass on"},
        {"{\"rules\": [{\"label\": \"b\", \"action\": \"never\"}]}", "allow"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rp_moderation *m = rules(several, "{\"thresholds\": {\"b\": 1}}", cases[i].policy);
        rp_result *result = moderate(m, "dull.", false);
        assert_string_equal(rp_result_verdict(result, 0)->action, cases[i].action);
        assert_false(rp_result_verdict(result, 0)->flagged);
        rp_result_free(&result);
        rp_moderation_close(&m);
    }
}

static void test_bad_texts_fail_alone(void **state) {
    const rp_text texts[] = {RP_TEXT("dull."), RP_TEXT("a \xff"), {NULL, 0}, RP_TEXT("")};
    rp_result *result = NULL;
    rp_error err = {0};
    (void)state;
    rp_moderation *m = rules(several, NULL, NULL);
    for (int normalize = 0; normalize < 2; normalize++) {
        const rp_moderate_params params = {.normalize = normalize};
        assert_int_equal(rp_moderate(m, texts, 4, &params, &result, &err), RP_OK);
        assert_int_equal(rp_result_status(result, 0, NULL), RP_OK);
        assert_int_equal(rp_result_status(result, 1, NULL), RP_ERROR_TEXT);
        assert_null(rp_result_verdict(result, 1));
        assert_int_equal(rp_result_status(result, 3, NULL), RP_OK);
        rp_result_free(&result);
    }
    rp_moderation_close(&m);
}

/* ---- spans ---- */

enum { SENTENCES = 4 };
static const char *const sentences[SENTENCES] = {"Ada was born in London.", "The river was dark!",
                                                 "Nobody knows \xe2\x80\x94 what they said?", "a film"};

/* The sentences but for those whose bit `left_out` has. */
static void join(unsigned left_out, char *out) {
    *out = '\0';
    for (int i = 0; i < SENTENCES; i++)
        if (!(left_out >> i & 1)) strcat(strcat(out, sentences[i]), i + 1 < SENTENCES ? "  " : "");
}

static unsigned spans_of(const rp_moderated *label, const char *text) {
    unsigned found = 0;
    for (size_t k = 0; k < label->span_count; k++)
        for (int i = 0; i < SENTENCES; i++) {
            const char *at = strstr(text, sentences[i]);
            if ((size_t)(at - text) != label->spans[k].start) continue;
            assert_int_equal(label->spans[k].end - label->spans[k].start, strlen(sentences[i]));
            found |= 1u << i;
        }
    assert_int_equal(__builtin_popcount(found), label->span_count);
    return found;
}

/* With a threshold between the scores without two sentences, those that lie below it are found. */
static void test_sentences_that_made_the_difference(void **state) {
    char text[400], rest[400], thresholds[100];
    int checked = 0;
    (void)state;
    join(0, text);
    for (uint32_t label = 0; label < 4; label++) {
        float whole = score_of(several, text, label), least = 1;
        for (int i = 0; i < SENTENCES; i++) {
            join(1u << i, rest);
            float score = score_of(several, rest, label);
            if (score < least) least = score;
        }
        if (least >= whole) continue;
        double threshold = ((double)least + (double)whole) / 2;
        unsigned want = 0;
        for (int i = 0; i < SENTENCES; i++) {
            join(1u << i, rest);
            want |= (unsigned)((double)score_of(several, rest, label) < threshold) << i;
        }
        snprintf(thresholds, sizeof thresholds, "{\"thresholds\": {\"%c\": %.17g}}", 'a' + (int)label,
                 threshold);
        rp_moderation *m = rules(several, thresholds, NULL);
        rp_result *result = moderate(m, text, false);
        const rp_verdict *v = rp_result_verdict(result, 0);
        assert_true(v->flagged);
        assert_int_equal(spans_of(&v->labels[0], text), want);
        rp_result_free(&result);
        rp_moderation_close(&m);
        checked++;
    }
    assert_true(checked > 0);
}

/* Where no sentence does it alone, the set that is given does: without it the label does not count, or it is
 * all there is. */
static void test_several_sentences_together(void **state) {
    char text[400], rest[400], thresholds[100];
    (void)state;
    join(0, text);
    for (uint32_t label = 0; label < 4; label++) {
        float least = 1;
        for (int i = 0; i < SENTENCES; i++) {
            join(1u << i, rest);
            float score = score_of(several, rest, label);
            if (score < least) least = score;
        }
        double threshold = (double)least - 1e-6; /* none alone is enough */
        if (threshold > (double)score_of(several, text, label)) continue;
        snprintf(thresholds, sizeof thresholds, "{\"thresholds\": {\"%c\": %.17g}}", 'a' + (int)label,
                 threshold);
        rp_moderation *m = rules(several, thresholds, NULL);
        rp_result *result = moderate(m, text, false);
        const rp_moderated *flagged = &rp_result_verdict(result, 0)->labels[0];
        unsigned found = spans_of(flagged, text);
        assert_true(flagged->span_count > 1);
        join(found, rest);
        if (found != (1u << SENTENCES) - 1) assert_true((double)score_of(several, rest, label) < threshold);
        rp_result_free(&result);
        rp_moderation_close(&m);
    }
}

/* A long text is read whole, in at most so many parts. */
static void test_long_texts(void **state) {
    static char text[20000];
    rp_error err = {0};
    char *json = NULL;
    (void)state;
    *text = '\0';
    for (int i = 0; i < 150; i++) sprintf(text + strlen(text), "In %d the river was dark. ", 1800 + i);
    rp_moderation *m = rules(several, "{\"thresholds\": {\"a\": 0, \"b\": 1}}", NULL);
    rp_result *result = moderate(m, text, false);
    const rp_verdict *v = rp_result_verdict(result, 0);
    assert_false(rp_result_truncated(result, 0));
    assert_true(find(v, "a")->score == score_of(several, text, 0));
    assert_true(find(v, "a")->span_count > 0 && find(v, "a")->span_count <= 64);
    assert_int_equal(find(v, "b")->span_count, 0);
    assert_int_equal(rp_result_json(result, 0, NULL, &json, NULL, &err), RP_OK);
    json_t *root = json_loads(json, 0, NULL), *labels = json_object_get(root, "labels");
    assert_true(json_is_true(json_object_get(root, "flagged")));
    assert_string_equal(json_string_value(json_object_get(root, "action")), "flag");
    assert_int_equal(json_array_size(labels), 2);
    json_decref(root);
    rp_string_free(&json);
    rp_result_free(&result);
    rp_moderation_close(&m);
}

/* ---- what hides words ---- */

static void test_words_that_hide(void **state) {
    static const char *const cases[][2] = {
        {"fr\xe2\x80\x8b"
         "ee c\xc2\xad"
         "ash",
         "free cash"},                                                          /* zero width, soft hyphen */
        {"fr\xd0\xb5\xd0\xb5 \xd1\x81\xd0\xb0sh", "free cash"},                 /* Cyrillic */
        {"\xef\xbd\x86\xef\xbd\x92\xef\xbd\x85\xef\xbd\x85 cash", "free cash"}, /* full width */
        {"\xf0\x9d\x90\x9f\xf0\x9d\x90\xab\xf0\x9d\x90\x9e\xf0\x9d\x90\x9e it", "free it"}, /* mathematical */
        {"f.r.e.e c a l l now", "free call now"},
        {"F R E E  C-A-L-L!", "FREE  CALL!"},
        {"freeeee caaall", "free call"},
        {"fr33 m0ney, c4ll n0w", "free money, call now"},
        {"FR33", "FREE"},
        /* What stays. */
        {"", ""},
        {"call 08001234567 at 10am, the 4th, for \xc2\xa3"
         "1000!!!",
         "call 08001234567 at 10am, the 4th, for \xc2\xa3"
         "1000!!!"},
        {"see www.w1n4.com or me@h0me.com", "see www.w1n4.com or me@h0me.com"},
        {"\xd0\xbc\xd0\xbe\xd1\x80\xd0\xb5 \xd1\x81\xd0\xbe\xd0\xbd",
         "\xd0\xbc\xd0\xbe\xd1\x80\xd0\xb5 \xd1\x81\xd0\xbe\xd0\xbd"}, /* Russian */
        {"I a m a b", "Iamab"},
        {"U R A star, e.g. p.m.", "U R A star, e.g. p.m."},
        {"1 2 3 4 5", "1 2 3 4 5"},
    };
    rp_tokenizer *tokenizer = NULL;
    rp_error err = {0};
    (void)state;
    assert_int_equal(rp_tokenizer_open(SOURCE_DIR "/tools/models/sentiment", &tokenizer, &err), RP_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const rp_text text = {cases[i][0], strlen(cases[i][0])};
        rp_chars chars = {0};
        char out[400] = "";
        size_t size = 0;
        assert_int_equal(rp_text_chars(text, &chars, &err), RP_OK);
        assert_int_equal(rp_chars_plain(tokenizer, &chars, &err), RP_OK);
        for (size_t k = 0; k < chars.count; k++) {
            size += rp_utf8_put(out + size, chars.items[k].code);
            assert_true(chars.items[k].start < chars.items[k].end && chars.items[k].end <= text.size);
            if (k) assert_true(chars.items[k - 1].end <= chars.items[k].start);
        }
        out[size] = '\0';
        assert_string_equal(out, cases[i][1]);
        free(chars.items);
    }
    rp_tokenizer_close(&tokenizer);
}

/* The score is that of the text as it was meant; spans are those of the text as it came. */
static void test_normalized_texts(void **state) {
    static const char hidden[] = "The rivvvver was d\xd0\xb0rk.  It was a fi\xe2\x80\x8blm!";
    (void)state;
    rp_moderation *m = rules(several, "{\"thresholds\": {\"a\": 0}}", NULL);
    rp_result *result = moderate(m, hidden, true);
    const rp_moderated *label = &rp_result_verdict(result, 0)->labels[0];
    rp_result *plain = moderate(m, "The river was dark.  It was a film!", false);
    assert_true(label->score == rp_result_verdict(plain, 0)->labels[0].score);
    assert_int_equal(label->span_count, 2);
    assert_int_equal(label->spans[0].start, 0);
    assert_memory_equal(hidden + label->spans[0].end - 6, "d\xd0\xb0rk.", 6);
    assert_memory_equal(hidden + label->spans[1].start, "It was", 6);
    assert_int_equal(label->spans[1].end, sizeof hidden - 1);
    rp_result_free(&plain);
    rp_result_free(&result);
    rp_moderation_close(&m);
}

static void test_sentences(void **state) {
    static const struct {
        const char *text;
        size_t count;
    } cases[] = {{"", 0},
                 {" ", 1},
                 {"a", 1},
                 {"One. Two! Three?", 3},
                 {"At 3.5 km", 1},
                 {"\"So.\" he said.\n\nEnd", 3},
                 {"\xe3\x81\xa0\xe3\x80\x82\xe3\x81\xa0\xe3\x80\x82", 2},
                 {"...", 1},
                 {"a\nb\n", 2}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rp_chars chars = {0};
        uint32_t ends[64];
        rp_error err = {0};
        assert_int_equal(rp_text_chars((rp_text){cases[i].text, strlen(cases[i].text)}, &chars, &err), RP_OK);
        assert_int_equal(rp_chars_sentences(&chars, ends), cases[i].count);
        if (cases[i].count) assert_int_equal(ends[cases[i].count - 1], chars.count);
        free(chars.items);
    }
}

/* ---- calibration ---- */

/* What a threshold gives on the rows, counted by hand. */
static void check_threshold(const rp_threshold *t, const char *const *texts, const bool *right, size_t count,
                            uint32_t label, double precision, double recall) {
    size_t said = 0, both = 0, have = 0;
    for (size_t i = 0; i < count; i++) {
        bool is = (double)score_of(several, texts[i], label) >= t->threshold;
        said += is;
        have += right[i];
        both += is && right[i];
    }
    assert_int_equal(t->support, have);
    assert_true(fabs(t->precision - (double)both / (double)said) < 1e-12);
    assert_true(fabs(t->recall - (double)both / (double)have) < 1e-12);
    assert_int_equal(t->reached, t->precision >= precision && t->recall >= recall);
}

static void test_calibrated_thresholds(void **state) {
    enum { ROWS = 10 };
    static const char *const texts[ROWS] = {
        "a film",   "dull.", "the river",      "London was dark", "letters and ships",
        "a bridge", "years", "warm and funny", "Nobody",          "the morning"};
    bool right[ROWS];
    char data[1000] = "text\tlabel\n", path[ROOM], out[ROOM];
    (void)state;
    for (int i = 0; i < ROWS; i++) {
        right[i] = i % 3 == 0 || i == 4;
        sprintf(data + strlen(data), "%s\t%s\n", texts[i], right[i] ? "a,b,c,d" : "");
    }
    strcpy(path, file("dev.tsv", data));
    snprintf(out, sizeof out, "%s/out.json", many.dir);
    for (int way = 0; way < 4; way++) {
        rp_eval_params params = {.calibrate = out};
        rp_evaluation *e = NULL;
        rp_error err = {0};
        size_t count = 0;
        *(way % 2 ? &params.target_recall : &params.target_precision) = way < 2 ? 0.5 : 1;
        if (rp_eval(several, path, &params, &e, &err)) print_error("%s\n", err.message);
        assert_non_null(e);
        const rp_threshold *t = rp_evaluation_thresholds(e, &count);
        assert_int_equal(count, 4);
        for (uint32_t k = 0; k < 4; k++)
            check_threshold(&t[k], texts, right, ROWS, k, params.target_precision, params.target_recall);
        if (way % 2) assert_true(t[0].reached);
        /* Moderation takes the file, and what counts is what was counted. */
        rp_moderation_params files = {.thresholds = out};
        rp_moderation *m = NULL;
        assert_int_equal(rp_moderation_open(several, &files, &m, &err), RP_OK);
        rp_result *result = moderate(m, texts[0], false);
        const rp_moderated *label = find(rp_result_verdict(result, 0), "a");
        assert_int_equal(label->flagged, (double)score_of(several, texts[0], 0) >= t[0].threshold);
        rp_result_free(&result);
        rp_moderation_close(&m);
        rp_evaluation_free(&e);
    }
}

static void test_calibration_refuses(void **state) {
    static const rp_eval_params wrong[] = {
        {.calibrate = "x"},
        {.calibrate = "x", .target_precision = 0.5, .target_recall = 0.5},
        {.calibrate = "x", .target_recall = 1.5},
        {.calibrate = "x", .target_precision = -1},
        {.calibrate = "x", .target_precision = 0.5, .task = RP_EVAL_EMBED},
    };
    char path[ROOM];
    rp_evaluation *e = NULL;
    rp_error err = {0};
    (void)state;
    strcpy(path, file("dev.tsv", "text\tlabel\na film\ta\ndull.\t\n"));
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(rp_eval(several, path, &wrong[i], &e, &err), RP_ERROR_ARGUMENT);
        assert_null(e);
    }
    const rp_eval_params good = {.calibrate = "/no/such/folder/x", .target_recall = 1};
    strcpy(path, file("dev.tsv", "text\tlabel\na film\ta,b,c,d\ndull.\t\n"));
    assert_int_equal(rp_eval(several, path, &good, &e, &err), RP_ERROR_FILE);
    assert_non_null(strstr(err.message, "thresholds"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_files_are_refused),
        cmocka_unit_test(test_which_labels_count),
        cmocka_unit_test(test_actions),
        cmocka_unit_test(test_bad_texts_fail_alone),
        cmocka_unit_test(test_sentences_that_made_the_difference),
        cmocka_unit_test(test_several_sentences_together),
        cmocka_unit_test(test_long_texts),
        cmocka_unit_test(test_words_that_hide),
        cmocka_unit_test(test_normalized_texts),
        cmocka_unit_test(test_sentences),
        cmocka_unit_test(test_calibrated_thresholds),
        cmocka_unit_test(test_calibration_refuses),
    };
    return cmocka_run_group_tests(tests, open_models, close_models);
}
