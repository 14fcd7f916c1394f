/* Metrics against those of scikit-learn, SciPy, seqeval and transformers
 * (tests/goldens/make_metric_goldens.py). REPRISE_METRIC_GOLDENS names another file of that script. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "eval/metrics.h"

static json_t *root;

static int load(void **state) {
    const char *other = getenv("REPRISE_METRIC_GOLDENS");
    json_error_t error;
    (void)state;
    root = json_load_file(other ? other : TESTS_DIR "/goldens/metrics/metrics.json", 0, &error);
    if (!root) fprintf(stderr, "%s\n", error.text);
    return root ? 0 : -1;
}

static int unload(void **state) {
    (void)state;
    json_decref(root);
    return 0;
}

/* `got` is the number `key` of the case; null there is NaN. */
static void assert_metric(const json_t *golden, const char *key, double got) {
    const json_t *want = json_object_get(golden, key);
    assert_non_null(want);
    if (json_is_null(want) ? isnan(got) : fabs(got - json_number_value(want)) <= 1e-6) return;
    char *text = json_dumps(golden, 0);
    fail_msg("%s is %.9g: %s", key, got, text);
}

static uint32_t index_at(const json_t *list, size_t i) {
    return (uint32_t)json_integer_value(json_array_get(list, i));
}

static void test_classes(void **state) {
    size_t i;
    json_t *golden;
    (void)state;
    json_array_foreach(json_object_get(root, "classes"), i, golden) {
        const json_t *right = json_object_get(golden, "right"), *said = json_object_get(golden, "said");
        rp_classes c;
        assert_int_equal(
            rp_classes_init(&c, (uint32_t)json_integer_value(json_object_get(golden, "count")), NULL), RP_OK);
        for (size_t k = 0; k < json_array_size(right); k++)
            rp_classes_add(&c, index_at(right, k), index_at(said, k));
        assert_metric(golden, "accuracy", rp_accuracy(&c));
        assert_metric(golden, "f1", rp_f1(&c, 1));
        assert_metric(golden, "f1_macro", rp_f1_macro(&c, false));
        assert_metric(golden, "matthews", rp_matthews(&c));
        rp_classes_finish(&c);
    }
    assert_true(i >= 40);
}

static void test_many_labels(void **state) {
    size_t i;
    json_t *golden;
    (void)state;
    json_array_foreach(json_object_get(root, "many"), i, golden) {
        const json_t *right = json_object_get(golden, "right"), *said = json_object_get(golden, "said");
        uint32_t count = (uint32_t)json_integer_value(json_object_get(golden, "count"));
        bool flags[2][8];
        rp_classes c;
        assert_int_equal(rp_classes_init(&c, count, NULL), RP_OK);
        for (size_t k = 0; k < json_array_size(right); k++) {
            for (uint32_t l = 0; l < count; l++) {
                flags[0][l] = index_at(json_array_get(right, k), l);
                flags[1][l] = index_at(json_array_get(said, k), l);
            }
            rp_classes_add_many(&c, flags[0], flags[1]);
        }
        assert_metric(golden, "accuracy", rp_accuracy(&c));
        assert_metric(golden, "f1_micro", rp_f1_micro(&c));
        assert_metric(golden, "f1_macro", rp_f1_macro(&c, true));
        rp_classes_finish(&c);
    }
    assert_true(i >= 40);
}

static void test_numbers(void **state) {
    size_t i;
    json_t *golden;
    (void)state;
    json_array_foreach(json_object_get(root, "numbers"), i, golden) {
        const json_t *right = json_object_get(golden, "right"), *said = json_object_get(golden, "said");
        rp_numbers n = {0};
        double spearman;
        for (size_t k = 0; k < json_array_size(right); k++)
            assert_int_equal(rp_numbers_add(&n, json_number_value(json_array_get(right, k)),
                                            json_number_value(json_array_get(said, k)), NULL),
                             RP_OK);
        assert_metric(golden, "mse", rp_mean_square(&n));
        assert_metric(golden, "pearson", rp_pearson(n.right, n.said, n.count));
        assert_int_equal(rp_spearman(n.right, n.said, n.count, &spearman, NULL), RP_OK);
        assert_metric(golden, "spearman", spearman);
        free(n.right);
        free(n.said);
    }
    assert_true(i >= 40);
}

static double share(uint64_t part, uint64_t whole) {
    return whole ? (double)part / (double)whole : 0;
}

/* The report of seqeval: type, precision, recall, f1, support. */
static void assert_types(const json_t *want, const rp_entities *e) {
    assert_int_equal(e->type_count, json_array_size(want));
    for (size_t i = 0; i < e->type_count; i++) {
        const json_t *line = json_array_get(want, i);
        const rp_entity_type *t = &e->types[i];
        const double got[] = {share(t->both, t->said), share(t->both, t->right),
                              share(2 * t->both, t->said + t->right), (double)t->right};
        assert_string_equal(t->name, json_string_value(json_array_get(line, 0)));
        for (size_t k = 0; k < 4; k++)
            assert_true(fabs(got[k] - json_number_value(json_array_get(line, k + 1))) < 1e-9);
    }
}

static void test_tags(void **state) {
    size_t i, s, types = 0;
    json_t *golden, *row;
    (void)state;
    json_array_foreach(json_object_get(root, "tags"), i, golden) {
        rp_entity_type room[32];
        rp_entities e = {.types = room, .type_room = 32};
        json_array_foreach(json_object_get(golden, "right"), s, row) {
            const json_t *said = json_array_get(json_object_get(golden, "said"), s);
            for (size_t k = 0; k < json_array_size(row); k++)
                rp_entities_add(&e, json_string_value(json_array_get(row, k)),
                                json_string_value(json_array_get(said, k)));
            rp_entities_end(&e);
        }
        assert_metric(golden, "precision", share(e.both, e.said_count));
        assert_metric(golden, "recall", share(e.both, e.right_count));
        assert_metric(golden, "f1", share(2 * e.both, e.said_count + e.right_count));
        assert_metric(golden, "accuracy", share(e.correct, e.tokens));
        assert_types(json_object_get(golden, "types"), &e);
        types += e.type_count;
    }
    assert_true(types > 60);
    assert_true(i >= 40);
}

static rp_text text_of(const json_t *string) {
    return (rp_text){json_string_value(string), json_string_length(string)};
}

static void assert_metrics(const json_t *golden, const char *key, const rp_answers *a, bool none) {
    const json_t *want = json_object_get(golden, key);
    rp_metrics got = {0};
    assert_int_equal(rp_answers_metrics(a, none, &got, NULL), RP_OK);
    assert_int_equal(got.count, json_object_size(want));
    for (size_t k = 0; k < got.count; k++) {
        const json_t *value = json_object_get(want, got.items[k].name);
        assert_non_null(value);
        if (fabs(got.items[k].value - json_number_value(value)) <= 1e-6) continue;
        char *text = json_dumps(golden, 0);
        fail_msg("%s is %.9g: %s", got.items[k].name, got.items[k].value, text);
    }
}

static void test_answers(void **state) {
    size_t i, q;
    json_t *golden, *question;
    (void)state;
    json_array_foreach(json_object_get(root, "answers"), i, golden) {
        rp_answers a = {0};
        json_array_foreach(json_object_get(golden, "questions"), q, question) {
            const json_t *list = json_object_get(question, "answers");
            rp_text right[8];
            for (size_t k = 0; k < json_array_size(list); k++) right[k] = text_of(json_array_get(list, k));
            assert_int_equal(rp_answers_add(&a, right, json_array_size(list),
                                            text_of(json_object_get(question, "best")),
                                            json_number_value(json_object_get(question, "none")), NULL),
                             RP_OK);
        }
        assert_metrics(golden, "one", &a, false);
        assert_metrics(golden, "two", &a, true);
        free(a.items);
    }
    assert_true(i >= 40);
}

/* No rows, and what has no value. */
static void test_nothing(void **state) {
    rp_classes c;
    rp_metrics metrics = {0};
    const double one[] = {1};
    double spearman;
    (void)state;
    assert_int_equal(rp_classes_init(&c, 2, NULL), RP_OK);
    assert_true(rp_accuracy(&c) == 0 && rp_f1(&c, 1) == 0 && rp_f1_macro(&c, false) == 0 &&
                rp_matthews(&c) == 0);
    rp_classes_finish(&c);
    assert_true(isnan(rp_pearson(one, one, 1)) && isnan(rp_mean_square(&(rp_numbers){0})));
    assert_int_equal(rp_spearman(one, one, 1, &spearman, NULL), RP_OK);
    assert_true(isnan(spearman));
    assert_int_equal(rp_answers_metrics(&(rp_answers){0}, true, &metrics, NULL), RP_OK);
    assert_true(metrics.count == 2 && isnan(metrics.items[0].value));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classes), cmocka_unit_test(test_many_labels), cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_tags),    cmocka_unit_test(test_answers),     cmocka_unit_test(test_nothing),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
