/* Linux, Android and macOS. */
#define _GNU_SOURCE /* O_TMPFILE, nftw, pipe2, secure_getenv, dladdr */
#include "base/os.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#ifdef __linux__
#include <sys/auxv.h>
#include <sys/prctl.h>
#endif
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#ifdef __APPLE__
#include <crt_externs.h>
#define environ (*_NSGetEnviron())
#define st_mtim st_mtimespec
#else
extern char **environ;
#endif

/* ---- files ---- */

int rp_os_open(const char *path, unsigned flags) {
    unsigned access = flags & (RP_OS_READ | RP_OS_WRITE);
    int how = access == RP_OS_READ ? O_RDONLY : access == RP_OS_WRITE ? O_WRONLY : O_RDWR;
    how |= O_CLOEXEC | O_NOCTTY;
    if (flags & RP_OS_CREATE) how |= O_CREAT;
    if (flags & RP_OS_NEW) how |= O_EXCL;
    if (flags & RP_OS_APPEND) how |= O_APPEND;
    if (flags & RP_OS_NO_LINK) how |= O_NOFOLLOW;
    if (flags & RP_OS_NOWAIT) how |= O_NONBLOCK;
    return open(path, how, flags & RP_OS_PRIVATE ? 0600 : 0666);
}

int rp_os_close(int fd) {
    return close(fd);
}

int rp_os_duplicate(int fd) {
    return fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

ssize_t rp_os_read(int fd, void *data, size_t size) {
    return read(fd, data, size);
}

ssize_t rp_os_write(int fd, const void *data, size_t size) {
    return write(fd, data, size);
}

ssize_t rp_os_pread(int fd, void *data, size_t size, uint64_t at) {
    return pread(fd, data, size, (off_t)at);
}

ssize_t rp_os_pwrite(int fd, const void *data, size_t size, uint64_t at) {
    return pwrite(fd, data, size, (off_t)at);
}

int rp_os_truncate(int fd, uint64_t size) {
    return ftruncate(fd, (off_t)size);
}

int rp_os_sync(int fd) {
    return fsync(fd);
}

int rp_os_sync_folder(const char *path) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int failed = fd < 0 || (fsync(fd) && errno != EINVAL && errno != ENOSYS), why = errno;
    if (fd >= 0) close(fd);
    errno = why;
    return failed ? -1 : 0;
}

int rp_os_lock(int fd) {
    return flock(fd, LOCK_EX | LOCK_NB);
}

int rp_os_lock_folder(const char *path) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || !flock(fd, LOCK_EX | LOCK_NB) || errno != EWOULDBLOCK) return fd;
    close(fd);
    errno = EWOULDBLOCK;
    return -1;
}

bool rp_os_room(int fd, uint64_t *bytes, uint64_t *block) {
    struct statvfs disk;
    if (fstatvfs(fd, &disk) || !disk.f_frsize || !disk.f_blocks) return false;
    *bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
    *block = disk.f_frsize;
    return true;
}

static int tell(int failed, const struct stat *info, rp_os_info *out) {
    if (failed) return -1;
    *out = (rp_os_info){.kind = S_ISREG(info->st_mode)   ? RP_OS_FILE
                                : S_ISDIR(info->st_mode) ? RP_OS_FOLDER
                                                         : RP_OS_OTHER,
                        .trusted = (info->st_uid == geteuid() || info->st_uid == 0) &&
                                   !(info->st_mode & (S_IWGRP | S_IWOTH)),
                        .size = (uint64_t)info->st_size,
                        .device = (uint64_t)info->st_dev,
                        .inode = (uint64_t)info->st_ino,
                        .links = (uint64_t)info->st_nlink,
                        .seconds = info->st_mtim.tv_sec,
                        .nanoseconds = info->st_mtim.tv_nsec};
    return 0;
}

int rp_os_stat(const char *path, rp_os_info *out) {
    struct stat info;
    return tell(stat(path, &info), &info, out);
}

int rp_os_lstat(const char *path, rp_os_info *out) {
    struct stat info;
    return tell(lstat(path, &info), &info, out);
}

int rp_os_fstat(int fd, rp_os_info *out) {
    struct stat info;
    return tell(fstat(fd, &info), &info, out);
}

bool rp_os_may_read(const char *path) {
    return !access(path, R_OK);
}

bool rp_os_may_run(const char *path) {
    return !access(path, X_OK);
}

int rp_os_rename(const char *from, const char *to) {
    return rename(from, to);
}

int rp_os_unlink(const char *path) {
    return unlink(path);
}

int rp_os_rmdir(const char *path) {
    return rmdir(path);
}

int rp_os_mkdir(const char *path, unsigned mode) {
    return mkdir(path, (mode_t)mode);
}

int rp_os_link(const char *from, const char *to) {
    return link(from, to);
}

int rp_os_symlink(const char *target, const char *path) {
    return symlink(target, path);
}

ssize_t rp_os_readlink(const char *path, char *out, size_t size) {
    return readlink(path, out, size);
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *place) {
    (void)info, (void)kind, (void)place;
    return remove(path);
}

bool rp_os_remove_tree(const char *path) {
    enum { OPEN_FOLDERS = 8 };
    return !nftw(path, remove_one, OPEN_FOLDERS, FTW_DEPTH | FTW_PHYS) || errno == ENOENT;
}

int rp_os_temporary_file(char *path) {
    return mkostemp(path, O_CLOEXEC);
}

/* mkdtemp lets nobody else in: the folder gets the permissions of one that is made in it. To ask for the
 * umask would change it for other threads. */
bool rp_os_temporary_folder(char *path) {
    char inside[4096];
    struct stat info;
    if (!mkdtemp(path)) return false;
    bool made =
        snprintf(inside, sizeof inside, "%s/.mode", path) < (int)sizeof inside && !mkdir(inside, 0777);
    if (made && !stat(inside, &info)) chmod(path, info.st_mode & 0777);
    if (made) rmdir(inside);
    return true;
}

/* A program with more rights than its user takes nothing from him. */
static const char *variable(const char *name) {
#ifdef REPRISE_SECURE_GETENV
    return secure_getenv(name);
#else
    return getenv(name);
#endif
}

const char *rp_os_temporary(void) {
    const char *folder = variable("TMPDIR");
    return folder && *folder ? folder : "/tmp";
}

#ifdef O_TMPFILE
int rp_os_open_unnamed(const char *dir) {
    return open(dir, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
}

int rp_os_give_name(int fd, const char *path) {
    char self[64];
    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    return linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW);
}
#else
int rp_os_open_unnamed(const char *dir) {
    (void)dir;
    errno = ENOTSUP;
    return -1;
}

int rp_os_give_name(int fd, const char *path) {
    (void)fd, (void)path;
    errno = ENOTSUP;
    return -1;
}
#endif

/* An rp_os_list is a DIR. */
rp_os_list *rp_os_list_open(const char *path) {
    return (rp_os_list *)opendir(path);
}

const char *rp_os_list_next(rp_os_list *list) {
    const struct dirent *entry = readdir((DIR *)list);
    return entry ? entry->d_name : NULL;
}

int rp_os_list_stat(rp_os_list *list, const char *name, rp_os_info *out) {
    struct stat info;
    return tell(fstatat(dirfd((DIR *)list), name, &info, 0), &info, out);
}

int rp_os_list_file(rp_os_list *list, const char *name) {
    return openat(dirfd((DIR *)list), name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
}

int rp_os_list_unlink(rp_os_list *list, const char *name) {
    return unlinkat(dirfd((DIR *)list), name, 0);
}

void rp_os_list_close(rp_os_list *list) {
    closedir((DIR *)list);
}

FILE *rp_os_fopen(const char *path, const char *mode) {
    return fopen(path, mode);
}

ssize_t rp_os_getline(char **line, size_t *room, FILE *file) {
    return getline(line, room, file);
}

FILE *rp_os_memory_open(char **text, size_t *size) {
    return open_memstream(text, size);
}

int rp_os_memory_close(FILE *file, char **text, size_t *size) {
    (void)text, (void)size;
    return fclose(file);
}

/* ---- mapping ---- */

/* Bytes from the beginning of the page to the byte. */
static size_t into_page(uint64_t at) {
    return (size_t)(at & ((uint64_t)sysconf(_SC_PAGESIZE) - 1));
}

const void *rp_os_map(int fd, uint64_t at, size_t size) {
    size_t before = into_page(at);
    char *bytes = size > SIZE_MAX - before
                      ? (errno = ENOMEM, MAP_FAILED)
                      : mmap(NULL, before + size, PROT_READ, MAP_PRIVATE, fd, (off_t)(at - before));
    return bytes == MAP_FAILED ? NULL : bytes + before;
}

void rp_os_unmap(const void *bytes, size_t size) {
    size_t before = into_page((uintptr_t)bytes);
    munmap((char *)bytes - before, before + size);
}

void rp_os_map_rest(const void *bytes, size_t size) {
    size_t before = into_page((uintptr_t)bytes);
    madvise((char *)bytes - before, before + size, MADV_DONTNEED);
}

/* ---- the process, the program and the machine ---- */

const char *rp_os_getenv(const char *name) {
    return variable(name);
}

const char *rp_os_cache(const char **between) {
    struct stat info;
    const char *base = variable("XDG_CACHE_HOME");
    *between = "";
    if (base && base[0] == '/') return base;
    base = variable("HOME");
    *between = "/.cache";
    return base && base[0] && !stat(base, &info) && S_ISDIR(info.st_mode) ? base : NULL;
}

long rp_os_process(void) {
    return (long)getpid();
}

long rp_os_processors(void) {
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    return processors > 0 ? processors : 1;
}

uint64_t rp_os_memory(void) {
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    return pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size : UINT64_MAX;
}

uint64_t rp_os_file_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit) || limit.rlim_cur == RLIM_INFINITY) return UINT64_MAX;
    return limit.rlim_cur;
}

void rp_os_host(char *out, size_t size) {
    out[0] = out[size - 1] = '\0';
    gethostname(out, size - 1);
}

bool rp_os_boot(char *out, size_t size) {
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    ssize_t got = read(fd, out, size);
    close(fd);
    return got == (ssize_t)size;
}

static void put_path(const char *path, char *out, size_t size) {
    size_t length = path ? strlen(path) : size;
    if (length >= size) length = 0;
    if (length) memcpy(out, path, length);
    out[length] = '\0';
}

void rp_os_library_of(const void *address, char *out, size_t size) {
    Dl_info info;
    put_path(dladdr(address, &info) ? info.dli_fname : NULL, out, size);
}

/* Where /proc is mounted, it holds wherever the program has gone since; else it is the path that the program
 * was started by. */
void rp_os_program(char *out, size_t size) {
    ssize_t got = readlink("/proc/self/exe", out, size - 1);
    out[got > 0 ? got : 0] = '\0';
#ifdef __linux__
    if (got <= 0) put_path((const char *)getauxval(AT_EXECFN), out, size);
#endif
}

bool rp_os_is_absolute(const char *path) {
    return path[0] == '/';
}

void *rp_os_library_open(const char *name, bool global) {
    return dlopen(name, RTLD_NOW | (global ? RTLD_GLOBAL : RTLD_LOCAL));
}

void *rp_os_symbol(void *library, const char *name) {
    return dlsym(library, name);
}

void rp_os_library_close(void *library) {
    dlclose(library);
}

#ifdef __APPLE__
void rp_os_condition_open(pthread_cond_t *condition) {
    pthread_cond_init(condition, NULL);
}

void rp_os_condition_wait(pthread_cond_t *condition, pthread_mutex_t *lock, double seconds) {
    const struct timespec length = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    pthread_cond_timedwait_relative_np(condition, lock, &length);
}
#else
void rp_os_condition_open(pthread_cond_t *condition) {
    pthread_condattr_t clock;
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &clock);
    pthread_condattr_destroy(&clock);
}

void rp_os_condition_wait(pthread_cond_t *condition, pthread_mutex_t *lock, double seconds) {
    struct timespec moment;
    clock_gettime(CLOCK_MONOTONIC, &moment);
    long whole = (long)seconds, nanoseconds = moment.tv_nsec + (long)((seconds - (double)whole) * 1e9);
    moment.tv_sec += whole + nanoseconds / 1000000000;
    moment.tv_nsec = nanoseconds % 1000000000;
    pthread_cond_timedwait(condition, lock, &moment);
}
#endif

/* ---- a child process ---- */

static bool open_pipe(int ends[2]) {
#ifdef __APPLE__
    if (pipe(ends)) return false;
    fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    fcntl(ends[1], F_SETFD, FD_CLOEXEC);
    return true;
#else
    return !pipe2(ends, O_CLOEXEC);
#endif
}

enum { NOT_STARTED = 127 };

/* What a forked child does until it is another program, with the few calls that are allowed there. It has no
 * signal that this process blocks or ignores, and its standard output is `out`. */
_Noreturn static void become(const char *program, char *const *argv, int out) {
    const struct sigaction usual = {.sa_handler = SIG_DFL};
    sigset_t none;
    bool good = dup2(out, 1) == 1 && !fcntl(1, F_SETFD, 0); /* which may be `out`, and would close */
    int nothing = open("/dev/null", O_RDWR);
    good = good && nothing >= 0 && dup2(nothing, 0) == 0 && dup2(nothing, 2) == 2;
    for (int number = 1; number < NSIG; number++) sigaction(number, &usual, NULL);
    sigemptyset(&none);
    if (good && !pthread_sigmask(SIG_SETMASK, &none, NULL)) execve(program, argv, environ);
    _exit(NOT_STARTED);
}

/* 0: it does not start. Android has posix_spawn since API 28. No signal reaches the child before it is the
 * other program: a handler of this one would run there. */
static pid_t spawn(const char *program, char *const *argv, int out) {
    sigset_t all, before;
    sigfillset(&all);
    if (pthread_sigmask(SIG_SETMASK, &all, &before)) return 0;
    pid_t child = fork();
    if (!child) become(program, argv, out);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return child > 0 ? child : 0;
}

bool rp_os_child_start(rp_os_child *child, const char *program, char *const *argv) {
    int ends[2];
    if (!open_pipe(ends)) return false;
    *child = (rp_os_child){.process = spawn(program, argv, ends[1]), .out = ends[0]};
    close(ends[1]);
    if (!child->process) close(ends[0]);
    return child->process != 0;
}

int rp_os_child_hear(rp_os_child *child) {
    struct pollfd wait = {.fd = (int)child->out, .events = POLLIN};
    unsigned char said = 0;
    int ready = poll(&wait, 1, 20);
    if (!ready || (ready < 0 && errno == EINTR)) return RP_OS_SILENT;
    ssize_t size = read((int)child->out, &said, 1);
    if (size < 0 && errno == EINTR) return RP_OS_SILENT;
    return size == 1 ? said : -1;
}

void rp_os_child_kill(rp_os_child *child) {
    kill((pid_t)child->process, SIGKILL);
}

/* What nobody but the process itself raises, or the system on behalf of what it does. */
static bool is_own_signal(int number) {
    static const int own[] = {SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGFPE, SIGTRAP, SIGSYS, SIGXCPU};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (number == own[i]) return true;
    return false;
}

rp_os_end rp_os_child_end(rp_os_child *child, int *code) {
    int status;
    pid_t ended;
    close((int)child->out);
    while ((ended = waitpid((pid_t)child->process, &status, 0)) < 0 && errno == EINTR) continue;
    if (ended != child->process) return RP_OS_END_UNKNOWN; /* the program does not keep its children */
    if (WIFSIGNALED(status)) return is_own_signal(WTERMSIG(status)) ? RP_OS_END_CRASHED : RP_OS_END_UNKNOWN;
    *code = WEXITSTATUS(status);
    return *code == NOT_STARTED ? RP_OS_END_UNKNOWN : RP_OS_END_EXITED;
}

void rp_os_child_settle(unsigned seconds) {
    const struct rlimit no_core = {0, 0}, time = {seconds, seconds + 1};
#ifdef __linux__
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_DUMPABLE, 0);
#endif
    setrlimit(RLIMIT_CORE, &no_core);
    setrlimit(RLIMIT_CPU, &time);
    struct rlimit files;
    int most = getrlimit(RLIMIT_NOFILE, &files) || files.rlim_cur > 4096 ? 4096 : (int)files.rlim_cur;
    for (int fd = 3; fd < most; fd++) close(fd);
}
