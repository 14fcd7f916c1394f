/* The cache: what it refuses to read, and that nothing half-written stays whenever a writer is killed, runs
 * out of disk or meets another. The calls it makes to the system are wrapped, so that the n-th can be made to
 * fail or be the last. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "gpu/cache.h"
#include "gpu/device.h"
#include "gpu/shader.h"
#include "support_fixture.h"

enum { ENTRY = 200000 };
static char dir[FIXTURE_PATH_SIZE];
static char content[ENTRY];

/* ---- the system, as bad as a test wants it ---- */

static int calls, last_call;   /* the process dies at call number last_call; 0: never */
static bool no_unnamed;        /* the file system has no O_TMPFILE */
static int swept_first;        /* so many temporary files are locked by others before their writer does */
static size_t disk = SIZE_MAX; /* bytes until it is full */

static void count_call(void) {
    if (last_call && ++calls == last_call) raise(SIGKILL);
}

#if SIZE_MAX == UINT32_MAX /* what the C library calls them where files may be larger than size_t says */
#define __real_open __real_open64
#define __wrap_open __wrap_open64
#define __real_mkostemp __real_mkostemp64
#define __wrap_mkostemp __wrap_mkostemp64
#endif

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    int mode = va_arg(arguments, int);
    va_end(arguments);
    if ((flags & O_TMPFILE) == O_TMPFILE && no_unnamed) {
        errno = EOPNOTSUPP;
        return -1;
    }
    count_call();
    return __real_open(path, flags, mode);
}

ssize_t __real_write(int fd, const void *data, size_t size);
ssize_t __wrap_write(int fd, const void *data, size_t size);
ssize_t __wrap_write(int fd, const void *data, size_t size) {
    count_call();
    if (last_call && size > 1000) size = size / 2 + 1; /* in pieces, so that it can die between them */
    if (disk == 0) {
        errno = ENOSPC;
        return -1;
    }
    if (size > disk) size = disk;
    if (disk != SIZE_MAX) disk -= size;
    return __real_write(fd, data, size);
}

#define WRAP(name, declared, passed) \
    int __real_##name declared;      \
    int __wrap_##name declared;      \
    int __wrap_##name declared {     \
        count_call();                \
        return __real_##name passed; \
    }
WRAP(linkat, (int a, const char *from, int b, const char *to, int flags), (a, from, b, to, flags))
WRAP(rename, (const char *from, const char *to), (from, to))
WRAP(unlink, (const char *path), (path))
WRAP(mkostemp, (char *path, int flags), (path, flags))
WRAP(close, (int fd), (fd))

int __real_flock(int fd, int how);
int __wrap_flock(int fd, int how);
int __wrap_flock(int fd, int how) {
    count_call();
    if (swept_first) {
        swept_first--;
        errno = EWOULDBLOCK;
        return -1;
    }
    return __real_flock(fd, how);
}

/* ---- helpers ---- */

static int make_folder(void **state) {
    (void)state;
    for (size_t i = 0; i < ENTRY; i++) content[i] = (char)(i * 2654435761u >> 13);
    calls = last_call = 0;
    no_unnamed = false;
    disk = SIZE_MAX;
    return fixture_make_dir(dir) ? 0 : -1;
}

static int remove_folder(void **state) {
    (void)state;
    disk = SIZE_MAX;
    fixture_remove_dir(dir);
    return 0;
}

static const char *path_of(const char *name) {
    static char path[2 * FIXTURE_PATH_SIZE];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

/* Files in the folder; `*temporary`: those of them that are no entry. */
static int count_files(int *temporary) {
    int count = 0;
    DIR *list = opendir(dir);
    assert_non_null(list);
    *temporary = 0;
    for (struct dirent *file; (file = readdir(list));) {
        if (!strcmp(file->d_name, ".") || !strcmp(file->d_name, "..")) continue;
        count++;
        *temporary += strcmp(file->d_name, "entry") != 0;
    }
    closedir(list);
    return count;
}

/* True when "entry" is there; then it must hold `size` bytes of the content. */
static bool entry_is(size_t size) {
    void *data;
    size_t found;
    if (!rp_cache_read(dir, "entry", &data, &found)) {
        assert_null(data);
        return false;
    }
    assert_int_equal(found, size);
    assert_memory_equal(data, content, size);
    free(data);
    return true;
}

static void write_entry(size_t size) {
    rp_cache_write(dir, "entry", content, size);
}

/* ---- reading ---- */

static void test_round_trip(void **state) {
    static const size_t sizes[] = {0, 1, 8, ENTRY};
    (void)state;
    for (int named = 0; named < 2; named++) {
        no_unnamed = named;
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) { /* each replaces the one before */
            int temporary;
            struct stat info;
            write_entry(sizes[i]);
            assert_true(entry_is(sizes[i]));
            assert_int_equal(count_files(&temporary), 1);
            assert_int_equal(temporary, 0);
            assert_int_equal(stat(path_of("entry"), &info), 0);
            assert_int_equal(info.st_mode & 07777, 0600);
        }
    }
}

static void test_others_files_are_not_read(void **state) {
    (void)state;
    write_entry(100);
    assert_int_equal(chmod(path_of("entry"), 0644), 0);
    assert_true(entry_is(100));
    assert_int_equal(chmod(path_of("entry"), 0660), 0);
    assert_false(entry_is(100));
    assert_int_equal(chmod(path_of("entry"), 0602), 0);
    assert_false(entry_is(100));
    assert_int_equal(chmod(path_of("entry"), 0600), 0);
    assert_true(entry_is(100));
    if (geteuid() == 0) { /* only root can give a file away */
        assert_int_equal(chown(path_of("entry"), 12345, 12345), 0);
        assert_false(entry_is(100));
    }
    write_entry(100); /* and it is replaced all the same */
    assert_true(entry_is(100));
}

static void test_a_name_belongs_to_its_entry(void **state) {
    void *data;
    size_t size;
    char other[2 * FIXTURE_PATH_SIZE];
    (void)state;
    write_entry(100);
    strcpy(other, path_of("other"));
    assert_int_equal(rename(path_of("entry"), other), 0);
    assert_false(rp_cache_read(dir, "other", &data, &size));
    assert_int_equal(rename(other, path_of("entry")), 0);
    assert_true(entry_is(100));
}

/* A pipe would wait for a writer, and a device never ends. */
static void test_no_regular_file(void **state) {
    char other[2 * FIXTURE_PATH_SIZE];
    (void)state;
    assert_int_equal(mkfifo(path_of("entry"), 0600), 0);
    assert_false(entry_is(0));
    write_entry(100);
    assert_true(entry_is(100));
    strcpy(other, path_of("other"));
    assert_int_equal(rename(path_of("entry"), other), 0);
    assert_int_equal(symlink("other", path_of("entry")), 0);
    assert_false(entry_is(100));
    assert_int_equal(unlink(path_of("entry")), 0);
    assert_int_equal(symlink("/dev/zero", path_of("entry")), 0);
    assert_false(entry_is(0));
    assert_int_equal(unlink(path_of("entry")), 0);
    assert_int_equal(mkdir(path_of("entry"), 0700), 0);
    assert_false(entry_is(0));
    write_entry(100); /* an empty folder goes */
    assert_true(entry_is(100));
    assert_int_equal(unlink(path_of("entry")), 0);
    assert_int_equal(mkdir(path_of("entry"), 0700), 0);
    assert_int_equal(rename(other, path_of("entry/kept")), 0);
    write_entry(100); /* and what is in one stays */
    assert_true(entry_is(100));
    assert_int_equal(access(path_of("entry.aside/kept"), F_OK), 0);
    assert_int_equal(unlink(path_of("entry.aside/kept")), 0);
    assert_int_equal(rmdir(path_of("entry.aside")), 0);
}

/* Of the note: tens are certain, ones are unclear. */
static uint32_t read_tries(void) {
    rp_attempt_note tries;
    rp_attempt_note_open(&tries, dir, "tries");
    uint32_t count = 10 * tries.certain + tries.unclear;
    if (count) assert_string_equal(tries.what, "what it was");
    rp_attempt_note_close(&tries);
    return count;
}

static void write_tries(uint32_t count) {
    rp_attempt_note tries;
    rp_attempt_note_open(&tries, dir, "tries");
    tries.unclear = count % 10;
    tries.certain = count / 10;
    strcpy(tries.what, "what it was");
    rp_attempt_note_write(&tries);
    rp_attempt_note_close(&tries);
}

static void write_text(const char *text) {
    FILE *file = fopen(path_of("tries"), "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

/* Notes of tries are read back; what is no note is none and is replaced; and what another has begun just now
 * has not failed. */
static void test_tries(void **state) {
    static const char *const damage[] = {"x",
                                         "|||",
                                         "1 1\n",
                                         "1 1 boot what\n",
                                         "\n",
                                         " ",
                                         "\377\377",
                                         "1 0 012345678901234567890123456789012345 what it was",
                                         "1 0 012345678901234567890123456789012345 what it was\n\n",
                                         "-1 0 01234567890123456789012345678901234 what it was\n"};
    rp_attempt_note held;
    (void)state;
    assert_int_equal(read_tries(), 0);
    write_tries(22);
    assert_int_equal(read_tries(), 22);
    write_tries(2);
    assert_int_equal(read_tries(), 2);
    rp_attempt_note_open(&held, dir, "tries");
    assert_int_equal(held.unclear, 2);
    assert_int_equal(read_tries(), 0); /* in its hands */
    held.unclear = 1;
    rp_attempt_note_write(&held);
    rp_attempt_note_close(&held);
    assert_int_equal(read_tries(), 1);
    for (size_t i = 0; i < RP_COUNT(damage); i++) {
        write_text(damage[i]);
        if (read_tries()) fail_msg("\"%s\" is taken for a note", damage[i]);
        write_tries(1);
        assert_int_equal(read_tries(), 1);
    }
    assert_int_equal(chmod(path_of("tries"), 0666), 0);
    assert_int_equal(read_tries(), 0);
    write_tries(1);
    assert_int_equal(read_tries(), 1);
    write_tries(0);
    assert_int_equal(access(path_of("tries"), F_OK), -1);
    assert_int_equal(mkdir(path_of("tries"), 0700), 0);
    write_tries(1);
    assert_int_equal(read_tries(), 1);
    write_tries(0);
}

/* Where the system went down in a try, nobody has killed the process. */
static void test_tries_of_an_earlier_boot(void **state) {
    (void)state;
    write_text("2 1 01234567-89ab-cdef-0123-456789abcdef what it was\n");
    assert_int_equal(read_tries(), 30);
}

static void test_what_comes_to_a_driver(void **state) {
    uint32_t words[] = {0x07230203, 0x00010300, 0, 8, 0, 2 << 16 | 17, 1, 3 << 16 | 14, 0, 1};
    rp_caps caps = {.info = {.vendor_id = 7, .device_id = 9}, .uuid = {1, 2, 3}};
    uint32_t pipelines[9] = {32, 1, 7, 9};
    (void)state;
    assert_true(rp_spirv_whole(words, sizeof words));
    assert_true(rp_spirv_whole(words, 20));
    assert_false(rp_spirv_whole(words, 16));
    assert_false(rp_spirv_whole(words, 0));
    assert_false(rp_spirv_whole(words, sizeof words - 1));
    assert_false(rp_spirv_whole(words, sizeof words - 4)); /* the last instruction is cut */
    static const struct {
        int word;
        uint32_t value;
    } changes[] = {{0, 0x03022307},    {3, 0},         {3, UINT32_MAX}, {4, 1}, {5, 17},
                   {5, 6u << 16 | 17}, {7, UINT32_MAX}};
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        uint32_t before = words[changes[i].word];
        words[changes[i].word] = changes[i].value;
        assert_false(rp_spirv_whole(words, sizeof words));
        words[changes[i].word] = before;
    }
    memcpy(pipelines + 4, caps.uuid, VK_UUID_SIZE);
    assert_true(rp_pipelines_fit(&caps, pipelines, sizeof pipelines));
    assert_false(rp_pipelines_fit(&caps, pipelines, 31));
    for (int i = 0; i < 8; i++) {
        pipelines[i] ^= 1;
        assert_false(rp_pipelines_fit(&caps, pipelines, sizeof pipelines));
        pipelines[i] ^= 1;
    }
}

/* ---- writing ---- */

/* Fork a writer that dies at call number `at`; false when it came to its end. */
static bool die_writing(int at, size_t size) {
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (!child) {
        last_call = at;
        write_entry(size);
        last_call = 0;
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status)) assert_int_equal(WTERMSIG(status), SIGKILL);
    return WIFSIGNALED(status);
}

/* Killed before each of its calls in turn, over an entry and without one. */
static void kill_writers(bool there, int least_calls) {
    int at = 1, temporary;
    for (bool died = true; died; at++) {
        unlink(path_of("entry"));
        if (there) write_entry(50000);
        died = die_writing(at, ENTRY);
        if (!no_unnamed) {
            count_files(&temporary);
            assert_int_equal(temporary, 0);
        }
        void *data;
        size_t size;
        if (rp_cache_read(dir, "entry", &data, &size)) { /* the old one or the new one, whole */
            assert_true(size == ENTRY || (there && size == 50000));
            assert_memory_equal(data, content, size);
            free(data);
        } else {
            assert_true(access(path_of("entry"), F_OK) != 0); /* none, and no broken one */
        }
        write_entry(77);
        assert_true(entry_is(77));
        assert_int_equal(count_files(&temporary), 1); /* whatever it left is gone */
    }
    assert_true(at > least_calls);
}

static void test_killed_writer_leaves_nothing(void **state) {
    (void)state;
    for (int there = 0; there < 2; there++) kill_writers(there, 10);
}

static void test_killed_writer_without_unnamed_files(void **state) {
    (void)state;
    no_unnamed = true;
    for (int there = 0; there < 2; there++) kill_writers(there, 10);
}

/* The temporary file of a writer that lives is left alone. */
static void test_living_writers_are_left_alone(void **state) {
    int temporary;
    (void)state;
    no_unnamed = true;
    int fd = open(path_of(".reprise-abcdef"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    write_entry(10);
    assert_int_equal(count_files(&temporary), 2);
    close(fd);
    write_entry(11);
    assert_int_equal(count_files(&temporary), 1);
    assert_true(entry_is(11));
}

/* A writer loses nothing when another process sweeps its temporary file before it is locked. */
static void test_a_file_that_is_swept_is_made_again(void **state) {
    (void)state;
    no_unnamed = true;
    swept_first = 3;
    assert_true(rp_cache_write(dir, "entry", content, 10));
    assert_true(entry_is(10));
    swept_first = 1000; /* always: an error, no endless loop */
    assert_false(rp_cache_write(dir, "entry", content, 11));
    swept_first = 0;
    assert_true(entry_is(10));
}

static void test_full_disk(void **state) {
    static const size_t room[] = {0, 10, 24, 100, ENTRY};
    int temporary;
    (void)state;
    for (int named = 0; named < 2; named++) {
        no_unnamed = named;
        for (size_t i = 0; i < sizeof room / sizeof *room; i++) {
            disk = room[i];
            write_entry(ENTRY);
            disk = SIZE_MAX;
            assert_int_equal(count_files(&temporary), 0);
        }
        write_entry(500);
        disk = 100; /* what was there stays */
        write_entry(ENTRY);
        disk = SIZE_MAX;
        assert_true(entry_is(500));
        assert_int_equal(count_files(&temporary), 1);
        assert_int_equal(unlink(path_of("entry")), 0);
    }
}

/* A limit on the size of files would end the process by a signal. */
static void test_limited_file_size(void **state) {
    int status;
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (!child) {
        struct rlimit limit = {1000, 1000};
        setrlimit(RLIMIT_FSIZE, &limit);
        write_entry(1000);
        if (entry_is(1000)) _exit(1);
        write_entry(900);
        _exit(entry_is(900) ? 0 : 2);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* Writers of different contents, and readers who must see one of them whole, or none. */
static void test_processes_at_once(void **state) {
    enum { PROCESSES = 4, ROUNDS = 60 };
    (void)state;
    for (int named = 0; named < 2; named++) {
        pid_t children[PROCESSES];
        int temporary;
        no_unnamed = named;
        for (int i = 0; i < PROCESSES; i++) {
            children[i] = fork();
            assert_true(children[i] >= 0);
            if (children[i]) continue;
            for (int round = 0; round < ROUNDS; round++) {
                void *data;
                size_t size;
                write_entry((size_t)(i + 1) * 10000);
                if (!rp_cache_read(dir, "entry", &data, &size)) continue;
                if (size % 10000 || size > PROCESSES * 10000 || memcmp(data, content, size)) _exit(1);
                free(data);
            }
            _exit(0);
        }
        for (int i = 0; i < PROCESSES; i++) {
            int status;
            assert_int_equal(waitpid(children[i], &status, 0), children[i]);
            assert_int_equal(status, 0);
        }
        write_entry(10);
        assert_true(entry_is(10));
        assert_int_equal(count_files(&temporary), 1);
    }
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, make_folder, remove_folder)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_round_trip),
        TEST(test_others_files_are_not_read),
        TEST(test_a_name_belongs_to_its_entry),
        TEST(test_no_regular_file),
        TEST(test_tries),
        TEST(test_tries_of_an_earlier_boot),
        TEST(test_what_comes_to_a_driver),
        TEST(test_killed_writer_leaves_nothing),
        TEST(test_killed_writer_without_unnamed_files),
        TEST(test_living_writers_are_left_alone),
        TEST(test_a_file_that_is_swept_is_made_again),
        TEST(test_full_disk),
        TEST(test_limited_file_size),
        TEST(test_processes_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
