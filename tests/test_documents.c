/* Documents: how they are cut, what is found in them, the index that keeps it, and what a model reads. */
#include <math.h>
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

#include "apps/passages.h"
#include "reprise/reprise.h"
#include "support_cli.h"
#include "support_tasks.h"

static char dir[FIXTURE_PATH_SIZE], folder[FIXTURE_PATH_SIZE + 32], index_file[FIXTURE_PATH_SIZE + 32];
static rp_documents *documents;
static rp_error err;

static int setup(void **state) {
    (void)state;
    if (!fixture_make_dir(dir)) return -1;
    snprintf(folder, sizeof folder, "%s/docs", dir);
    snprintf(index_file, sizeof index_file, "%s/index", dir);
    return mkdir(folder, 0777);
}

static int teardown(void **state) {
    (void)state;
    rp_documents_close(&documents);
    fixture_remove_dir(dir);
    return 0;
}

static void write_file(const char *name, const char *text) {
    assert_true(fixture_write_text(folder, name, text));
}

static rp_status open_with(const char *path, const char *index) {
    const rp_documents_params params = {.index = index};
    rp_documents_close(&documents);
    err = (rp_error){0};
    return rp_documents_open(path, &params, &documents, &err);
}

static void open_all(void) {
    if (open_with(folder, NULL)) print_error("%s\n", err.message);
    assert_non_null(documents);
}

static size_t find(const char *question, rp_passage *out, size_t room) {
    size_t count = 99;
    assert_int_equal(
        rp_documents_find(documents, (rp_text){question, strlen(question)}, out, room, &count, &err), RP_OK);
    return count;
}

static void assert_found(const char *question, const char *document, const char *text) {
    rp_passage p;
    assert_int_equal(find(question, &p, 1), 1);
    assert_string_equal(p.document, document);
    if (text) assert_int_equal(p.text.size, strlen(text));
    if (text) assert_memory_equal(p.text.data, text, p.text.size);
}

/* ---- what is read ---- */

static void test_a_folder(void **state) {
    char inner[FIXTURE_PATH_SIZE + 64];
    (void)state;
    snprintf(inner, sizeof inner, "%s/inner", folder);
    assert_int_equal(mkdir(inner, 0777), 0);
    write_file("b.txt", "\xef\xbb\xbfThe river Wye is long.");
    write_file("inner/a.txt", "Bees live in hives. Foxes do not.");
    write_file(".hidden", "hives hives");
    write_file("lines.jsonl",
               "{\"id\": \"x\", \"text\": \"An owl hunts.\"}\n\n{\"text\": \"A hare runs.\", \"id\": 7}\n"
               "{\"text\": \"A stork flies.\"}\n");
    open_all();
    assert_int_equal(rp_documents_get_info(documents)->documents, 5);
    assert_int_equal(rp_documents_get_info(documents)->passages, 5);
    assert_found("how long is the Wye?", "b.txt", "The river Wye is long.");
    assert_found("hive", "inner/a.txt", NULL); /* its plural stands there */
    assert_found("OWLS", "x", "An owl hunts.");
    assert_found("hare", "7", NULL);
    assert_found("stork", "lines.jsonl:4", NULL);
    rp_passage p;
    assert_int_equal(find("badger", &p, 1), 0);
    assert_int_equal(find("?", &p, 1), 0);
}

static void test_words_of_many_scripts(void **state) {
    (void)state;
    write_file("1", "Z\xc3\xbcrich liegt an der Limmat."); /* u with diaeresis */
    write_file("2",
               "\xe6\x9d\xb1\xe4\xba\xac\xe3\x81\xaf\xe5\xa4\xa7\xe3\x81\x8d\xe3\x81\x84"); /* Tokyo is big */
    write_file("3", "\xce\x9f\xce\x94\xce\x9f\xce\xa3 one_two");                            /* ODOS */
    write_file("4", "an o\xef\xac\x83"
                    "ce"); /* with a ligature */
    open_all();
    assert_found("zurich", "1", NULL);
    assert_found("ZU\xcc\x88RICH", "1", NULL); /* composed of two characters */
    assert_found("\xe4\xba\xac", "2", NULL);
    assert_found("\xce\xbf\xce\xb4\xce\xbf\xcf\x82", "3", NULL); /* with a final sigma */
    assert_found("two", "3", NULL);
    assert_found("office", "4", NULL);
}

/* The rarer word, the shorter passage and the repeated word count more. */
static void test_order(void **state) {
    rp_passage p[4];
    (void)state;
    write_file("1", "the cat and the dog and the bird sat there for a long while today");
    write_file("2", "the cat");
    write_file("3", "the cat cat");
    write_file("4", "the bird");
    open_all();
    assert_int_equal(find("the cat", p, 4), 4);
    assert_string_equal(p[0].document, "3");
    assert_string_equal(p[1].document, "2");
    assert_string_equal(p[2].document, "1");
    assert_true(p[0].score > p[1].score && p[1].score > p[2].score && p[2].score > p[3].score);
    /* Of "bird" by hand: 4 passages of 2 to 15 words, 22 in all. */
    assert_int_equal(find("bird", p, 1), 1);
    double idf = log1p((4 - 2 + 0.5) / (2 + 0.5)), length = 2 / (22 / 4.0);
    assert_true(fabs(p[0].score - idf * 2.2 / (1 + 1.2 * (0.25 + 0.75 * length))) < 1e-5);
}

/* ---- passages ---- */

static void check_cut(const char *text, uint32_t most) {
    rp_cut_passages cut = {0};
    size_t size = strlen(text);
    assert_int_equal(rp_passages_split(text, size, most, &cut, &err), RP_OK);
    for (size_t i = 0; i < cut.count; i++) {
        const rp_cut_passage *p = &cut.items[i];
        rp_word_reader r = {.text = text + p->start, .size = p->end - p->start};
        uint32_t words = 0;
        while (rp_word_next(&r)) words++;
        assert_true(p->start < p->end && p->end <= size);
        assert_true(i == 0 || p->end > cut.items[i - 1].end);
        assert_int_equal(words, p->words);
        assert_true(words && words <= most + 1);
    }
    free(cut.items);
}

static void test_passages(void **state) {
    char text[8192] = "";
    rp_passage p[8];
    (void)state;
    /* 12 sentences of 10 words each in one paragraph, and a heading. */
    strcpy(text, "Chapter one\n\n");
    for (int i = 0; i < 40; i++)
        sprintf(text + strlen(text), "Sentence number%d has ten words, of which this is \"last%d.\" ", i, i);
    write_file("long", text);
    open_all();
    assert_int_equal(rp_documents_get_info(documents)->passages, 3);
    assert_int_equal(find("number3", p, 8), 1);
    assert_int_equal(p[0].start, 0); /* with the heading */
    assert_memory_equal(p[0].text.data, text, p[0].text.size);
    assert_int_equal(p[0].text.data[p[0].text.size - 1], '"');
    size_t twice = 0;
    for (int i = 0; i < 40; i++) {
        char word[32];
        sprintf(word, "last%d", i);
        size_t count = find(word, p, 8);
        twice += count == 2;
        assert_true(count == 1 || count == 2);
        assert_memory_equal(p[0].text.data, text + p[0].start, p[0].text.size);
    }
    assert_int_equal(twice, 2); /* the last sentence of a passage begins the next */
    for (uint32_t most = 1; most < 300; most += 37) check_cut(text, most);
    memset(text, '.', 8000);
    check_cut(text, 10);
    for (int i = 0; i < 8000; i++) text[i] = i % 3 ? 'a' : i % 2 ? '.' : ' ';
    check_cut(text, 10);
    for (int i = 0; i < 8000; i++) text[i] = i % 2 ? 'a' : '\n';
    check_cut(text, 10);
}

static void test_lines_are_paragraphs(void **state) {
    char text[4096] = "";
    rp_passage p;
    (void)state;
    for (int line = 0; line < 3; line++) {
        for (int i = 0; i < 45; i++) sprintf(text + strlen(text), "w%d_%d ", line, i);
        strcat(text, "\n");
    }
    write_file("lines", text);
    open_all();
    assert_int_equal(rp_documents_get_info(documents)->passages, 3);
    assert_int_equal(find("w1", &p, 1), 1);
    assert_int_equal(p.start, strcspn(text, "\n") + 1);
}

/* ---- the index ---- */

static char *read_index(size_t *size) {
    FILE *file = fopen(index_file, "rb");
    assert_non_null(file);
    char *bytes = calloc(1, 1 << 16);
    *size = fread(bytes, 1, 1 << 16, file);
    fclose(file);
    return bytes;
}

static void write_index(const char *bytes, size_t size) {
    FILE *file = fopen(index_file, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

static void test_index_is_reused(void **state) {
    struct stat before, after;
    (void)state;
    write_file("a", "An owl hunts at night.");
    write_file("b", "A hare runs.");
    assert_int_equal(open_with(folder, index_file), RP_OK);
    assert_false(rp_documents_get_info(documents)->reused);
    assert_int_equal(stat(index_file, &before), 0);
    assert_int_equal(before.st_size, rp_documents_get_info(documents)->bytes);
    assert_int_equal(open_with(folder, index_file), RP_OK);
    assert_true(rp_documents_get_info(documents)->reused);
    assert_found("owl", "a", "An owl hunts at night.");
    assert_int_equal(open_with(NULL, index_file), RP_OK); /* without its documents */
    assert_found("hares", "b", NULL);
    write_file("b", "A stork flies.");
    assert_int_equal(open_with(folder, index_file), RP_OK);
    assert_false(rp_documents_get_info(documents)->reused);
    assert_found("stork", "b", NULL);
    assert_int_equal(stat(index_file, &after), 0);
    assert_true(before.st_ino != after.st_ino); /* it came by renaming */
    write_file("c", "");
    assert_int_equal(open_with(folder, index_file), RP_OK);
    assert_false(rp_documents_get_info(documents)->reused);
    assert_int_equal(rp_documents_get_info(documents)->documents, 3);
}

/* The index and its vectors may lie in the folder: they are no documents, whatever the folder is called. */
static void test_index_inside(void **state) {
    char inside[FIXTURE_PATH_SIZE + 64], slashed[FIXTURE_PATH_SIZE + 64];
    (void)state;
    snprintf(inside, sizeof inside, "%s/index", folder);
    snprintf(slashed, sizeof slashed, "%s/../docs/", folder);
    write_file("a", "An owl hunts at night.");
    write_file("index.vectors", "\xff");
    assert_int_equal(open_with(folder, index_file), RP_ERROR_FORMAT); /* that is an index of another place */
    for (int again = 0; again < 3; again++) {
        assert_int_equal(open_with(again == 2 ? slashed : folder, inside), RP_OK);
        assert_int_equal(rp_documents_get_info(documents)->documents, 1);
        assert_int_equal(rp_documents_get_info(documents)->reused, again > 0);
    }
}

/* A word counts as often as it is asked for, and a question of a million of them takes no longer for that. */
static void test_long_questions(void **state) {
    enum { COUNT = 200000 };
    char *text = calloc(COUNT + 1, 4), *question = calloc(COUNT + 1, 4);
    rp_passage once, often;
    (void)state;
    assert_true(text && question);
    for (size_t i = 0; i < COUNT; i++) memcpy(text + 4 * i, i % 50 == 49 ? "owl\n" : "owl ", 4);
    write_file("owls", text);
    open_all();
    assert_true(rp_documents_get_info(documents)->passages > 1000);
    for (size_t i = 0; i < COUNT; i++) memcpy(question + 4 * i, "owl ", 4);
    assert_int_equal(find("owl", &once, 1), 1);
    assert_int_equal(find(question, &often, 1), 1);
    assert_true(fabs(often.score / COUNT - once.score) < 1e-4 * once.score);
    free(text);
    free(question);
}

static void assert_damaged(void) {
    assert_int_equal(open_with(folder, index_file), RP_ERROR_FORMAT);
    assert_null(documents);
    assert_non_null(strstr(err.message, "index"));
    assert_int_equal(open_with(NULL, index_file), RP_ERROR_FORMAT);
}

static void test_index_is_damaged(void **state) {
    size_t size;
    (void)state;
    write_file("a", "An owl hunts at night.");
    assert_int_equal(open_with(folder, index_file), RP_OK);
    char *bytes = read_index(&size);
    for (size_t cut = 0; cut < size; cut += cut < 200 ? 1 : 13) {
        write_index(bytes, cut);
        assert_damaged();
    }
    for (size_t at = 0; at < size; at += at < 200 ? 1 : 7) {
        bytes[at] ^= 1 << at % 8;
        write_index(bytes, size);
        assert_damaged();
        bytes[at] ^= 1 << at % 8;
    }
    write_index(bytes, size);
    assert_int_equal(open_with(folder, index_file), RP_OK);
    assert_true(rp_documents_get_info(documents)->reused);
    /* With a right hash: what points outside is found. */
    rp_passages_header *h = (rp_passages_header *)bytes;
    rp_passages p;
    rp_passages_parts(bytes, &p);
    uint64_t *places[] = {(uint64_t *)&p.documents[1].text,
                          (uint64_t *)&p.documents[1].name,
                          (uint64_t *)&p.parts[0].text,
                          (uint64_t *)&p.words[1].bytes,
                          (uint64_t *)&p.words[1].posting,
                          &h->passages,
                          &h->words,
                          &h->postings,
                          &h->text_bytes,
                          (uint64_t *)&p.postings[0]};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        for (int shift = 0; shift < 64; shift += 9) {
            uint64_t was = *places[i];
            *places[i] = was + (UINT64_C(1) << shift);
            rp_passages_seal(bytes, size);
            write_index(bytes, size);
            if (open_with(NULL, index_file) == RP_OK) { /* a count of times, or of words, may be any */
                rp_passage found[4];
                find("owl night", found, 4);
            }
            *places[i] = was;
        }
    free(bytes);
    /* A file of somebody else's is not written over. */
    assert_true(
        fixture_write_text(dir, "index",
                           "my notes, of more bytes than a header has: ................................"
                           "........................................................................."));
    assert_damaged();
    assert_int_equal(access(index_file, F_OK), 0);
}

/* ---- what is wrong ---- */

static void assert_refused(rp_status status, const char *needle) {
    assert_int_equal(open_with(folder, NULL), status);
    assert_null(documents);
    if (!strstr(err.message, needle)) print_error("no '%s' in: %s\n", needle, err.message);
    assert_non_null(strstr(err.message, needle));
}

static void test_wrong_documents(void **state) {
    (void)state;
    assert_refused(RP_ERROR_FILE, "no file");
    write_file("a", " \n ...\n");
    assert_refused(RP_ERROR_FILE, "no text with a word");
    write_file("a", "good \xff bad");
    assert_refused(RP_ERROR_FORMAT, "a: byte 5 is not UTF-8");
    write_file("a", "good");
    write_file("b.jsonl", "{\"text\": \"a\"}\n{\"text\": 7}\n");
    assert_refused(RP_ERROR_FORMAT, "b.jsonl: line 2: \"text\" is");
    write_file("b.jsonl", "{\"text\": \"a\"}\n\n{\"id\": \"x\"}\n");
    assert_refused(RP_ERROR_FORMAT, "line 3: \"text\" is missing");
    write_file("b.jsonl", "{\"text\": \"a\", \"id\": []}\n");
    assert_refused(RP_ERROR_FORMAT, "line 1: \"id\" is");
    write_file("b.jsonl", "{\"text\": \"a\"\n");
    assert_refused(RP_ERROR_FORMAT, "line 1");
    assert_int_equal(open_with("/no/such/folder", NULL), RP_ERROR_FILE);
    assert_int_equal(open_with(NULL, NULL), RP_ERROR_ARGUMENT);
    const rp_documents_params longer = {.passage_words = 10001}, reserved = {.reserved = {1}};
    assert_int_equal(rp_documents_open(folder, &longer, &documents, &err), RP_ERROR_ARGUMENT);
    assert_int_equal(rp_documents_open(folder, &reserved, &documents, &err), RP_ERROR_ARGUMENT);
}

/* ---- reading ---- */

static void check_reading(rp_model *model) {
    static const char *const ada = "In the year 1815 Ada was born in London. Her friend Zo\xc3\xab lived in "
                                   "Z\xc3\xbcrich, where the river meets the lake.";
    const rp_text questions[] = {RP_TEXT("Where was Ada born?"), RP_TEXT("Who lived in Z\xc3\xbcrich?"),
                                 RP_TEXT("badgers"), RP_TEXT("")};
    rp_result *result = NULL, *plain = NULL;
    rp_document_params params = {.passages = 1};
    size_t count;
    /* Of one passage in one window the scores are those of rp_answer_questions. */
    assert_int_equal(rp_answer_documents(model, documents, questions, 4, &params, &result, &err), RP_OK);
    for (size_t i = 0; i < 2; i++) {
        const rp_question same = {questions[i], {ada, strlen(ada)}};
        assert_int_equal(rp_answer_questions(model, &same, 1, NULL, &plain, &err), RP_OK);
        const rp_answer *got = rp_result_answers(result, i, &count),
                        *want = rp_result_answers(plain, 0, NULL);
        const rp_source *source = rp_result_sources(result, i, &count);
        assert_int_equal(count, 1);
        assert_true(fabsf(got->score - want->score) < 1e-4f * want->score);
        assert_int_equal(got->span.start, want->span.start + 2); /* behind two blanks */
        assert_string_equal(got->text, want->text);
        assert_string_equal(source->document, "ada");
        assert_int_equal(source->passage.start, 2);
        assert_string_equal(source->text.data, ada);
        rp_result_free(&plain);
    }
    assert_string_equal(rp_result_answers(result, 2, NULL)->text, "");
    assert_string_equal(rp_result_sources(result, 2, NULL)->document, "");
    assert_int_equal(rp_result_status(result, 3, NULL), RP_ERROR_TEXT);
    char *json = NULL;
    assert_int_equal(rp_result_json(result, 0, NULL, &json, NULL, &err), RP_OK);
    assert_non_null(strstr(json, "\"document\": \"ada\"}"));
    rp_string_free(&json);
    assert_int_equal(rp_result_json(result, 2, NULL, &json, NULL, &err), RP_OK);
    assert_string_equal(json,
                        "{\"score\": 0.0, \"start\": 0, \"end\": 0, \"answer\": \"\", \"document\": \"\"}");
    rp_string_free(&json);
    rp_result_free(&result);
    /* The passages of a question share one probability, and better found ones have more of it. */
    params = (rp_document_params){.passages = 4, .top_k = 1000000};
    double sums[2] = {0}, least = 0;
    for (int heavy = 0; heavy < 2; heavy++) {
        params.weight = heavy ? 5 : -1;
        assert_int_equal(rp_answer_documents(model, documents, questions, 1, &params, &result, &err), RP_OK);
        const rp_answer *answers = rp_result_answers(result, 0, &count);
        const rp_source *sources = rp_result_sources(result, 0, NULL);
        for (size_t k = 0; k < count; k++) {
            least += answers[k].score;
            if (!strcmp(sources[k].document, "ada")) sums[heavy] += answers[k].score;
            assert_true(k == 0 || answers[k].score <= answers[k - 1].score);
        }
        rp_result_free(&result);
    }
    assert_true(least > 0 && least < 2.0001 && sums[1] > sums[0]);
    params = (rp_document_params){.threshold = 0.999f};
    assert_int_equal(rp_answer_documents(model, documents, questions, 1, &params, &result, &err), RP_OK);
    assert_string_equal(rp_result_answers(result, 0, NULL)->text, "");
    rp_result_free(&result);
    params = (rp_document_params){.threshold = 2};
    assert_int_equal(rp_answer_documents(model, documents, questions, 1, &params, &result, &err),
                     RP_ERROR_ARGUMENT);
    assert_null(result);
}

static void check_command(const char *model) {
    static const char input[] =
        "{\"question\": \"Where was Ada born?\", \"n\": 1}\n{\"question\": \"badgers\"}\n"
        "{\"text\": \"x\"}\n";
    cli_run run = cli_text(
        CLI_ARGS("answer", "-m", model, "--documents", folder, "--index", index_file, "--keep"), input);
    assert_int_equal(run.status, 1);
    assert_int_equal(cli_line_count(&run), 3);
    assert_non_null(strstr(run.out, "{\"n\": 1, \"answer\": {\"score\": "));
    assert_non_null(strstr(run.out, "\"document\": \"ada\"}"));
    assert_non_null(strstr(run.out, "\"question\\\": missing"));
    cli_free(&run);
    run = cli_text(CLI_ARGS("answer", "-m", model, "--index", index_file, "Where was Ada born?"), "");
    assert_int_equal(run.status, 0);
    assert_non_null(strstr(run.out, "ada\n"));
    cli_free(&run);
    run = cli_text(CLI_ARGS("answer", "-m", model, "--documents", folder, "--csv"),
                   "n,question\n1,badgers\n2,Ada\n");
    assert_int_equal(run.status, 0);
    assert_non_null(strstr(run.out, "n,question,answer,score,document,error\n1,badgers,,0.0,,\n2,Ada,"));
    cli_free(&run);
    run = cli_text(CLI_ARGS("answer", "-m", model, "--passages", "3", "a", "b"), "");
    assert_int_equal(run.status, 2);
    cli_free(&run);
    run = cli_text(CLI_ARGS("answer", "-m", model, "--documents", "/no/such", "a"), "");
    assert_int_equal(run.status, 1);
    assert_non_null(strstr(run.err, "/no/such"));
    cli_free(&run);
}

static void test_reading(void **state) {
    task_case c;
    rp_model *model = NULL;
    assert_int_equal(fixture_open_device(state), 0);
    assert_true(task_case_open("answer", &c));
    assert_int_equal(rp_model_open(fixture_device, c.dir, NULL, &model, &err), RP_OK);
    write_file(
        "ada",
        "  In the year 1815 Ada was born in London. Her friend Zo\xc3\xab lived in Z\xc3\xbcrich, where "
        "the river meets the lake.");
    write_file("other", "The winter came to London, and the ship that was there was gone.");
    write_file("third", "A man in K\xc3\xb6ln found one of them in a book.");
    open_all();
    check_reading(model);
    check_command(c.dir);
    rp_model_close(&model);
    task_case_close(&c);
    fixture_close_device(state);
}

/* ---- by vectors ---- */

static size_t told, last_total;

static void take_progress(void *user, size_t done, size_t total) {
    (void)user;
    assert_true(done > told && done <= total && total >= last_total);
    told = done;
    last_total = total;
}

static void open_vectors(rp_model *embedder) {
    const rp_call call = {.progress = take_progress};
    const rp_documents_params params = {.index = index_file, .embedder = embedder, .call = &call};
    told = last_total = 0;
    rp_documents_close(&documents);
    if (rp_documents_open(folder, &params, &documents, &err)) print_error("%s\n", err.message);
    assert_non_null(documents);
    assert_true(told && told == last_total);
}

/* Vectors of another width that somebody made for these passages are refused. */
static void check_foreign_vectors(rp_model *embedder, const char *vectors) {
    static const float numbers[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
    const rp_index_params narrow = {.width = 3};
    rp_document list[3] = {{.text = RP_TEXT("")}, {.text = RP_TEXT("")}, {.text = RP_TEXT("")}};
    rp_index *index = NULL;
    rp_index_writer *writer = NULL;
    rp_document first;
    rp_passage p;
    size_t count;
    assert_int_equal(rp_index_open(NULL, vectors, NULL, &index, &err), RP_OK);
    assert_int_equal(rp_index_document(index, 0, &first, &err), RP_OK);
    list[0].id = first.id;
    assert_int_equal(rp_index_create(NULL, vectors, &narrow, &writer, &err), RP_OK);
    assert_int_equal(rp_index_add_vectors(writer, list, numbers, 3, NULL, &err), RP_OK);
    assert_int_equal(rp_index_finish(&writer, &err), RP_OK);
    rp_index_close(&index);
    const rp_documents_params params = {.index = index_file, .embedder = embedder};
    rp_documents_close(&documents);
    assert_int_equal(rp_documents_open(folder, &params, &documents, &err), RP_OK);
    assert_int_equal(rp_documents_find(documents, (rp_text)RP_TEXT("owl"), &p, 1, &count, &err),
                     RP_ERROR_FORMAT);
    assert_non_null(strstr(err.message, "index.vectors"));
}

static void test_vectors(void **state) {
    static const char *const texts[] = {"An owl hunts at night.", "A hare runs.", "The stork flies."};
    char vectors[FIXTURE_PATH_SIZE + 64];
    struct stat first, second, third;
    task_case c;
    rp_model *embedder = NULL;
    rp_passage p[3];
    assert_int_equal(fixture_open_device(state), 0);
    assert_true(task_case_open("embed_mean", &c));
    assert_int_equal(rp_model_open(fixture_device, c.dir, NULL, &embedder, &err), RP_OK);
    for (int i = 0; i < 3; i++) write_file((const char *[]){"0", "1", "2"}[i], texts[i]);
    open_vectors(embedder);
    snprintf(vectors, sizeof vectors, "%s.vectors", index_file);
    assert_int_equal(stat(vectors, &first), 0);
    for (size_t i = 0; i < 3;
         i++) { /* a text is nearest to itself, and all are found, whatever their words */
        assert_int_equal(find(texts[i], p, 3), 3);
        assert_int_equal(p[0].number, i);
        assert_true(fabsf(p[0].score - 1) < 1e-3f && p[1].score <= p[0].score);
    }
    assert_int_equal(find("zebra", p, 3), 3);
    open_vectors(embedder);
    assert_int_equal(stat(vectors, &second), 0);
    assert_true(first.st_ino == second.st_ino);
    write_file("1", "A fox sleeps in the sun.");
    open_vectors(embedder);
    assert_int_equal(stat(vectors, &third), 0);
    assert_true(third.st_ino != second.st_ino || third.st_mtim.tv_nsec != second.st_mtim.tv_nsec);
    find("A fox sleeps in the sun.", p, 1);
    assert_string_equal(p[0].document, "1");
    check_foreign_vectors(embedder, vectors);
    rp_documents_close(&documents);
    rp_model_close(&embedder); /* in a folder of the same name there may be another model */
    assert_true(fixture_write_text(c.dir, "sentence_bert_config.json", "{\"max_seq_length\": 4}"));
    assert_int_equal(rp_model_open(fixture_device, c.dir, NULL, &embedder, &err), RP_OK);
    open_vectors(embedder);
    assert_int_equal(stat(vectors, &first), 0);
    assert_true(first.st_ino != third.st_ino || first.st_mtim.tv_nsec != third.st_mtim.tv_nsec);
    rp_documents_close(&documents);
    assert_true(fixture_write_text(dir, "index.vectors", "no index"));
    const rp_documents_params params = {.index = index_file, .embedder = embedder},
                              none = {.embedder = embedder};
    assert_int_equal(rp_documents_open(folder, &params, &documents, &err), RP_ERROR_FORMAT);
    assert_non_null(strstr(err.message, "index.vectors"));
    assert_int_equal(rp_documents_open(folder, &none, &documents, &err), RP_ERROR_ARGUMENT);
    rp_model_close(&embedder);
    task_case_close(&c);
    fixture_close_device(state);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {TEST(test_a_folder),
                                       TEST(test_order),
                                       TEST(test_passages),
                                       TEST(test_index_is_reused),
                                       TEST(test_index_is_damaged),
                                       TEST(test_index_inside),
                                       TEST(test_long_questions),
                                       TEST(test_wrong_documents),
                                       TEST(test_lines_are_paragraphs),
                                       TEST(test_reading),
                                       TEST(test_vectors),
                                       TEST(test_words_of_many_scripts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
