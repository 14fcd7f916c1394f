/* Calls side by side on one model: they take turns batch by batch in the order in which they came, and can be
 * ended from outside. What comes before what is told by the threads that submit, never by a clock: the
 * machine may be busy.
 */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "support_callers.h"

enum { THREADS = 8 };

/* ---- who submits ---- */

static struct {
    pthread_mutex_t lock;
    pthread_t threads[1024];
    size_t count;
    PFN_vkQueueSubmit real;
} seen = {.lock = PTHREAD_MUTEX_INITIALIZER};

static VKAPI_ATTR VkResult VKAPI_CALL submit(VkQueue queue, uint32_t count, const VkSubmitInfo *infos,
                                             VkFence fence) {
    pthread_mutex_lock(&seen.lock);
    if (seen.count < RP_COUNT(seen.threads)) seen.threads[seen.count++] = pthread_self();
    pthread_mutex_unlock(&seen.lock);
    return seen.real(queue, count, infos, fence);
}

static void watch(void) {
    if (device->vk.vkQueueSubmit != submit) seen.real = device->vk.vkQueueSubmit;
    device->vk.vkQueueSubmit = submit;
    seen.count = 0;
}

/* ---- turns ---- */

/* A short call beside a long one, both in line: the long one's first batch, the short call, and the rest. */
static void test_short_beside_long(void **state) {
    caller long_one = {.count = LONG}, short_one = {.first = 3, .count = 1};
    (void)state;
    watch();
    take_turn();
    caller_begin(&long_one);
    wait_for_line(1);
    caller_begin(&short_one);
    wait_for_line(2);
    give_turn();
    caller_end(&short_one);
    caller_end(&long_one);
    caller_check(&short_one);
    caller_check(&long_one);
    assert_int_equal(seen.count, LONG + 1);
    for (size_t i = 0; i < seen.count; i++)
        assert_true(pthread_equal(seen.threads[i], i == 1 ? short_one.thread : long_one.thread));
}

static struct {
    pthread_mutex_t lock;
    unsigned order[4 * THREADS];
    size_t count;
} served = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void *take_turns(void *user) {
    if (rp_turns_take(&model->turns, NULL)) return NULL;
    pthread_mutex_lock(&served.lock);
    served.order[served.count++] = *(unsigned *)user;
    pthread_mutex_unlock(&served.lock);
    give_turn();
    return NULL;
}

/* Whoever waits longest is next. */
static void test_first_come_first_served(void **state) {
    pthread_t threads[THREADS];
    unsigned numbers[THREADS];
    (void)state;
    served.count = 0;
    take_turn();
    for (unsigned i = 0; i < THREADS; i++) {
        numbers[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, take_turns, &numbers[i]), 0);
        wait_for_line(i + 1);
    }
    give_turn();
    for (unsigned i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    assert_int_equal(served.count, THREADS);
    for (unsigned i = 0; i < THREADS; i++) assert_int_equal(served.order[i], i);
    assert_false(model->turns.taken);
}

/* Long calls of many threads, all in line before the first batch: each has a batch in each round. */
static void test_equal_calls_advance_together(void **state) {
    static caller callers[THREADS];
    size_t done[THREADS] = {0};
    (void)state;
    watch();
    take_turn();
    for (size_t i = 0; i < THREADS; i++) {
        callers[i] = (caller){.count = LONG};
        caller_begin(&callers[i]);
        wait_for_line(i + 1);
    }
    give_turn();
    for (size_t i = 0; i < THREADS; i++) caller_end(&callers[i]);
    for (size_t i = 0; i < THREADS; i++) caller_check(&callers[i]);
    assert_int_equal(seen.count, THREADS * LONG);
    for (size_t n = 0; n < THREADS; n++) /* the first round, whatever the machine does */
        assert_true(pthread_equal(seen.threads[n], callers[n].thread));
    for (size_t n = 0; n < seen.count; n++)
        for (size_t i = 0; i < THREADS; i++)
            done[i] += pthread_equal(seen.threads[n], callers[i].thread) != 0;
    for (size_t i = 0; i < THREADS; i++) assert_int_equal(done[i], LONG);
}

/* ---- ending a call ---- */

/* While it waits for its turn: it goes without one, and those behind it are not held up. */
static void test_cancel_in_line(void **state) {
    caller first = {.count = 1}, second = {.first = 1, .count = 2}, third = {.first = 2, .count = 1};
    (void)state;
    take_turn();
    caller_begin(&first);
    wait_for_line(1);
    caller_begin(&second);
    wait_for_line(2);
    caller_begin(&third);
    wait_for_line(3);
    rp_call_cancel(&second.call);
    caller_end(&second); /* the turn is still taken */
    assert_int_equal(second.status, RP_ERROR_CANCELLED);
    assert_int_equal(second.err.status, RP_ERROR_CANCELLED);
    assert_non_null(strstr(second.err.message, "cancel"));
    wait_for_line(2);
    rp_call_cancel(&third.call); /* the last of the line */
    caller_end(&third);
    assert_int_equal(third.status, RP_ERROR_CANCELLED);
    wait_for_line(1);
    caller_begin(&second);
    caller_end(&second); /* it would not even begin */
    assert_int_equal(second.status, RP_ERROR_CANCELLED);
    second.call.cancel = 0;
    caller_begin(&second);
    wait_for_line(2);
    give_turn();
    caller_end(&first);
    caller_end(&second);
    caller_check(&first);
    caller_check(&second);
}

static void test_deadline_in_line(void **state) {
    caller late = {.count = 1};
    (void)state;
    take_turn();
    late.call.deadline = rp_clock() + 0.05;
    caller_begin(&late);
    caller_end(&late);
    give_turn();
    assert_int_equal(late.status, RP_ERROR_DEADLINE);
    assert_non_null(strstr(late.err.message, "deadline"));
    assert_true(rp_clock() >= late.call.deadline);
    late.call.deadline = rp_clock() + 3600;
    late.status = caller_run(&late);
    caller_check(&late);
}

static void cancel_at_once(void *user, size_t done, size_t total) {
    (void)done, (void)total;
    rp_call_cancel(user);
}

/* After a batch: the next one is not begun. */
static void test_cancel_between_batches(void **state) {
    caller c = {.count = LONG};
    (void)state;
    c.call.progress = cancel_at_once;
    c.call.user = &c.call;
    watch();
    c.status = caller_run(&c);
    assert_int_equal(c.status, RP_ERROR_CANCELLED);
    assert_int_equal(seen.count, 1);
    assert_false(model->turns.taken);
}

static void test_wrong_calls(void **state) {
    static const double wrong[] = {NAN, INFINITY, 1.8e9 /* seconds since 1970 */};
    (void)state;
    watch();
    for (size_t i = 0; i < RP_COUNT(wrong); i++) {
        caller c = {.count = 1, .call = {.deadline = wrong[i]}};
        assert_int_equal(caller_run(&c), RP_ERROR_ARGUMENT);
        assert_non_null(strstr(c.err.message, "rp_clock"));
    }
    for (size_t i = 0; i < 4; i++) {
        caller c = {.count = 1};
        c.call.reserved[i] = 1;
        assert_int_equal(caller_run(&c), RP_ERROR_ARGUMENT);
    }
    caller past = {.count = 1, .call = {.deadline = -1}};
    assert_int_equal(caller_run(&past), RP_ERROR_DEADLINE);
    assert_int_equal(seen.count, 0);
    rp_call_cancel(NULL);
}

/* Every task, also when nothing was asked of it yet, and with a device and a model that are opened. */
static void test_every_call_ends(void **state) {
    const rp_text text = {"a text", 6};
    const rp_input input = {.text = text, .pair = text};
    const rp_question question = {text, text};
    const rp_choice choice = {text, &text, 1};
    rp_error err;
    rp_call gone = {0};
    rp_model *other = NULL;
    rp_device *none = NULL;
    (void)state;
    rp_call_cancel(&gone);
    const rp_model_params opening = {.call = &gone};
    assert_int_equal(rp_model_open(device, g.dir, &opening, &other, &err), RP_ERROR_CANCELLED);
    assert_null(other);
    assert_int_equal(rp_device_open(&(rp_device_params){.call = &gone}, &none, &err), RP_ERROR_CANCELLED);
    assert_null(none);
    assert_int_equal(rp_model_open(device, SOURCE_DIR "/tools/models/sentiment", NULL, &other, &err), RP_OK);
    const rp_call calls[] = {gone, {.deadline = rp_clock() - 1}};
    for (size_t i = 0; i < RP_COUNT(calls); i++) {
        const rp_call *c = &calls[i];
        rp_result *r = (rp_result *)&gone;
        rp_status wants = i ? RP_ERROR_DEADLINE : RP_ERROR_CANCELLED;
#define ENDS(call)                       \
    assert_int_equal(call, wants);       \
    assert_int_equal(err.status, wants); \
    assert_null(r)
        ENDS(rp_classify(other, &input, 1, &(rp_classify_params){.call = c}, &r, &err));
        ENDS(rp_fill_mask(other, &text, 1, &(rp_fill_params){.call = c}, &r, &err));
        ENDS(rp_tag(other, &text, 1, &(rp_tag_params){.call = c}, &r, &err));
        ENDS(rp_answer_questions(other, &question, 1, &(rp_answer_params){.call = c}, &r, &err));
        ENDS(rp_embed(other, &text, 1, &(rp_embed_params){.call = c}, &r, &err));
        ENDS(rp_coherence(other, &input, 1, &(rp_coherence_params){.call = c}, &r, &err));
        ENDS(rp_choose(other, &choice, 1, &(rp_choose_params){.call = c}, &r, &err));
    }
    rp_model_close(&other);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_short_beside_long),
        cmocka_unit_test(test_first_come_first_served),
        cmocka_unit_test(test_equal_calls_advance_together),
        cmocka_unit_test(test_cancel_in_line),
        cmocka_unit_test(test_deadline_in_line),
        cmocka_unit_test(test_cancel_between_batches),
        cmocka_unit_test(test_wrong_calls),
        cmocka_unit_test(test_every_call_ends),
    };
    return cmocka_run_group_tests(tests, callers_setup, callers_teardown);
}
