/* The operating system as the library sees it. tools/testbeds windows runs the same under Windows. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/os.h"

static char folder[1024];

static const char *in_folder(const char *name) {
    static char paths[4][1100];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static int set_up(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "%s/reprise-os-XXXXXX", rp_os_temporary());
    return rp_os_temporary_folder(folder) ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    return rp_os_remove_tree(folder) ? 0 : -1;
}

static void put(const char *path, const char *text) {
    int fd = rp_os_open(path, RP_OS_WRITE | RP_OS_CREATE | RP_OS_NEW);
    assert_true(fd >= 0);
    assert_int_equal(rp_os_write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(rp_os_sync(fd), 0);
    assert_int_equal(rp_os_close(fd), 0);
}

static void get(const char *path, const char *wanted) {
    char text[64] = "";
    int fd = rp_os_open(path, RP_OS_READ | RP_OS_NOWAIT);
    assert_true(fd >= 0);
    assert_int_equal(rp_os_read(fd, text, sizeof text - 1), strlen(wanted));
    assert_string_equal(text, wanted);
    assert_int_equal(rp_os_close(fd), 0);
}

/* Lines end as they were written, and names are UTF-8. */
static void test_a_file_is_written_and_read(void **state) {
    (void)state;
    const char *path = in_folder("caf\xc3\xa9 \xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x90\xa6");
    put(path, "a\nb\r\n\x1a");
    get(path, "a\nb\r\n\x1a");
    assert_int_equal(rp_os_open(path, RP_OS_WRITE | RP_OS_CREATE | RP_OS_NEW), -1);
    assert_int_equal(errno, EEXIST);
    assert_int_equal(rp_os_open(in_folder("none"), RP_OS_READ), -1);
    assert_int_equal(errno, ENOENT);
    rp_os_list *list = rp_os_list_open(folder);
    assert_non_null(list);
    unsigned found = 0;
    for (const char *name; (name = rp_os_list_next(list));)
        found += strstr(path, name) != NULL && name[0] != '.';
    rp_os_list_close(list);
    assert_int_equal(found, 1);
    assert_int_equal(rp_os_unlink(path), 0);
    assert_false(rp_os_may_read(path));
}

static void test_places_in_a_file(void **state) {
    (void)state;
    char text[8] = "";
    int fd = rp_os_open(in_folder("places"), RP_OS_READ | RP_OS_WRITE | RP_OS_CREATE);
    assert_true(fd >= 0);
    assert_int_equal(rp_os_pwrite(fd, "abcdef", 6, 0), 6);
    assert_int_equal(rp_os_pwrite(fd, "XY", 2, 2), 2);
    assert_int_equal(rp_os_pread(fd, text, 3, 1), 3);
    assert_string_equal(text, "bXY");
    assert_int_equal(rp_os_pread(fd, text, 3, 6), 0);
    assert_int_equal(rp_os_truncate(fd, 1), 0);
    rp_os_info info;
    assert_int_equal(rp_os_fstat(fd, &info), 0);
    assert_int_equal(info.size, 1);
    assert_true(info.kind == RP_OS_FILE && info.trusted && info.links == 1);
    int other = rp_os_duplicate(fd);
    assert_true(other > 2);
    rp_os_close(fd);
    assert_int_equal(rp_os_pread(other, text, 3, 0), 1);
    rp_os_close(other);
}

static void test_a_file_takes_the_place_of_another(void **state) {
    (void)state;
    rp_os_info first, second;
    put(in_folder("old"), "old");
    put(in_folder("new"), "new");
    assert_int_equal(rp_os_stat(in_folder("new"), &first), 0);
    assert_int_equal(rp_os_rename(in_folder("new"), in_folder("old")), 0);
    get(in_folder("old"), "new");
    assert_int_equal(rp_os_stat(in_folder("old"), &second), 0);
    assert_true(first.inode == second.inode && first.device == second.device);
    assert_true(first.seconds == second.seconds && first.nanoseconds == second.nanoseconds);
    assert_int_equal(rp_os_mkdir(in_folder("dir"), 0777), 0);
    assert_int_equal(rp_os_mkdir(in_folder("dir"), 0777), -1);
    assert_int_equal(errno, EEXIST);
    assert_int_equal(rp_os_rename(in_folder("old"), in_folder("dir")), -1);
    assert_int_equal(errno, EISDIR);
    assert_int_equal(rp_os_rmdir(in_folder("dir")), 0);
}

/* From any byte on, behind a page and behind 64 KiB, and after the descriptor was closed. */
static void test_parts_of_a_file_are_mapped(void **state) {
    (void)state;
    enum { SIZE = 200000 };
    static unsigned char bytes[SIZE];
    static const uint64_t places[] = {0, 1, 4095, 4096, 65535, 65536, 65537, 131073, SIZE - 1};
    for (int i = 0; i < SIZE; i++) bytes[i] = (unsigned char)(i * 7 + i / 251);
    int fd = rp_os_open(in_folder("mapped"), RP_OS_READ | RP_OS_WRITE | RP_OS_CREATE);
    assert_true(fd >= 0);
    assert_int_equal(rp_os_write(fd, bytes, SIZE), SIZE);
    const void *maps[9];
    for (int i = 0; i < 9; i++) {
        maps[i] = rp_os_map(fd, places[i], (size_t)(SIZE - places[i]));
        assert_non_null(maps[i]);
    }
    rp_os_close(fd);
    for (int i = 0; i < 9; i++) {
        size_t size = (size_t)(SIZE - places[i]);
        assert_memory_equal(maps[i], bytes + places[i], size);
        rp_os_map_rest(maps[i], size);
        assert_memory_equal(maps[i], bytes + places[i], size);
        rp_os_unmap(maps[i], size);
    }
}

static void test_one_descriptor_holds_a_file(void **state) {
    (void)state;
    const char *path = in_folder("locked");
    put(path, "text");
    int first = rp_os_open(path, RP_OS_READ | RP_OS_WRITE),
        second = rp_os_open(path, RP_OS_READ | RP_OS_WRITE);
    assert_int_equal(rp_os_lock(first), 0);
    assert_int_equal(rp_os_lock(second), -1);
    assert_int_equal(errno, EWOULDBLOCK);
    get(path, "text"); /* it can be read all the same */
    rp_os_close(first);
    assert_int_equal(rp_os_lock(second), 0);
    rp_os_close(second);
    int held = rp_os_lock_folder(folder);
    assert_true(held >= 0);
    assert_int_equal(rp_os_lock_folder(folder), -1);
    assert_int_equal(errno, EWOULDBLOCK);
    put(in_folder("within"), "");
    rp_os_list *list = rp_os_list_open(folder); /* who holds it, and others, go on using it */
    assert_non_null(list);
    assert_non_null(rp_os_list_next(list));
    rp_os_list_close(list);
    rp_os_close(held);
    held = rp_os_lock_folder(folder);
    assert_true(held >= 0);
    rp_os_close(held);
}

static void test_a_tree_is_removed(void **state) {
    (void)state;
    assert_int_equal(rp_os_mkdir(in_folder("tree"), 0777), 0);
    assert_int_equal(rp_os_mkdir(in_folder("tree/\xc3\xa9"), 0777), 0);
    put(in_folder("tree/\xc3\xa9/leaf"), "x");
    put(in_folder("tree/leaf"), "x");
    assert_true(rp_os_remove_tree(in_folder("tree")));
    assert_false(rp_os_may_read(in_folder("tree")));
    assert_true(rp_os_remove_tree(in_folder("tree")));
}

static void test_streams(void **state) {
    (void)state;
    char *text = NULL, *line = NULL;
    size_t size = 0, room = 0;
    FILE *file = rp_os_memory_open(&text, &size);
    assert_non_null(file);
    fprintf(file, "%zu lines\n", (size_t)3);
    assert_int_equal(rp_os_memory_close(file, &text, &size), 0);
    assert_string_equal(text, "3 lines\n");
    assert_int_equal(size, 8);
    free(text);
    file = rp_os_fopen(in_folder("stream \xc3\xa9"), "wb");
    assert_non_null(file);
    fputs("first\r\nlast", file);
    fclose(file);
    file = rp_os_fopen(in_folder("stream \xc3\xa9"), "rb");
    assert_non_null(file);
    assert_int_equal(rp_os_getline(&line, &room, file), 7);
    assert_string_equal(line, "first\r\n");
    assert_int_equal(rp_os_getline(&line, &room, file), 4);
    assert_string_equal(line, "last");
    assert_int_equal(rp_os_getline(&line, &room, file), -1);
    fclose(file);
    free(line);
}

static void test_the_machine(void **state) {
    (void)state;
    char path[4096];
    static const char here;
    assert_true(rp_os_processors() >= 1);
    assert_true(rp_os_memory() > 1 << 20);
    assert_true(rp_os_process() > 0);
    assert_null(rp_os_getenv("REPRISE_NO_SUCH_VARIABLE"));
    assert_non_null(rp_os_getenv("PATH"));
    rp_os_program(path, sizeof path);
    assert_true(rp_os_is_absolute(path));
    assert_non_null(strstr(path, "test_os"));
    rp_os_library_of(&here, path, sizeof path);
    assert_non_null(strstr(path, "test_os"));
    assert_false(rp_os_is_absolute("models/sentiment"));
}

/* ---- children ---- */

static rp_os_end run(const char *what, int *said, int *code) {
    char program[4096];
    rp_os_child child;
    char *argv[] = {program, (char *)"child", (char *)what, (char *)"a \"b\" c", NULL};
    rp_os_program(program, sizeof program);
    *code = -1;
    assert_true(rp_os_child_start(&child, program, argv));
    do *said = rp_os_child_hear(&child);
    while (*said == RP_OS_SILENT);
    return rp_os_child_end(&child, code);
}

static void test_children(void **state) {
    (void)state;
    int said, code;
    assert_int_equal(run("says", &said, &code), RP_OS_END_EXITED);
    assert_int_equal(said, 'y');
    assert_int_equal(code, 7);
    assert_int_equal(run("crashes", &said, &code), RP_OS_END_CRASHED);
    assert_int_equal(said, -1);
    rp_os_child child;
    char *argv[] = {(char *)"none", NULL};
    if (rp_os_child_start(&child, in_folder("no program"), argv)) /* or it is seen when it ends */
        assert_int_equal(rp_os_child_end(&child, &code), RP_OS_END_UNKNOWN);
}

static int be_child(char **argv) {
    rp_os_child_settle(60);
    signal(SIGSEGV, SIG_DFL);              /* a sanitizer would report it, and exit */
    static volatile uintptr_t nowhere = 8; /* which no compiler knows */
    if (!strcmp(argv[2], "crashes")) *(volatile int *)nowhere = 1;
    if (strcmp(argv[3], "a \"b\" c")) return 3;
    return rp_os_write(1, "y", 1) == 1 ? 7 : 4;
}

int main(int argc, char **argv) {

    if (argc == 4 && !strcmp(argv[1], "child")) return be_child(argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_file_is_written_and_read),
        cmocka_unit_test(test_places_in_a_file),
        cmocka_unit_test(test_a_file_takes_the_place_of_another),
        cmocka_unit_test(test_parts_of_a_file_are_mapped),
        cmocka_unit_test(test_one_descriptor_holds_a_file),
        cmocka_unit_test(test_a_tree_is_removed),
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_the_machine),
        cmocka_unit_test(test_children),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
