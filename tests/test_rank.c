/* Ranking texts: what sentence-transformers' CrossEncoder gives for one label, the label that counts among
 * several, and cosines where the model only embeds. And searching by texts, with the model that made the
 * index. */
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

#include "support_tasks.h"

static rp_error err;

static void ok(rp_status status) {
    if (status) print_error("%s\n", err.message);
    assert_int_equal(status, RP_OK);
}

static json_t *load_golden(rp_text documents[16], size_t *count) {
    json_t *root = json_load_file(SOURCE_DIR "/tests/goldens/tasks/rank.json", 0, NULL);
    assert_non_null(root);
    json_t *texts = json_object_get(root, "documents");
    *count = json_array_size(texts);
    assert_true(*count <= 16);
    for (size_t i = 0; i < *count; i++) documents[i] = task_text(json_array_get(texts, i));
    return root;
}

/* The order, and scores as near as those of other tasks. */
static void check_ranked(const rp_result *result, size_t i, const json_t *want) {
    size_t count;
    const rp_ranked *ranked = rp_result_ranked(result, i, &count);
    assert_int_equal(count, json_array_size(want));
    for (size_t k = 0; k < count; k++) {
        const json_t *item = json_array_get(want, k);
        double score = json_number_value(json_object_get(item, "score"));
        assert_int_equal(ranked[k].index, json_integer_value(json_object_get(item, "index")));
        assert_true(fabs(ranked[k].score - score) <= 2e-5 + 2e-4 * fabs(score));
    }
}

static void check_golden(const char *dir, rp_rank_score score, const char *key) {
    rp_text documents[16];
    rp_ranking rankings[8];
    rp_model *model = NULL;
    rp_result *result = NULL;
    size_t count;
    json_t *root = load_golden(documents, &count), *answers = json_object_get(root, "answers");
    for (size_t i = 0; i < json_array_size(answers); i++)
        rankings[i] =
            (rp_ranking){task_text(json_object_get(json_array_get(answers, i), "query")), documents, count};
    ok(rp_model_open(fixture_device, dir, NULL, &model, &err));
    ok(rp_rank(model, rankings, json_array_size(answers), &(rp_rank_params){.score = score}, &result, &err));
    for (size_t i = 0; i < json_array_size(answers); i++)
        check_ranked(result, i, json_object_get(json_array_get(answers, i), key));
    rp_result_free(&result);
    ok(rp_rank(model, rankings, 1, &(rp_rank_params){.top_k = 2}, &result, &err));
    rp_result_ranked(result, 0, &count);
    assert_int_equal(count, 2);
    rp_result_free(&result);
    rp_model_close(&model);
    json_decref(root);
}

static void test_one_label(void **state) {
    (void)state;
    task_case c;
    assert_true(task_case_open("classify_one", &c));
    check_golden(c.dir, RP_RANK_SCORE_DEFAULT, "sigmoid");
    check_golden(c.dir, RP_RANK_SCORE_RAW, "raw");
    json_t *config = json_object_get(c.root, "config"),
           *made = json_pack("{s:s}", "activation_fn", "torch.nn.modules.linear.Identity");
    json_object_set_new(config, "sentence_transformers", made);
    assert_true(task_case_write(&c));
    check_golden(c.dir, RP_RANK_SCORE_DEFAULT, "raw");
    json_object_set_new(config, "sbert_ce_default_activation_function",
                        json_string("torch.nn.modules.activation.Sigmoid")); /* which is asked first */
    assert_true(task_case_write(&c));
    check_golden(c.dir, RP_RANK_SCORE_DEFAULT, "sigmoid");
    task_case_close(&c);
}

/* Of the three labels of this case, bad, good and neutral, none is known; then one is. */
static void test_several_labels(void **state) {
    (void)state;
    const rp_text documents[] = {RP_TEXT("a warm and funny film"), RP_TEXT("dull.")};
    const rp_ranking ranking = {RP_TEXT("Ada"), documents, 2};
    const rp_input inputs[] = {{ranking.query, documents[0]}, {ranking.query, documents[1]}};
    rp_model *model = NULL;
    rp_result *result = NULL, *classes = NULL;
    task_case c;
    assert_true(task_case_open("classify", &c));
    ok(rp_model_open(fixture_device, c.dir, NULL, &model, &err));
    assert_int_equal(rp_rank(model, &ranking, 1, NULL, &result, &err), RP_ERROR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "entail"));
    rp_model_close(&model);
    json_t *names = json_object_get(json_object_get(c.root, "config"), "id2label");
    json_object_set_new(names, "1", json_string("Entailment"));
    assert_true(task_case_write(&c));
    ok(rp_model_open(fixture_device, c.dir, NULL, &model, &err));
    ok(rp_rank(model, &ranking, 1, NULL, &result, &err));
    ok(rp_classify(model, inputs, 2, NULL, &classes, &err));
    const rp_ranked *ranked = rp_result_ranked(result, 0, NULL);
    for (size_t k = 0; k < 2; k++) {
        const rp_label *label = rp_result_labels(classes, ranked[k].index, NULL);
        while (label->index != 1) label++;
        assert_true(fabs(ranked[k].score - label->score) < 1e-5);
    }
    assert_true(ranked[0].score >= ranked[1].score);
    rp_result_free(&result);
    rp_result_free(&classes);
    rp_model_close(&model);
    task_case_close(&c);
}

/* ---- models that embed ---- */

static double cosine(const float *a, const float *b, size_t width) {
    double ab = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < width; i++) ab += a[i] * b[i], aa += a[i] * a[i], bb += b[i] * b[i];
    return ab / sqrt(aa * bb);
}

static const rp_text texts[] = {RP_TEXT("a warm and funny film"), RP_TEXT("dull."), RP_TEXT("Ada Lovelace"),
                                RP_TEXT(""), RP_TEXT("1,000 reasons to stay at home")};
enum { TEXTS = sizeof texts / sizeof *texts };

static void test_cosines(void **state) {
    (void)state;
    const rp_ranking rankings[] = {
        {texts[0], texts, TEXTS}, {texts[2], texts, TEXTS}, {RP_TEXT("\xff"), texts, 1}, {texts[1], NULL, 0}};
    rp_model *model = NULL;
    rp_result *result = NULL, *vectors = NULL;
    size_t count, width;
    task_case c;
    assert_true(task_case_open("embed_mean", &c));
    ok(rp_model_open(fixture_device, c.dir, NULL, &model, &err));
    ok(rp_rank(model, rankings, 4, NULL, &result, &err));
    ok(rp_embed(model, texts, TEXTS, NULL, &vectors, &err));
    for (size_t i = 0; i < 2; i++) {
        const rp_ranked *ranked = rp_result_ranked(result, i, &count);
        const float *query = rp_result_vectors(vectors, 2 * i, NULL, &width);
        assert_int_equal(count, TEXTS);
        assert_int_equal(ranked[0].index, 2 * i);
        for (size_t k = 0; k < count; k++) {
            const float *own = rp_result_vectors(vectors, ranked[k].index, NULL, NULL);
            assert_true(fabs(ranked[k].score - cosine(query, own, width)) < 1e-5);
            if (k) assert_true(ranked[k].score <= ranked[k - 1].score);
        }
    }
    assert_int_equal(rp_result_status(result, 2, NULL), RP_ERROR_TEXT);
    assert_int_equal(rp_result_status(result, 3, NULL), RP_OK);
    rp_result_free(&result);
    rp_result_free(&vectors);
    rp_model_close(&model);
    task_case_close(&c);
}

static void search(rp_index *index, rp_model *model) {
    rp_result *result = NULL, *vectors = NULL;
    size_t count, width;
    ok(rp_search(index, model, texts, TEXTS, &(rp_search_params){.top_k = 3}, &result, &err));
    ok(rp_embed(model, texts, TEXTS, NULL, &vectors, &err));
    for (size_t i = 0; i < TEXTS; i++) {
        const rp_hit *hits = rp_result_hits(result, i, &count);
        const float *query = rp_result_vectors(vectors, i, NULL, &width);
        assert_int_equal(count, 3);
        assert_int_equal(hits[0].number, i);
        assert_int_equal(hits[0].text.size, texts[i].size);
        for (size_t k = 0; k < count; k++) {
            const float *own = rp_result_vectors(vectors, (size_t)hits[k].number, NULL, NULL);
            assert_true(fabs(hits[k].score - cosine(query, own, width)) < 1e-3); /* of float16 */
        }
    }
    rp_result_free(&result);
    rp_result_free(&vectors);
}

static void test_searching_by_texts(void **state) {
    (void)state;
    char dir[FIXTURE_PATH_SIZE], path[FIXTURE_PATH_SIZE + 16];
    rp_document documents[TEXTS];
    rp_index_writer *writer = NULL;
    rp_index *index = NULL;
    rp_model *model = NULL, *other = NULL;
    rp_result *result = NULL;
    size_t bad;
    task_case c, d;
    memset(documents, 0, sizeof documents);
    assert_true(fixture_make_dir(dir));
    snprintf(path, sizeof path, "%s/index", dir);
    assert_true(task_case_open("embed_mean", &c) && task_case_open("embed_cls", &d));
    ok(rp_model_open(fixture_device, c.dir, NULL, &model, &err));
    ok(rp_model_open(fixture_device, d.dir, NULL, &other, &err));
    assert_int_equal(
        rp_index_create(model, path, &(rp_index_params){.prompt_name = "none such"}, &writer, &err),
        RP_ERROR_ARGUMENT);
    assert_int_equal(rp_index_create(model, path, &(rp_index_params){.width = 3}, &writer, &err),
                     RP_ERROR_ARGUMENT);
    assert_int_equal(
        rp_index_create(model, path, &(rp_index_params){.pooling = RP_POOLING_NONE}, &writer, &err),
        RP_ERROR_ARGUMENT);
    ok(rp_index_create(model, path, NULL, &writer, &err));
    for (size_t i = 0; i < TEXTS; i++) documents[i].text = texts[i];
    documents[2].text = RP_TEXT("\xff");
    assert_int_equal(rp_index_add(writer, documents, TEXTS, &bad, &err), RP_ERROR_TEXT);
    assert_int_equal(bad, 2);
    documents[2].text = texts[2];
    ok(rp_index_add(writer, documents, 2, &bad, &err));
    ok(rp_index_add(writer, documents + 2, TEXTS - 2, &bad, &err));
    ok(rp_index_finish(&writer, &err));
    for (int device = 0; device < 2; device++) {
        ok(rp_index_open(device ? fixture_device : NULL, path, NULL, &index, &err));
        search(index, model);
        assert_int_equal(rp_search(index, other, texts, 1, NULL, &result, &err), RP_ERROR_ARGUMENT);
        assert_non_null(strstr(err.message, "another"));
        rp_call call = {.cancel = 1};
        assert_int_equal(rp_search(index, model, texts, 1, &(rp_search_params){.call = &call}, &result, &err),
                         RP_ERROR_CANCELLED);
        assert_null(result);
        ok(rp_index_close(&index));
    }
    rp_model_close(&model);
    rp_model_close(&other);
    task_case_close(&c);
    task_case_close(&d);
    fixture_remove_dir(dir);
}

/* A folder's name may be no UTF-8; what an index keeps of it is. */
static void test_names_of_models(void **state) {
    (void)state;
    char dir[FIXTURE_PATH_SIZE], path[FIXTURE_PATH_SIZE + 16], named[FIXTURE_PATH_SIZE + 16];
    const rp_document document = {.text = texts[0]};
    rp_index_writer *writer = NULL;
    rp_index *index = NULL;
    rp_model *model = NULL;
    task_case c;
    assert_true(fixture_make_dir(dir));
    assert_true(task_case_open("embed_mean", &c));
    snprintf(path, sizeof path, "%s/index", dir);
    snprintf(named, sizeof named, "%s/\xe9t\xe9", dir);
    assert_int_equal(symlink(c.dir, named), 0);
    ok(rp_model_open(fixture_device, named, NULL, &model, &err));
    ok(rp_index_create(model, path, NULL, &writer, &err));
    ok(rp_index_add(writer, &document, 1, NULL, &err));
    ok(rp_index_finish(&writer, &err));
    ok(rp_index_open(NULL, path, NULL, &index, &err));
    assert_string_equal(rp_index_get_info(index)->model, "?t?");
    ok(rp_index_close(&index));
    rp_model_close(&model);
    unlink(named);
    task_case_close(&c);
    fixture_remove_dir(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_label),       cmocka_unit_test(test_several_labels),
        cmocka_unit_test(test_cosines),         cmocka_unit_test(test_searching_by_texts),
        cmocka_unit_test(test_names_of_models),
    };
    return cmocka_run_group_tests(tests, fixture_open_device, fixture_close_device);
}
