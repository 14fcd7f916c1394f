/* Dialogues: intents by a classifier and by examples, answers from a list, slots, and what is refused. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "reprise/reprise.h"
#include "support_cli.h"
#include "support_tasks.h"

static char dir[FIXTURE_PATH_SIZE], faq[FIXTURE_PATH_SIZE + 32], examples[FIXTURE_PATH_SIZE + 32];
static task_case cases[4];
static rp_model *classifier, *encoder, *reader, *tagger;
static rp_chat *chat;
static rp_result *result;
static rp_error err;

static rp_model *open_case(size_t i, const char *name) {
    rp_model *model = NULL;
    if (!task_case_open(name, &cases[i]) || rp_model_open(fixture_device, cases[i].dir, NULL, &model, &err))
        print_error("%s: %s\n", name, err.message);
    return model;
}

static int open_models(void **state) {
    if (fixture_open_device(state) || !fixture_make_dir(dir)) return -1;
    snprintf(faq, sizeof faq, "%s/faq.csv", dir);
    snprintf(examples, sizeof examples, "%s/examples.csv", dir);
    classifier = open_case(0, "classify");
    encoder = open_case(1, "embed_mean");
    reader = open_case(2, "answer");
    tagger = open_case(3, "tag");
    return classifier && encoder && reader && tagger ? 0 : -1;
}

static int close_models(void **state) {
    rp_model_close(&classifier);
    rp_model_close(&encoder);
    rp_model_close(&reader);
    rp_model_close(&tagger);
    for (size_t i = 0; i < 4; i++) task_case_close(&cases[i]);
    fixture_remove_dir(dir);
    return fixture_close_device(state);
}

static int setup(void **state) {
    (void)state;
    assert_true(fixture_write_text(dir, "faq.csv",
                                   "question,answer\nWhere is my card?,It comes by post in five days.\n"
                                   "How do I change my PIN?,\"At any machine, under \"\"services\"\".\"\n"));
    assert_true(fixture_write_text(
        dir, "examples.csv", "text,intent\nmy card has not come,card\nnew pin please,pin\nthe card,card\n"));
    return 0;
}

static int teardown(void **state) {
    (void)state;
    rp_result_free(&result);
    rp_chat_close(&chat);
    return 0;
}

static void open_chat(rp_chat_params params) {
    rp_chat_close(&chat);
    if (rp_chat_open(&params, &chat, &err)) print_error("%s\n", err.message);
    assert_non_null(chat);
}

static const rp_reply *say(const char *text) {
    const rp_text one = {text, strlen(text)};
    rp_result_free(&result);
    if (rp_chat_say(chat, &one, 1, NULL, &result, &err)) print_error("%s\n", err.message);
    assert_non_null(result);
    return rp_result_reply(result, 0);
}

static char *json(void) {
    char *out = NULL;
    assert_int_equal(rp_result_json(result, 0, NULL, &out, NULL, &err), RP_OK);
    return out;
}

/* ---- intents ---- */

/* The score is what the probabilities say by hand, and the threshold decides. */
static void test_a_classifier(void **state) {
    static const char text[] = "a warm and funny film";
    const rp_input input = {.text = {text, sizeof text - 1}};
    rp_result *labels = NULL;
    size_t count;
    (void)state;
    assert_int_equal(rp_classify(classifier, &input, 1, NULL, &labels, &err), RP_OK);
    const rp_label *label = rp_result_labels(labels, 0, &count);
    double product = (double)count;
    assert_true(count > 1);
    for (size_t i = 0; i < count; i++) product *= pow(label[i].score, 1.0 / (double)count);
    open_chat((rp_chat_params){.model = classifier, .has_threshold = true, .threshold = 0});
    const rp_reply *reply = say(text);
    assert_string_equal(reply->intent, label[0].label);
    assert_true(fabs(reply->score - (1 - product)) < 1e-5);
    assert_null(reply->answer);
    assert_string_equal(rp_chat_intent(chat), label[0].label);
    char *said = json();
    assert_non_null(strstr(said, "\"answer\": null, \"source\": null}"));
    rp_string_free(&said);
    open_chat(
        (rp_chat_params){.model = classifier, .has_threshold = true, .threshold = reply->score + 1e-6f});
    reply = say(text);
    assert_null(reply->intent);
    assert_null(rp_chat_intent(chat));
    said = json();
    assert_non_null(strstr(said, "{\"intent\": null, \"score\": 0."));
    rp_string_free(&said);
    rp_result_free(&labels);
}

static size_t told, last_total;

static void take_progress(void *user, size_t done, size_t total) {
    (void)user;
    assert_true(done > told && done <= total && total >= last_total);
    told = done;
    last_total = total;
}

static void test_examples(void **state) {
    const rp_call call = {.progress = take_progress};
    (void)state;
    open_chat((rp_chat_params){.model = encoder, .examples = examples, .faq = faq, .call = &call});
    assert_true(told == 5 && last_total == 5); /* three examples and two questions */
    open_chat(
        (rp_chat_params){.model = encoder, .examples = examples, .has_threshold = true, .threshold = 0.999f});
    const rp_reply *reply = say("new pin please");
    assert_string_equal(reply->intent, "pin");
    assert_true(fabsf(reply->score - 1) < 1e-5f);
    assert_string_equal(say("the card")->intent, "card");
    reply = say("The old man walked along the river until it was dark");
    assert_null(reply->intent);
    assert_true(reply->score < 0.999f);
    assert_string_equal(rp_chat_intent(chat), "card");
    rp_chat_forget(chat);
    assert_null(rp_chat_intent(chat));
    /* Whole numbers are labels in another order than their bytes say. */
    assert_true(fixture_write_text(dir, "examples.csv", "text,category\none,10\ntwo,9\n"));
    open_chat((rp_chat_params){.model = classifier, .embedder = encoder, .examples = examples});
    assert_string_equal(say("two")->intent, "9");
    assert_string_equal(say("one")->intent, "10");
}

/* ---- the list ---- */

static void test_a_list(void **state) {
    (void)state;
    /* By words, and with the part marked that the reader finds. */
    open_chat((rp_chat_params){.model = reader, .faq = faq});
    const rp_reply *reply = say("how can I change the PIN?");
    assert_null(reply->intent);
    assert_string_equal(reply->answer, "At any machine, under \"services\".");
    assert_string_equal(reply->question, "How do I change my PIN?");
    assert_int_equal(reply->row, 2);
    assert_true(reply->found > 0.5f && reply->found <= 1 && reply->score == reply->found);
    assert_true(reply->marked.end > reply->marked.start && reply->marked.end <= strlen(reply->answer));
    char *said = json();
    assert_non_null(
        strstr(said, "\"source\": {\"row\": 2, \"question\": \"How do I change my PIN?\", \"score\": "));
    assert_non_null(strstr(said, "\"marked\": {\"start\": "));
    rp_string_free(&said);
    reply = say("badgers and owls hunt at night");
    assert_null(reply->answer);
    assert_int_equal(reply->row, 0);
    said = json();
    assert_non_null(strstr(said, "\"answer\": null, \"source\": null, \"marked\": null}"));
    rp_string_free(&said);
    /* By vectors. */
    open_chat(
        (rp_chat_params){.model = encoder, .faq = faq, .has_faq_threshold = true, .faq_threshold = 0.9999f});
    reply = say("Where is my card?");
    assert_string_equal(reply->answer, "It comes by post in five days.");
    assert_null(say("Where is the river?")->answer);
}

/* ---- kept vectors ---- */

static char kept[FIXTURE_PATH_SIZE + 32];

/* The number of texts that vectors are made of when this is opened. */
static size_t embedded(rp_chat_params params) {
    const rp_call call = {.progress = take_progress};
    told = last_total = 0;
    params.call = &call;
    open_chat(params);
    return told;
}

static void test_kept_vectors(void **state) {
    rp_chat_params params = {.model = encoder, .examples = examples, .faq = faq, .index = kept};
    char *before, *after;
    size_t size, again;
    (void)state;
    snprintf(kept, sizeof kept, "%s/kept", dir);
    assert_int_equal(embedded(params), 5);
    before = fixture_read(NULL, kept, &size);
    for (int i = 0; i < 2; i++) { /* made, and found */
        assert_string_equal(say("new pin please")->intent, "pin");
        assert_true(fabsf(rp_result_reply(result, 0)->score - 1) < 1e-3f);
        assert_string_equal(say("Where is my card?")->answer, "It comes by post in five days.");
        assert_int_equal(embedded(params), 0);
    }
    after = fixture_read(NULL, kept, &again);
    assert_true(size == again && !memcmp(before, after, size));
    free(before);
    free(after);
    /* Another intent needs no other vector; another text, order of texts or model does. */
    assert_true(fixture_write_text(
        dir, "examples.csv", "text,intent\nmy card has not come,card\nnew pin please,key\nthe card,card\n"));
    assert_int_equal(embedded(params), 0);
    assert_string_equal(say("new pin please")->intent, "key");
    assert_true(fixture_write_text(
        dir, "examples.csv", "text,intent\nnew pin please,pin\nmy card has not come,card\nthe card,card\n"));
    assert_int_equal(embedded(params), 5);
    assert_string_equal(say("new pin please")->intent, "pin");
    params.faq = NULL;
    assert_int_equal(embedded(params), 3);
    params.embedder = reader;
    assert_int_equal(embedded(params), 3);
    assert_int_equal(embedded(params), 0);
}

static void refuse(rp_chat_params params, rp_status status, const char *needle);

/* What is no index of this, or is damaged, is refused and stays as it is. */
static void test_kept_vectors_of_others(void **state) {
    const rp_chat_params params = {.model = encoder, .examples = examples, .index = kept};
    const rp_document document = {.id = RP_TEXT("0123456789abcdef 0123456789abcdeg"), .text = RP_TEXT("a")};
    const float vector[3] = {1, 0, 0};
    rp_index *index = NULL;
    rp_index_writer *writer = NULL;
    rp_document first;
    char key[64], *text;
    size_t size;
    (void)state;
    snprintf(kept, sizeof kept, "%s/kept", dir);
    refuse((rp_chat_params){.model = reader, .faq = faq, .index = kept}, RP_ERROR_ARGUMENT, "keeps vectors");
    assert_true(fixture_write_text(dir, "kept", "a letter to my mother"));
    refuse(params, RP_ERROR_FORMAT, "kept");
    text = fixture_read(NULL, kept, &size);
    assert_string_equal(text, "a letter to my mother");
    free(text);
    assert_int_equal(rp_index_create(NULL, kept, &(rp_index_params){.width = 3}, &writer, &err), RP_OK);
    assert_int_equal(rp_index_add_vectors(writer, &document, vector, 1, NULL, &err), RP_OK);
    assert_int_equal(rp_index_finish(&writer, &err), RP_OK);
    refuse(params, RP_ERROR_FILE, "something else");
    /* one that says that it is ours, with vectors of another length */
    unlink(kept);
    open_chat(params);
    assert_int_equal(rp_index_open(NULL, kept, NULL, &index, &err), RP_OK);
    assert_int_equal(rp_index_document(index, 0, &first, &err), RP_OK);
    assert_true(first.id.size < sizeof key);
    memcpy(key, first.id.data, first.id.size);
    const rp_document forged[3] = {{.id = {key, first.id.size}, .text = RP_TEXT("")}, {.text = RP_TEXT("")}};
    rp_index_close(&index);
    assert_int_equal(rp_index_create(NULL, kept, &(rp_index_params){.width = 3}, &writer, &err), RP_OK);
    for (int i = 0; i < 3; i++)
        assert_int_equal(rp_index_add_vectors(writer, &forged[i], vector, 1, NULL, &err), RP_OK);
    assert_int_equal(rp_index_finish(&writer, &err), RP_OK);
    open_chat(params);
    const rp_text one = RP_TEXT("the card");
    rp_result_free(&result);
    assert_int_equal(rp_chat_say(chat, &one, 1, NULL, &result, &err), RP_ERROR_FORMAT);
    assert_non_null(strstr(err.message, "vectors of 3 numbers"));
    rp_chat_close(&chat);
    /* damaged */
    text = fixture_read(NULL, kept, &size);
    text[4096] ^= 1;
    FILE *file = fopen(kept, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
    free(text);
    refuse(params, RP_ERROR_FORMAT, "kept");
    unlink(kept);
}

/* ---- slots ---- */

static size_t count_entities(const char *text) {
    const rp_text one = {text, strlen(text)};
    rp_result *tags = NULL;
    size_t count;
    assert_int_equal(rp_tag(tagger, &one, 1, NULL, &tags, &err), RP_OK);
    rp_result_entities(tags, 0, &count);
    rp_result_free(&tags);
    return count;
}

static void test_slots(void **state) {
    static const char text[] = "Ada was born in London.";
    (void)state;
    assert_true(count_entities(text) > 0);
    open_chat((rp_chat_params){.model = reader, .faq = faq, .tagger = tagger});
    const rp_reply *reply = say(text);
    assert_true(reply->slot_count > 0);
    for (size_t i = 0; i < reply->slot_count; i++) {
        assert_non_null(strstr(text, reply->slots[i].value));
        for (size_t k = 0; k < i; k++) assert_string_not_equal(reply->slots[i].name, reply->slots[k].name);
    }
    size_t before = reply->slot_count;
    char *said = json();
    assert_non_null(strstr(said, "\"slots\": {\""));
    rp_string_free(&said);
    /* They are remembered, and a failed text changes nothing. */
    const rp_text texts[] = {RP_TEXT("\xff"), RP_TEXT(""), {text, sizeof text - 1}};
    rp_result_free(&result);
    assert_int_equal(rp_chat_say(chat, texts, 3, NULL, &result, &err), RP_OK);
    assert_int_equal(rp_result_status(result, 0, NULL), RP_ERROR_TEXT);
    assert_int_equal(rp_result_status(result, 1, NULL), RP_ERROR_TEXT);
    assert_null(rp_result_reply(result, 0));
    assert_int_equal(rp_result_reply(result, 2)->slot_count, before);
    rp_chat_forget(chat);
    rp_result_free(&result);
    assert_int_equal(rp_chat_say(chat, texts, 0, NULL, &result, &err), RP_OK);
}

/* ---- what is wrong ---- */

static void refuse(rp_chat_params params, rp_status status, const char *needle) {
    rp_chat_close(&chat);
    assert_int_equal(rp_chat_open(&params, &chat, &err), status);
    assert_null(chat);
    if (!strstr(err.message, needle)) print_error("no '%s' in: %s\n", needle, err.message);
    assert_non_null(strstr(err.message, needle));
}

static void test_mistakes(void **state) {
    (void)state;
    refuse((rp_chat_params){0}, RP_ERROR_ARGUMENT, "model");
    refuse((rp_chat_params){.model = encoder}, RP_ERROR_HEAD, "--examples");
    refuse((rp_chat_params){.model = reader, .examples = examples}, RP_ERROR_HEAD, "--embed-model");
    refuse((rp_chat_params){.model = classifier, .reader = encoder}, RP_ERROR_HEAD,
           "question answering head");
    refuse((rp_chat_params){.model = classifier, .tagger = encoder}, RP_ERROR_HEAD,
           "token classification head");
    refuse((rp_chat_params){.model = classifier, .has_threshold = true, .threshold = NAN}, RP_ERROR_ARGUMENT,
           "finite");
    refuse((rp_chat_params){.model = classifier, .reserved = {[7] = 1}}, RP_ERROR_ARGUMENT, "reserved");
    assert_true(fixture_write_text(dir, "faq.csv", "question,reply\na,b\n"));
    refuse((rp_chat_params){.model = classifier, .faq = faq}, RP_ERROR_FORMAT,
           "no column of the header is named 'answer'; it has question, reply; rename one");
    assert_true(fixture_write_text(dir, "faq.csv", "question,answer\na,b\nc,\n"));
    refuse((rp_chat_params){.model = classifier, .faq = faq}, RP_ERROR_FORMAT, "line 3: has no answer");
    assert_true(fixture_write_text(dir, "examples.csv", "text\na\n"));
    refuse((rp_chat_params){.model = encoder, .examples = examples}, RP_ERROR_FORMAT, "examples.csv");
    refuse((rp_chat_params){.model = encoder, .examples = "/no/such.csv"}, RP_ERROR_FILE, "/no/such.csv");
    assert_int_equal(rp_chat_say(NULL, NULL, 0, NULL, &result, &err), RP_ERROR_ARGUMENT);
}

/* ---- the command ---- */

static void test_the_command(void **state) {
    (void)state;
    cli_run run =
        cli_text(CLI_ARGS("chat", "-m", cases[2].dir, "--faq", faq, "--keep"),
                 "{\"id\": 1, \"text\": \"where is my card\"}\n{\"text\": \"owls\"}\n{\"text\": 1}\n");
    assert_int_equal(run.status, 1);
    assert_int_equal(cli_line_count(&run), 3);
    assert_non_null(strstr(run.out, "{\"id\": 1, \"answer\": {\"intent\": null, \"score\": "));
    assert_non_null(strstr(run.out, "\"answer\": \"It comes by post in five days.\""));
    cli_free(&run);
    run = cli_text(CLI_ARGS("chat", "-m", cases[1].dir, "--examples", examples), "new pin please\n");
    assert_int_equal(run.status, 0);
    assert_non_null(strstr(run.out, "new pin please\n  pin  1.0000"));
    cli_free(&run);
    snprintf(kept, sizeof kept, "%s/by-command", dir);
    run = cli_text(CLI_ARGS("chat", "-m", cases[1].dir, "--examples", examples, "--index", kept, "the card"),
                   "");
    assert_int_equal(run.status, 0);
    assert_int_equal(access(kept, F_OK), 0);
    cli_free(&run);
    run = cli_text(CLI_ARGS("chat", "-m", cases[2].dir, "--faq", faq, "owls hunt"), "");
    assert_int_equal(run.status, 0);
    assert_non_null(strstr(run.out, "I do not know"));
    cli_free(&run);
    run = cli_text(CLI_ARGS("chat", "-m", cases[1].dir, "a"), "");
    assert_int_equal(run.status, 1);
    assert_non_null(strstr(run.err, "--examples"));
    cli_free(&run);
    /* The bundled model has its own threshold in its folder. */
    run = cli_text(CLI_ARGS("chat", "-m", "intents", "--json", "how do i open the window"), "");
    assert_int_equal(run.status, 0);
    assert_non_null(strstr(run.out, "{\"intent\": null, \"score\": 0.96"));
    cli_free(&run);
    run = cli_text(CLI_ARGS("chat", "-m", cases[0].dir, "--threshold", "2", "a"), "");
    assert_int_equal(run.status, 2);
    cli_free(&run);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_classifier),           TEST(test_examples), TEST(test_a_list),   TEST(test_kept_vectors),
        TEST(test_kept_vectors_of_others), TEST(test_slots),    TEST(test_mistakes), TEST(test_the_command),
    };
    return cmocka_run_group_tests(tests, open_models, close_models);
}
