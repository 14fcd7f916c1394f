/* An index when memory runs out, for the n-th allocation of the library, for every n; and when the device is
 * lost: the call says so, and the next one on the same handle finds what it found before. */
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
#include "support_faults.h"
#include "support_fixture.h"
#include "wrap_alloc.h"

/* ---- what is done ---- */

enum { COUNT = 70, WIDTH = 5, QUERIES = 2, TOP = 7 };

static char dir[FIXTURE_PATH_SIZE], path[FIXTURE_PATH_SIZE + 16];
static float vectors[COUNT * WIDTH];
static rp_device *device;
static rp_index *searched;
static uint64_t found[QUERIES * TOP], wanted[QUERIES * TOP];

static rp_status make(rp_error *err) {
    rp_document documents[COUNT];
    rp_index_writer *writer = NULL;
    memset(documents, 0, sizeof documents);
    for (int i = 0; i < COUNT; i++) documents[i].text = RP_TEXT("some text");
    rp_status status = rp_index_create(NULL, path, &(rp_index_params){.width = WIDTH}, &writer, err);
    if (status) return status;
    status = rp_index_add_vectors(writer, documents, vectors, COUNT, NULL, err);
    if (status)
        rp_index_abandon(&writer);
    else
        status = rp_index_finish(&writer, err);
    return status;
}

static rp_status search(rp_error *err) {
    rp_result *result = NULL;
    rp_status status =
        rp_search_vectors(searched, vectors, QUERIES, &(rp_search_params){.top_k = TOP}, &result, err);
    for (size_t i = 0; !status && i < QUERIES; i++)
        for (size_t k = 0; k < TOP; k++) found[i * TOP + k] = rp_result_hits(result, i, NULL)[k].number;
    rp_result_free(&result);
    return status;
}

static rp_status open_and_search(rp_error *err) {
    rp_status status = rp_index_open(device, path, NULL, &searched, err);
    if (!status) status = search(err);
    rp_index_close(&searched);
    return status;
}

static void sweep(rp_status (*act)(rp_error *err)) {
    int n = 0;
    for (bool came = true; came; n++) {
        rp_error err = {0};
        alloc_begin(n);
        rp_status status = act(&err);
        came = alloc_end();
        if (status && status != RP_ERROR_HOST_MEMORY) print_error("%d: %s\n", n, err.message);
        assert_int_equal(status, came && status ? RP_ERROR_HOST_MEMORY : RP_OK);
        if (status) assert_true(strlen(err.message) > 10);
    }
    assert_true(n > 5);
}

static void test_memory_runs_out(void **state) {
    rp_error err = {0};
    (void)state;
    sweep(make);
    rp_device *kept = device;
    device = NULL;
    sweep(open_and_search);
    device = kept;
    assert_int_equal(open_and_search(&err), RP_OK); /* kernels are known then */
    sweep(open_and_search);
    assert_memory_equal(found, wanted, sizeof found);
}

/* ---- the device ---- */

static void test_the_device_is_lost(void **state) {
    static const char *const functions[] = {"vkQueueSubmit", "vkWaitForFences"};
    (void)state;
    rp_error err = {0};
    assert_int_equal(rp_index_open(device, path, NULL, &searched, &err), RP_OK);
    for (int i = 0; i < 4; i++) {
        fault_begin(functions[i % 2], 0, VK_ERROR_DEVICE_LOST);
        rp_status status = search(&err);
        assert_true(fault_end());
        assert_int_equal(status, RP_ERROR_DEVICE_LOST);
        assert_true(strlen(err.message) > 10);
        memset(found, 0, sizeof found);
        assert_int_equal(search(&err), RP_OK);
        assert_memory_equal(found, wanted, sizeof found);
    }
    assert_int_equal(rp_device_close(&device), RP_ERROR_ARGUMENT); /* the index is open on it */
    rp_index_close(&searched);
}

/* Memory that the host does not see, and a device with too little of any. */
static void test_other_memory(void **state) {
    rp_error err = {0};
    (void)state;
    fault_largest_allocation = 64;
    assert_int_equal(rp_index_open(device, path, NULL, &searched, &err), RP_ERROR_DEVICE_MEMORY);
    fault_largest_allocation = 0;
    assert_int_equal(open_and_search(&err), RP_OK);
    faults_hide_memory(device);
    memset(found, 0, sizeof found);
    assert_int_equal(open_and_search(&err), RP_OK);
    assert_memory_equal(found, wanted, sizeof found);
}

static int setup(void **state) {
    rp_error err = {0};
    (void)state;
    if (!faults_install() || rp_device_open(NULL, &device, &err) || !fixture_make_dir(dir)) return -1;
    snprintf(path, sizeof path, "%s/index", dir);
    for (int i = 0; i < COUNT * WIDTH; i++) vectors[i] = (float)((i * 7919 + i / 3 * 104729) % 1000 - 500);
    if (make(&err) || rp_index_open(NULL, path, NULL, &searched, &err) || search(&err)) return -1;
    memcpy(wanted, found, sizeof wanted);
    return rp_index_close(&searched);
}

static int teardown(void **state) {
    (void)state;
    rp_device_close(&device);
    fixture_remove_dir(dir);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_runs_out),
        cmocka_unit_test(test_the_device_is_lost),
        cmocka_unit_test(test_other_memory),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
