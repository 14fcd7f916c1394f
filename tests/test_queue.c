/* Queues: whatever joins and leaves, and by whatever policy, each text has the bits that it has alone; a tick
 * is one submission, of what was recorded before; requests are bounded, end when they are to, and are
 * answered before a queue is closed. */
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
#include "model/model.h"
#include "reprise/reprise.h"
#include "support_queue.h"

static void nap(void) {
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

/* ---- what the driver is asked for ---- */

static struct {
    atomic_uint submits, recordings;
    PFN_vkQueueSubmit submit;
    PFN_vkBeginCommandBuffer begin;
    PFN_vkAllocateMemory allocate;
    PFN_vkAllocateDescriptorSets sets;
    PFN_vkUpdateDescriptorSets update;
} real;

static VKAPI_ATTR VkResult VKAPI_CALL submit(VkQueue queue, uint32_t count, const VkSubmitInfo *infos,
                                             VkFence fence) {
    real.submits += count;
    return real.submit(queue, count, infos, fence);
}

static VKAPI_ATTR VkResult VKAPI_CALL begin(VkCommandBuffer commands, const VkCommandBufferBeginInfo *info) {
    real.recordings++;
    return real.begin(commands, info);
}

static VKAPI_ATTR VkResult VKAPI_CALL allocate(VkDevice handle, const VkMemoryAllocateInfo *info,
                                               const VkAllocationCallbacks *callbacks, VkDeviceMemory *out) {
    real.recordings++;
    return real.allocate(handle, info, callbacks, out);
}

static VKAPI_ATTR VkResult VKAPI_CALL sets(VkDevice handle, const VkDescriptorSetAllocateInfo *info,
                                           VkDescriptorSet *out) {
    real.recordings++;
    return real.sets(handle, info, out);
}

static VKAPI_ATTR void VKAPI_CALL update(VkDevice handle, uint32_t count, const VkWriteDescriptorSet *writes,
                                         uint32_t copies, const VkCopyDescriptorSet *copied) {
    real.recordings++;
    real.update(handle, count, writes, copies, copied);
}

static void watch(rp_device *device) {
    rp_vk_table *vk = &device->vk;
    if (vk->vkQueueSubmit != submit) {
        real.submit = vk->vkQueueSubmit;
        real.begin = vk->vkBeginCommandBuffer;
        real.allocate = vk->vkAllocateMemory;
        real.sets = vk->vkAllocateDescriptorSets;
        real.update = vk->vkUpdateDescriptorSets;
    }
    vk->vkQueueSubmit = submit;
    vk->vkBeginCommandBuffer = begin;
    vk->vkAllocateMemory = allocate;
    vk->vkAllocateDescriptorSets = sets;
    vk->vkUpdateDescriptorSets = update;
    real.submits = real.recordings = 0;
}

/* ---- bits ---- */

/* Texts that come at random moments, and leave in another order, have the bits that each has alone; a tick is
 * one submission, and nothing is recorded or allocated for it. */
static void check_policy(rp_policy policy, uint32_t requests, uint32_t budget) {
    rp_queue_counts counts;
    rp_queue *queue = queue_open(&(rp_queue_params){
        .policy = policy, .capacity = 64, .budget = budget, .static_texts = 4, .static_seconds = 0.002});
    watch(queue_device);
    queue_crowd(queue, requests, 1 + policy);
    rp_queue_count(queue, &counts);
    assert_int_equal(counts.policy, policy);
    assert_int_equal(counts.ticks, real.submits);
    assert_int_equal(real.recordings, 0);
    assert_int_equal(counts.requests, requests);
    assert_int_equal(counts.inside, 0);
    assert_int_equal(counts.depth_texts, 0);
    assert_int_equal(counts.repeats, 0);
    assert_true(counts.texts >= requests);
    assert_true(counts.layer_tokens == counts.tokens * 12); /* each text went through each layer once */
    if (policy <= RP_POLICY_JOIN) assert_true(counts.joins > 0);
    assert_int_equal(rp_queue_close(&queue), RP_OK);
    assert_null(queue);
}

static void test_least_work(void **state) {
    (void)state;
    check_policy(RP_POLICY_LEAST_WORK, fixture_stride(5) == 1 ? 10000 : 1000, 0);
}

static void test_least_work_in_small_ticks(void **state) {
    (void)state;
    check_policy(RP_POLICY_LEAST_WORK, 40, 1);
}

static void test_join(void **state) {
    (void)state;
    check_policy(RP_POLICY_JOIN, 120, 0);
}

static void test_dynamic(void **state) {
    (void)state;
    check_policy(RP_POLICY_DYNAMIC, 120, 0);
}

static void test_static(void **state) {
    (void)state;
    check_policy(RP_POLICY_STATIC, 40, 0);
}

/* Runs on threads of the caller's own are among them, and each is told how it goes. */
typedef struct told {
    size_t done, total;
    unsigned calls;
} told;

static void progress(void *user, size_t done, size_t total) {
    told *t = user;
    assert_true(done > t->done || !t->calls);
    t->done = done;
    t->total = total;
    t->calls++;
}

static void test_run_beside_queue(void **state) {
    rp_sequence sequences[QUEUE_TEXTS];
    rp_run_times times;
    rp_error err = {0};
    told t = {0};
    const rp_call call = {.progress = progress, .user = &t};
    (void)state;
    rp_queue *queue = queue_open(NULL);
    for (int i = 0; i < QUEUE_TEXTS; i++) sequences[i] = queue_texts[i];
    for (int o = 0; o < QUEUE_OUTPUTS; o++) {
        const rp_run_params params = {.output = queue_outputs[o], .call = &call};
        size_t size = rp_model_output_size(queue_model, sequences, QUEUE_TEXTS, &params);
        float *out = rp_new_array(float, size);
        t = (told){0};
        assert_int_equal(rp_model_run(queue_model, sequences, QUEUE_TEXTS, &params, out, size, &times, &err),
                         RP_OK);
        assert_int_equal(t.done, QUEUE_TEXTS);
        assert_int_equal(t.total, QUEUE_TEXTS);
        assert_true(times.submissions > 0 && times.device > 0);
        for (size_t i = 0, at = 0; i < QUEUE_TEXTS; at += queue_size(i, o), i++)
            assert_memory_equal(out + at, queue_wanted(i, o), queue_size(i, o) * sizeof *out);
        free(out);
    }
    assert_int_equal(rp_model_run(queue_model, NULL, 0, NULL, NULL, 0, NULL, &err), RP_OK);
    assert_int_equal(rp_queue_close(&queue), RP_OK);
}

/* ---- bounds ---- */

static atomic_bool open_gate;
static atomic_uint answered, inside_gate;

static rp_status wait_at_gate(void *user, rp_model *model, rp_result **result, rp_error *err) {
    (void)user;
    (void)result;
    (void)err;
    assert_ptr_equal(model, queue_model);
    inside_gate++;
    while (!open_gate) nap();
    return RP_OK;
}

static void note(void *user, rp_status status, rp_result *result, const rp_error *err) {
    (void)user;
    assert_int_equal(status, RP_OK);
    assert_null(result);
    assert_string_equal(err->message, "");
    answered++;
}

static void test_bounded(void **state) {
    rp_error err = {0};
    rp_ticket *ticket = NULL;
    rp_queue_counts counts;
    const rp_request request = {.asked = RP_ASKED_CALL, .run = wait_at_gate, .done = note};
    rp_request waited = request;
    waited.done = NULL;
    (void)state;
    open_gate = false;
    answered = 0;
    rp_queue *queue = queue_open(&(rp_queue_params){.capacity = 3});
    assert_int_equal(rp_queue_ask(queue, &request, NULL, &err), RP_OK);
    assert_int_equal(rp_queue_ask(queue, &waited, &ticket, &err), RP_OK);
    assert_non_null(ticket);
    assert_int_equal(rp_queue_ask(queue, &request, NULL, &err), RP_OK);
    assert_int_equal(rp_queue_ask(queue, &request, NULL, &err), RP_ERROR_BUSY);
    assert_non_null(strstr(err.message, "3 requests"));
    rp_queue_count(queue, &counts);
    assert_int_equal(counts.refused, 1);
    assert_int_equal(counts.inside, 3);
    open_gate = true;
    assert_int_equal(rp_ticket_wait(&ticket, NULL, &err), RP_OK);
    assert_null(ticket);
    assert_int_equal(rp_queue_close(&queue), RP_OK);
    assert_int_equal(answered, 2);
}

/* What is inside when a queue is closed is answered. */
static void test_close_drains(void **state) {
    rp_error err = {0};
    rp_request request = {.asked = RP_ASKED_CALL, .run = wait_at_gate, .done = note};
    (void)state;
    open_gate = true;
    answered = 0;
    rp_queue *queue = queue_open(NULL);
    for (int i = 0; i < 50; i++) assert_int_equal(rp_queue_ask(queue, &request, NULL, &err), RP_OK);
    assert_int_equal(rp_queue_close(&queue), RP_OK);
    assert_int_equal(answered, 50);
    assert_int_equal(rp_queue_close(&queue), RP_OK);
    assert_int_equal(rp_queue_close(NULL), RP_OK);
}

/* What is inside a callback would wait for itself. */
static rp_queue *own_queue;

static void close_own(void *user, rp_status status, rp_result *result, const rp_error *err) {
    rp_ticket *ticket = user;
    (void)status;
    (void)result;
    (void)err;
    rp_queue *queue = own_queue;
    assert_int_equal(rp_queue_close(&queue), RP_ERROR_ARGUMENT);
    assert_ptr_equal(queue, own_queue);
    assert_int_equal(rp_ticket_wait(&ticket, NULL, NULL), RP_ERROR_ARGUMENT);
    answered++;
}

static void close_in_progress(void *user, size_t done, size_t total) {
    rp_queue *queue = own_queue;
    (void)user;
    assert_true(done <= total);
    assert_int_equal(rp_queue_close(&queue), RP_ERROR_ARGUMENT);
    assert_ptr_equal(queue, own_queue);
    answered++;
}

/* So would what is inside a callback of a call that goes the queue's way. */
static void test_closing_from_a_run(void **state) {
    float out[QUEUE_TEXTS * 48];
    rp_error err = {0};
    const rp_call call = {.progress = close_in_progress};
    const rp_run_params params = {.output = RP_OUTPUT_CLS, .call = &call};
    (void)state;
    answered = 0;
    own_queue = queue_open(NULL);
    assert_int_equal(
        rp_model_run(queue_model, queue_texts, QUEUE_TEXTS, &params, out, RP_COUNT(out), NULL, &err), RP_OK);
    assert_true(answered > 0);
    assert_int_equal(rp_queue_close(&own_queue), RP_OK);
}

static void test_closing_from_inside(void **state) {
    rp_error err = {0};
    rp_model *model = queue_model;
    rp_queue *second = NULL;
    rp_ticket *ticket = NULL;
    rp_request first = {.asked = RP_ASKED_CALL, .run = wait_at_gate}, request = first;
    (void)state;
    open_gate = true;
    answered = 0;
    own_queue = queue_open(NULL);
    assert_int_equal(rp_queue_ask(own_queue, &first, &ticket, &err), RP_OK);
    request.done = close_own;
    request.user = ticket;
    assert_int_equal(rp_queue_ask(own_queue, &request, NULL, &err), RP_OK);
    while (!answered) nap();
    assert_int_equal(rp_ticket_wait(&ticket, NULL, &err), RP_OK);
    assert_int_equal(rp_model_close(&model), RP_ERROR_ARGUMENT); /* it has a queue */
    assert_ptr_equal(model, queue_model);
    assert_int_equal(rp_queue_open(queue_model, NULL, &second, &err), RP_ERROR_ARGUMENT);
    assert_null(second);
    assert_non_null(strstr(err.message, "has a queue"));
    assert_int_equal(rp_queue_close(&own_queue), RP_OK);
}

/* ---- ends ---- */

static void *cancel_soon(void *user) {
    nap();
    rp_call_cancel(user);
    return NULL;
}

/* A long run ends when it is to, and those beside it have their bits. */
static void test_cancel_and_deadline(void **state) {
    enum { MANY = 4000 };
    static rp_sequence many[MANY];
    rp_error err = {0};
    (void)state;
    rp_queue *queue = queue_open(NULL);
    for (int i = 0; i < MANY; i++) many[i] = queue_texts[i % QUEUE_TEXTS];
    rp_call call = {0};
    const rp_run_params params = {.output = RP_OUTPUT_MEAN, .call = &call};
    size_t size = rp_model_output_size(queue_model, many, MANY, &params);
    float *out = rp_new_array(float, size);
    rp_request request = {.inputs = many, .count = MANY, .params = &params, .out = out, .capacity = size};
    rp_ticket *ticket = NULL;
    pthread_t thread;
    assert_int_equal(rp_queue_ask(queue, &request, &ticket, &err), RP_OK);
    assert_int_equal(pthread_create(&thread, NULL, cancel_soon, &call), 0);
    queue_crowd(queue, 20, 9);
    assert_int_equal(rp_ticket_wait(&ticket, NULL, &err), RP_ERROR_CANCELLED);
    pthread_join(thread, NULL);
    call = (rp_call){.deadline = rp_clock() + 0.01};
    assert_int_equal(rp_queue_ask(queue, &request, &ticket, &err), RP_OK);
    assert_int_equal(rp_ticket_wait(&ticket, NULL, &err), RP_ERROR_DEADLINE);
    queue_crowd(queue, 20, 10);
    assert_int_equal(rp_queue_close(&queue), RP_OK);
    free(out);
}

/* ---- wrong calls ---- */

static void test_wrong_calls(void **state) {
    rp_error err = {0};
    rp_queue *queue = NULL;
    rp_ticket *ticket = NULL;
    rp_sequence wrong = {.ids = (const int32_t[]){100000}, .count = 1};
    float out[64];
    (void)state;
    assert_int_equal(rp_queue_open(NULL, NULL, &queue, &err), RP_ERROR_ARGUMENT);
    assert_int_equal(rp_queue_open(queue_model, NULL, NULL, &err), RP_ERROR_ARGUMENT);
    const rp_queue_params wrong_params[] = {{.policy = (rp_policy)9},
                                            {.capacity = 1u << 20},
                                            {.static_seconds = -1},
                                            {.static_seconds = 1e9},
                                            {.reserved = {1}}};
    for (size_t i = 0; i < RP_COUNT(wrong_params); i++) {
        assert_int_equal(rp_queue_open(queue_model, &wrong_params[i], &queue, &err), RP_ERROR_ARGUMENT);
        assert_null(queue);
    }
    queue = queue_open(NULL);
    const rp_request wrong_requests[] = {
        {.asked = (rp_asked)99}, {.asked = RP_ASKED_CALL}, {.inputs = &wrong, .count = 1, .reserved = {1}}};
    for (size_t i = 0; i < RP_COUNT(wrong_requests); i++) {
        assert_int_equal(rp_queue_ask(queue, &wrong_requests[i], &ticket, &err), RP_ERROR_ARGUMENT);
        assert_null(ticket);
    }
    rp_request request = {.inputs = &wrong, .count = 1, .out = out, .capacity = 64};
    assert_int_equal(rp_queue_ask(queue, &request, NULL, &err), RP_ERROR_ARGUMENT); /* who gets the answer? */
    assert_int_equal(rp_queue_ask(NULL, &request, &ticket, &err), RP_ERROR_ARGUMENT);
    assert_int_equal(rp_queue_ask(queue, &request, &ticket, &err), RP_OK);
    assert_int_equal(rp_ticket_wait(&ticket, NULL, &err), RP_ERROR_TEXT);
    assert_non_null(strstr(err.message, "100000"));
    assert_int_equal(rp_ticket_wait(&ticket, NULL, &err), RP_ERROR_ARGUMENT);
    request.asked = RP_ASKED_TAG; /* the model has no such head, and no tokenizer */
    assert_int_equal(rp_queue_ask(queue, &request, &ticket, &err), RP_OK);
    rp_result *result = NULL;
    assert_true(rp_ticket_wait(&ticket, &result, &err) != RP_OK);
    assert_null(result);
    assert_int_equal(rp_queue_close(&queue), RP_OK);
}

/* ---- other models ---- */

/* Through a queue, one by one and all at once: the same bits as before, for every output and many rows. */
static void check_model(const char *name, rp_policy policy) {
    rp_error err = {0};
    golden g;
    rp_model *model = NULL;
    rp_queue *queue = NULL;
    rp_queue_counts counts;
    assert_true(golden_open(name, NULL, &g));
    if (rp_model_open(queue_device, g.dir, NULL, &model, &err)) fail_msg("%s", err.message);
    for (size_t o = 0; o < g.output_count; o++) {
        rp_output output = g.outputs[o].output;
        rp_run_params params = {.output = output};
        if (output == RP_OUTPUT_MASKED_LM) {
            params.rows = g.rows;
            params.row_count = g.row_count;
        }
        size_t size = rp_model_output_size(model, g.sequences, g.sequence_count, &params);
        float *want = rp_new_array(float, size), *got = rp_new_array(float, size);
        assert_int_equal(rp_model_run(model, g.sequences, g.sequence_count, &params, want, size, NULL, &err),
                         RP_OK);
        if (rp_queue_open(model, NULL, &queue, &err)) fail_msg("%s", err.message);
        if (rp_model_run(model, g.sequences, g.sequence_count, &params, got, size, NULL, &err))
            fail_msg("%s", err.message);
        rp_queue_count(queue, &counts);
        assert_int_equal(counts.policy, policy);
        assert_memory_equal(got, want, size * sizeof *got);
        assert_int_equal(rp_queue_close(&queue), RP_OK);
        free(want);
        free(got);
    }
    rp_model_close(&model);
    golden_close(&g);
}

static void test_other_models(void **state) {
    (void)state;
    check_model("types1", RP_POLICY_LEAST_WORK);
    check_model("head13_one", RP_POLICY_LEAST_WORK);
    check_model("bert_pretraining", RP_POLICY_DYNAMIC);
    check_model("groups_uneven", RP_POLICY_DYNAMIC);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_least_work),
        cmocka_unit_test(test_least_work_in_small_ticks),
        cmocka_unit_test(test_join),
        cmocka_unit_test(test_dynamic),
        cmocka_unit_test(test_static),
        cmocka_unit_test(test_run_beside_queue),
        cmocka_unit_test(test_bounded),
        cmocka_unit_test(test_close_drains),
        cmocka_unit_test(test_closing_from_inside),
        cmocka_unit_test(test_closing_from_a_run),
        cmocka_unit_test(test_cancel_and_deadline),
        cmocka_unit_test(test_wrong_calls),
        cmocka_unit_test(test_other_models),
    };
    return cmocka_run_group_tests(tests, queue_setup, queue_teardown);
}
