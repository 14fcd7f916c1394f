/* Systems without what the library needs, as its users meet them: no Vulkan loader, an old one, no driver, no
 * device, devices that cannot be used; and requests for devices that are not there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "reprise/reprise.h"
#include "support_cli.h"
#include "support_fixture.h"

#define TEXT "a warm and funny film"

static bool says(const char *text, const char *part) {
    if (!strstr(text, part)) print_error("\"%s\" is not in: %s\n", part, text);
    return strstr(text, part);
}

/* The command fails to list devices and to answer, and says `reason`; what needs no device works. */
static void check_system_without_device(const char *reason) {
    cli_run list = cli(CLI_ARGS("devices"), NULL, 0), answer = cli(CLI_ARGS("classify", TEXT), NULL, 0);
    cli_run ids = cli(CLI_ARGS("tokenize", "--json", TEXT), NULL, 0);
    assert_int_equal(list.status, 1);
    assert_true(says(list.err, reason));
    assert_int_equal(list.out_size, 0);
    assert_int_equal(answer.status, 1);
    assert_true(says(answer.err, reason));
    assert_int_equal(ids.status, 0);
    assert_true(says(ids.out, "input_ids"));
    cli_free(&list);
    cli_free(&answer);
    cli_free(&ids);
}

/* ---- the loader ---- */

static char folder[FIXTURE_PATH_SIZE];

/* What the dynamic linker finds first under the loader's names is no library. */
static void test_no_loader(void **state) {
    (void)state;
    assert_true(fixture_make_dir(folder));
    assert_true(fixture_write_text(folder, "libvulkan.so.1", "not a library\n"));
    assert_true(fixture_write_text(folder, "libvulkan.so", "not a library\n"));
    setenv("LD_LIBRARY_PATH", folder, 1);
    check_system_without_device("Vulkan is not installed (there is no libvulkan.so.1); install it");
    check_system_without_device("apt install libvulkan1 mesa-vulkan-drivers");
}

static void play(const char *system) {
    setenv("LD_LIBRARY_PATH", FAKE_VULKAN_DIR, 1);
    setenv("FAKE_VULKAN", system, 1);
}

static void test_old_loader(void **state) {
    (void)state;
    play("old");
    check_system_without_device("Vulkan is older than 1.1; update it");
}

static void test_loader_that_fails(void **state) {
    (void)state;
    play("broken");
    check_system_without_device("reported an error (VK_ERROR_INITIALIZATION_FAILED in vkCreateInstance");
}

/* ---- drivers ---- */

static void use_driver(const char *manifest) {
    setenv("VK_DRIVER_FILES", manifest, 1);
    setenv("VK_ICD_FILENAMES", manifest, 1);
}

static void test_no_driver(void **state) {
    (void)state;
    use_driver("/nonexistent/driver.json");
    check_system_without_device("install the driver of your GPU");
    check_system_without_device("apt install mesa-vulkan-drivers");
}

/* A manifest that names a library that is not there: a driver that was removed halfway. */
static void test_half_a_driver(void **state) {
    char path[2 * FIXTURE_PATH_SIZE];
    (void)state;
    assert_true(fixture_make_dir(folder));
    assert_true(fixture_write_text(
        folder, "driver.json",
        "{\"file_format_version\": \"1.0.0\","
        " \"ICD\": {\"library_path\": \"/nonexistent/libdriver.so\", \"api_version\": \"1.3.0\"}}"));
    snprintf(path, sizeof path, "%s/driver.json", folder);
    use_driver(path);
    check_system_without_device("install the driver of your GPU");
}

static void test_no_device(void **state) {
    (void)state;
    play("empty");
    check_system_without_device("no GPU was found that Vulkan can use; install the driver of your GPU");
}

/* ---- devices that cannot be used ---- */

static void test_unusable_devices_are_listed(void **state) {
    static const char *const reasons[] = {"its driver offers Vulkan 1.0 and 1.1 is needed: update the driver",
                                          "it has no compute queue",
                                          "it offers 4 storage buffers in a shader and 8 are needed"};
    (void)state;
    play("devices");
    cli_run json = cli(CLI_ARGS("devices", "--json"), NULL, 0), people = cli(CLI_ARGS("devices"), NULL, 0);
    assert_int_equal(json.status, 0);
    assert_int_equal(people.status, 0);
    assert_int_equal(cli_line_count(&json), 4);
    for (size_t i = 0; i < 4; i++) {
        json_t *device = cli_json(&json, i);
        assert_int_equal(json_integer_value(json_object_get(device, "index")), i);
        assert_int_equal(json_is_true(json_object_get(device, "usable")), i == 3);
        const char *reason = json_string_value(json_object_get(device, "reason"));
        assert_string_equal(reason, i < 3 ? reasons[i] : "");
        if (i < 3) assert_true(says(people.out, reason));
        json_decref(device);
    }
    cli_free(&json);
    cli_free(&people);
}

static void check_answer_fails(const char *device, const char *reason) {
    cli_run run = cli(CLI_ARGS("classify", "-d", device, TEXT), NULL, 0);
    assert_int_equal(run.status, 1);
    assert_true(says(run.err, reason));
    cli_free(&run);
}

static void test_unusable_devices_are_refused(void **state) {
    (void)state;
    play("devices");
    check_answer_fails("0", "device 0 (Old GPU) cannot be used: its driver offers Vulkan 1.0");
    check_answer_fails("display", "device 1 (Display only) cannot be used: it has no compute queue");
    check_answer_fails("2", "device 2 (Small GPU) cannot be used: it offers 4 storage buffers");
    check_answer_fails("3", "reported an error (VK_ERROR_INITIALIZATION_FAILED in vkCreateDevice");
    check_answer_fails("4", "there is no device 4: this system has numbers 0 to 3");
}

/* Such a driver may refuse whoever does not enable what it offers; the others refuse whoever does. */
static void test_portability_subset_is_enabled(void **state) {
    (void)state;
    play("portable");
    check_answer_fails("3", "reported an error (VK_ERROR_INITIALIZATION_FAILED in vkCreateDevice");
}

/* ---- this system ---- */

static void test_list(void **state) {
    rp_device_info infos[8];
    size_t count = 0, again = 0;
    rp_error err = {0};
    (void)state;
    assert_int_equal(rp_device_list(NULL, 0, &count, &err), RP_OK);
    assert_true(count > 0);
    memset(infos, 0xee, sizeof infos);
    assert_int_equal(rp_device_list(infos, 1, &again, &err), RP_OK);
    assert_int_equal(again, count);
    assert_int_equal(infos[0].index, 0);
    assert_true(infos[0].name[0] && infos[0].driver[0] && infos[0].memory_bytes);
    assert_int_equal((unsigned char)infos[1].name[0], 0xee); /* no more than the capacity */
    assert_int_equal(rp_device_list(NULL, 1, &count, &err), RP_ERROR_ARGUMENT);
    assert_int_equal(rp_device_list(infos, 8, NULL, &err), RP_ERROR_ARGUMENT);
    assert_int_equal(rp_device_list(NULL, 0, NULL, NULL), RP_ERROR_ARGUMENT);
}

static void check_open_fails(const rp_device_params *params, const char *reason) {
    rp_device *device = (rp_device *)&device;
    rp_error err = {0};
    assert_int_equal(rp_device_open(params, &device, &err), RP_ERROR_DEVICE);
    assert_null(device);
    assert_true(says(err.message, reason));
}

static void test_open(void **state) {
    rp_device *first = NULL, *second = NULL;
    rp_error err = {0};
    (void)state;
    check_open_fails(&(rp_device_params){.index = 1000}, "there is no device 999");
    check_open_fails(&(rp_device_params){.index = UINT32_MAX}, "there is no device");
    check_open_fails(&(rp_device_params){.name = "no such GPU"}, "\"no such GPU\"");
    assert_int_equal(rp_device_open(NULL, NULL, &err), RP_ERROR_ARGUMENT);
    assert_int_equal(rp_device_open(NULL, &first, &err), RP_OK);
    assert_int_equal(
        rp_device_open(&(rp_device_params){.index = 1 + rp_device_get_info(first)->index}, &second, &err),
        RP_OK);
    assert_string_equal(rp_device_get_info(first)->name, rp_device_get_info(second)->name);
    assert_true(rp_device_get_info(first)->usable);
    assert_int_equal(rp_device_memory_used(first), 0);
    rp_device_close(&first);
    assert_null(first);
    assert_true(rp_device_get_info(second)->usable); /* closing one leaves the other */
    rp_device_close(&second);
    rp_device_close(&second);
    rp_device_close(NULL);
    assert_null(rp_device_get_info(NULL));
    assert_int_equal(rp_device_memory_used(NULL), 0);
}

/* ---- */

static int reset(void **state) {
    (void)state;
    fixture_remove_dir(folder);
    folder[0] = '\0';
    unsetenv("LD_LIBRARY_PATH");
    unsetenv("FAKE_VULKAN");
    unsetenv("VK_DRIVER_FILES");
    unsetenv("VK_ICD_FILENAMES");
    return 0;
}

#define TEST(function) cmocka_unit_test_teardown(function, reset)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_open),
        TEST(test_no_loader),
        TEST(test_old_loader),
        TEST(test_loader_that_fails),
        TEST(test_no_driver),
        TEST(test_half_a_driver),
        TEST(test_no_device),
        TEST(test_unusable_devices_are_listed),
        TEST(test_unusable_devices_are_refused),
        TEST(test_portability_subset_is_enabled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
