/* Every allocation and every call to the system that a pull makes fails in turn, until none does: an error
 * with a message or a right result, nothing left open, and the next pull works. Also the rules for the user's
 * cache folder.
 *
 * The linker sends the library's calls here (--wrap); only those of the thread that pulls fail. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/folders.h"
#include "support_pull.h"

/* ---- the fault ---- */

static _Thread_local int memory_due = -1,
                         call_due = -1; /* that succeed before one does not; negative: none is to */
static _Thread_local int error;         /* what a failing call sets errno to */

static bool fails(int *due) {
    if (*due < 0) return false;
    return (*due)-- == 0;
}

static bool call_fails(void) {
    if (!fails(&call_due)) return false;
    errno = error;
    return true;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t size);
int __wrap_asprintf(char **out, const char *format, ...) __attribute__((format(printf, 2, 3)));
int __wrap_vasprintf(char **out, const char *format, va_list args);
int __real_vasprintf(char **out, const char *format, va_list args);

void *__wrap_malloc(size_t size) {
    return fails(&memory_due) ? NULL : __real_malloc(size);
}
void *__wrap_calloc(size_t count, size_t size) {
    return fails(&memory_due) ? NULL : __real_calloc(count, size);
}
void *__wrap_realloc(void *block, size_t size) {
    return fails(&memory_due) ? NULL : __real_realloc(block, size);
}
char *__wrap_strdup(const char *text) {
    return fails(&memory_due) ? NULL : __real_strdup(text);
}
char *__wrap_strndup(const char *text, size_t size) {
    return fails(&memory_due) ? NULL : __real_strndup(text, size);
}
int __wrap_vasprintf(char **out, const char *format, va_list args) {
    *out = NULL;
    return fails(&memory_due) ? -1 : __real_vasprintf(out, format, args);
}
int __wrap_asprintf(char **out, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int size = __wrap_vasprintf(out, format, args);
    va_end(args);
    return size;
}

#if SIZE_MAX == UINT32_MAX /* what the C library calls them where files may be larger than size_t says */
#define __real_open __real_open64
#define __wrap_open __wrap_open64
#define __real_pwrite __real_pwrite64
#define __wrap_pwrite __wrap_pwrite64
#define __real_pread __real_pread64
#define __wrap_pread __wrap_pread64
#define __real_ftruncate __real_ftruncate64
#define __wrap_ftruncate __wrap_ftruncate64
#endif

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
ssize_t __real_pwrite(int fd, const void *data, size_t size, off_t at);
ssize_t __wrap_pwrite(int fd, const void *data, size_t size, off_t at);
ssize_t __real_pread(int fd, void *data, size_t size, off_t at);
ssize_t __wrap_pread(int fd, void *data, size_t size, off_t at);
int __real_ftruncate(int fd, off_t size);
int __wrap_ftruncate(int fd, off_t size);
int __wrap_fsync(int fd);
int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);
int __real_symlink(const char *target, const char *path);
int __wrap_symlink(const char *target, const char *path);
int __real_mkdir(const char *path, mode_t mode);
int __wrap_mkdir(const char *path, mode_t mode);
int __real_flock(int fd, int how);
int __wrap_flock(int fd, int how);

int __wrap_open(const char *path, int flags, ...) {
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & O_CREAT ? (mode_t)va_arg(args, int) : 0;
    va_end(args);
    return call_fails() ? -1 : __real_open(path, flags, mode);
}
ssize_t __wrap_pwrite(int fd, const void *data, size_t size, off_t at) {
    return call_fails() ? -1 : __real_pwrite(fd, data, size, at);
}
ssize_t __wrap_pread(int fd, void *data, size_t size, off_t at) {
    return call_fails() ? -1 : __real_pread(fd, data, size, at);
}
int __wrap_ftruncate(int fd, off_t size) {
    return call_fails() ? -1 : __real_ftruncate(fd, size);
}
int __wrap_fsync(int fd) { /* which would take most of the time */
    (void)fd;
    return call_fails() ? -1 : 0;
}
int __wrap_rename(const char *from, const char *to) {
    return call_fails() ? -1 : __real_rename(from, to);
}
int __wrap_symlink(const char *target, const char *path) {
    return call_fails() ? -1 : __real_symlink(target, path);
}
int __wrap_mkdir(const char *path, mode_t mode) {
    return call_fails() ? -1 : __real_mkdir(path, mode);
}
int __wrap_flock(int fd, int how) {
    return call_fails() ? -1 : __real_flock(fd, how);
}

/* ---- pulls ---- */

static size_t open_files(void) {
    size_t count = 0;
    DIR *dir = opendir("/proc/self/fd");
    assert_non_null(dir);
    while (readdir(dir)) count++;
    closedir(dir);
    return count;
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *at) {
    (void)info, (void)kind, (void)at;
    return remove(path);
}

static void forget_cache(pull_test *t) {
    nftw(t->cache, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    nftw(t->params.output, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    free(t->out);
    t->out = NULL;
}

/* What there is when a pull has worked. */
static void check_whole(const pull_test *t) {
    static const char snapshot[] = "hub/models--org--tiny/snapshots/" HUB_COMMIT;
    char name[256];
    static const char *const files[] = {"config.json", "model.safetensors", "modules.json",
                                        "1_Pooling/config.json"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(name, sizeof name, "%s/%s", snapshot, files[i]);
        assert_true(pull_holds(t, name, files[i]));
        snprintf(name, sizeof name, "out/%s", files[i]);
        assert_true(pull_holds(t, name, files[i]));
    }
}

static pull_test *begin(void **state) {
    static char output[FIXTURE_PATH_SIZE];
    pull_test *t = *state;
    hub_add_model(&t->hub, "model.safetensors", 5000);
    hub_add_text(&t->hub, "modules.json", "[{\"type\": \"a.Pooling\", \"path\": \"1_Pooling\"}]");
    hub_add_text(&t->hub, "1_Pooling/config.json", "{\"word_embedding_dimension\": 8}");
    snprintf(output, sizeof output, "%.400s/out", t->dir);
    t->params.output = output;
    assert_int_equal(pull(t, "org/tiny"), RP_OK); /* so that libcurl is open */
    return t;
}

/* The n-th of `due` fails in a pull from nothing, and the next pull makes it good. */
static bool pull_failing(pull_test *t, int *due, int n, rp_status expected) {
    forget_cache(t);
    *due = n;
    rp_status status = rp_pull("org/tiny", &t->params, &t->out, &t->err);
    bool came = *due < 0;
    *due = -1;
    if (status && status != expected) print_error("%d: %d %s\n", n, (int)status, t->err.message);
    if (status) assert_int_equal(status, expected);
    if (status) assert_true(strlen(t->err.message) > 20);
    if (!status) check_whole(t);
    if (!came) assert_int_equal(status, RP_OK);
    if (status) assert_int_equal(pull(t, "org/tiny"), RP_OK);
    check_whole(t);
    return came;
}

static void test_memory_that_runs_out(void **state) {
    pull_test *t = begin(state);
    int n = 0;
    while (pull_failing(t, &memory_due, n, RP_ERROR_HOST_MEMORY)) n++;
    assert_true(n > 100);
}

static void test_calls_that_fail(void **state) {
    pull_test *t = begin(state);
    static const int errors[] = {ENOSPC, EACCES, EIO};
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        int n = 0;
        error = errors[i];
        size_t before = open_files();
        while (pull_failing(t, &call_due, n, RP_ERROR_FILE)) n += i ? 3 : 1;
        assert_true(n > 40);
        assert_true(open_files() <= before + 8); /* connections of the server that end by themselves */
    }
}

/* Without symbolic links the file itself lies in the snapshot; without locks there are none. */
static void test_file_systems_without_links_or_locks(void **state) {
    pull_test *t = begin(state);
    static const int errors[] = {EPERM, EOPNOTSUPP, ENOLCK};
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        error = errors[i];
        for (int n = 0;; n += 2) {
            forget_cache(t);
            call_due = n;
            rp_status status = rp_pull("org/tiny", &t->params, &t->out, &t->err);
            bool came = call_due < 0;
            call_due = -1;
            if (!status) check_whole(t);
            if (!came) break;
        }
    }
}

/* ---- the user's cache folder ---- */

static void test_the_user_cache(void **state) {
    pull_test *t = *state;
    bool memory = false;
    char home[FIXTURE_PATH_SIZE], wanted[2 * FIXTURE_PATH_SIZE];
    snprintf(home, sizeof home, "%.400s/home", t->dir);
    setenv("HOME", home, 1);
    assert_null(rp_user_cache("x", &memory));
    setenv("HOME", "", 1);
    assert_null(rp_user_cache("x", &memory));
    setenv("XDG_CACHE_HOME", "relative/cache", 1);
    assert_null(rp_user_cache("x", &memory));
    setenv("HOME", home, 1);
    assert_int_equal(mkdir(home, 0700), 0);
    char *found = rp_user_cache("x", &memory);
    snprintf(wanted, sizeof wanted, "%s/.cache/x", home);
    assert_non_null(found);
    assert_string_equal(found, wanted);
    free(found);
    setenv("XDG_CACHE_HOME", "/some/where", 1); /* which may be made */
    found = rp_user_cache("x", &memory);
    assert_string_equal(found, "/some/where/x");
    free(found);
    snprintf(wanted, sizeof wanted, "%s//a///b/", home);
    assert_true(rp_make_folders(wanted, 0700));
    assert_true(rp_make_folders(wanted, 0700));
    struct stat info;
    assert_int_equal(stat(wanted, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);
    assert_true(fixture_write_text(home, "file", "x"));
    snprintf(wanted, sizeof wanted, "%s/file/b", home);
    assert_false(rp_make_folders(wanted, 0700));
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, pull_setup, pull_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_memory_that_runs_out),
        TEST(test_calls_that_fail),
        TEST(test_file_systems_without_links_or_locks),
        TEST(test_the_user_cache),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
