/* What the library asks of the operating system: os_posix.c has it for Linux, Android and macOS, os_windows.c
 * for Windows, and no other file knows which it is. Paths are UTF-8, their parts lie between slashes. Where a
 * function fails it returns -1, NULL or false as its kind of result has it, and errno says why, as POSIX
 * does. Every function may be called from any thread. */
#ifndef RP_BASE_OS_H
#define RP_BASE_OS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>
#include <pthread.h>

#if defined(_WIN32)
#define RP_OS_PROGRAM ".exe" /* how the files of programs end */
#define RP_OS_LIBRARY(name, version) name version ".dll"
#elif defined(__APPLE__)
#define RP_OS_PROGRAM ""
#define RP_OS_LIBRARY(name, version) name version ".dylib"
#else
#define RP_OS_PROGRAM ""
#define RP_OS_LIBRARY(name, version) name ".so" version
#endif

/* ---- files: descriptors are those of the C library ---- */

enum {
    RP_OS_READ = 1,
    RP_OS_WRITE = 2,
    RP_OS_CREATE = 4,   /* make the file where it is not there */
    RP_OS_NEW = 8,      /* with RP_OS_CREATE: fail with EEXIST where it is there */
    RP_OS_APPEND = 16,  /* each write goes to the end */
    RP_OS_NO_LINK = 32, /* fail where the name is a symbolic link */
    RP_OS_NOWAIT = 64,  /* do not wait for who is at the other end of a pipe */
    RP_OS_PRIVATE = 128 /* with RP_OS_CREATE: for the user alone */
};

/* A descriptor that no child process inherits; the caller closes it. -1: errno says why. */
int rp_os_open(const char *path, unsigned flags);
int rp_os_close(int fd);

/* Another descriptor of the same open file, which is neither 0, 1 nor 2. */
int rp_os_duplicate(int fd);

ssize_t rp_os_read(int fd, void *data, size_t size);
ssize_t rp_os_write(int fd, const void *data, size_t size);
ssize_t rp_os_pread(int fd, void *data, size_t size, uint64_t at);
ssize_t rp_os_pwrite(int fd, const void *data, size_t size, uint64_t at);
int rp_os_truncate(int fd, uint64_t size);

/* Have the disk hold what was written. */
int rp_os_sync(int fd);

/* The same for the names in a folder, where the system has such a thing. */
int rp_os_sync_folder(const char *path);

/* Hold the open file against other processes and other descriptors until it is closed, in whatever way the
 * process ends. Does not wait: -1 with EWOULDBLOCK where others hold it. */
int rp_os_lock(int fd);

/* The same for a folder: a descriptor that holds it. -1 with EWOULDBLOCK where others hold it; a file system
 * without locks locks nothing. */
int rp_os_lock_folder(const char *path);

/* Bytes for which the disk of the open file has room; false: it does not say. */
bool rp_os_room(int fd, uint64_t *bytes, uint64_t *block);

typedef enum rp_os_kind { RP_OS_OTHER, RP_OS_FILE, RP_OS_FOLDER } rp_os_kind;

typedef struct rp_os_info {
    rp_os_kind kind;
    bool trusted;                 /* no other user but root may have written it */
    uint64_t size, device, inode; /* the last two together are the file, whatever it is called */
    uint64_t links;               /* names that it has */
    int64_t seconds, nanoseconds; /* since 1970, when it was written last */
} rp_os_info;

int rp_os_stat(const char *path, rp_os_info *out);
int rp_os_lstat(const char *path, rp_os_info *out); /* of a symbolic link itself, which is RP_OS_OTHER */
int rp_os_fstat(int fd, rp_os_info *out);
bool rp_os_may_read(const char *path);
bool rp_os_may_run(const char *path);

/* Give a file or folder another name, in place of a file, or an empty folder, that has it. */
int rp_os_rename(const char *from, const char *to);
int rp_os_unlink(const char *path);
int rp_os_rmdir(const char *path);
int rp_os_mkdir(const char *path, unsigned mode);
int rp_os_link(const char *from, const char *to);
int rp_os_symlink(const char *target, const char *path);
ssize_t rp_os_readlink(const char *path, char *out, size_t size);

/* Remove the folder, or the file, with all that is in it, but follow no links. */
bool rp_os_remove_tree(const char *path);

/* `path` ends in XXXXXX, which is replaced by what makes a new name: a file for the user alone, and its
 * descriptor; or a folder, with the permissions that any has. */
int rp_os_temporary_file(char *path);
bool rp_os_temporary_folder(char *path);

/* The folder for files that nobody will look for. Valid until the environment changes. */
const char *rp_os_temporary(void);

/* A file in the folder that has no name and goes with its descriptor, until it is given one that nobody has
 * (EEXIST: somebody has it). -1: the system or the file system has no such files. */
int rp_os_open_unnamed(const char *dir);
int rp_os_give_name(int fd, const char *path);

/* What a folder holds, "." and ".." too; the name is valid until the next one. */
typedef struct rp_os_list rp_os_list;
rp_os_list *rp_os_list_open(const char *path);
const char *rp_os_list_next(rp_os_list *list); /* NULL: there are no more, or errno says why not */
int rp_os_list_stat(rp_os_list *list, const char *name, rp_os_info *out);
int rp_os_list_file(rp_os_list *list, const char *name); /* opened to be read; not where it is a link */
int rp_os_list_unlink(rp_os_list *list, const char *name);
void rp_os_list_close(rp_os_list *list);

/* As fopen and getline; the mode has a "b", so that lines end as they do in the file. */
FILE *rp_os_fopen(const char *path, const char *mode);
ssize_t rp_os_getline(char **line, size_t *room, FILE *file);

/* A file in memory. Closing gives its text, which the caller frees, and 0, or is -1. */
FILE *rp_os_memory_open(char **text, size_t *size);
int rp_os_memory_close(FILE *file, char **text, size_t *size);

/* ---- mapping ---- */

/* `size` bytes of the open file from `at` on, any byte, to be read; NULL: errno says why. They stay when the
 * descriptor is closed, until rp_os_unmap is given the same pointer and size. `size` is not 0, and the file
 * must have the bytes. On Windows nobody can remove or cut the file until then. */
const void *rp_os_map(int fd, uint64_t at, size_t size);
void rp_os_unmap(const void *bytes, size_t size);

/* Let the system drop the mapped pages, which are read again when they are used. */
void rp_os_map_rest(const void *bytes, size_t size);

/* ---- the process, the program and the machine ---- */

/* An environment variable in UTF-8, or NULL. A program that runs with more rights than its user has (setuid)
 * gets none, where the C library can tell. Valid until the environment changes. */
const char *rp_os_getenv(const char *name);

/* The folder in which caches of this user's programs are, and what comes between it and their names: NULL
 * where there is none. */
const char *rp_os_cache(const char **between);

long rp_os_process(void);
long rp_os_processors(void); /* at least 1 */
uint64_t rp_os_memory(void); /* bytes that the machine has; UINT64_MAX: it does not say */

/* Bytes that a file may have, for this process: a write beyond would end it. */
uint64_t rp_os_file_limit(void);

/* The machine's name, cut to fit. */
void rp_os_host(char *out, size_t size);

/* A text that tells this start of the system from all others; false: it does not say. */
bool rp_os_boot(char *out, size_t size);

/* The file that has `address` in it, a library or the program, as the system names it, and the program's own.
 * "": it does not say. */
void rp_os_library_of(const void *address, char *out, size_t size);
void rp_os_program(char *out, size_t size);
bool rp_os_is_absolute(const char *path);

/* A shared library; `global`: what is loaded later may use its functions. `name` NULL: the program with all
 * that it has loaded. */
void *rp_os_library_open(const char *name, bool global);
void *rp_os_symbol(void *library, const char *name);
void rp_os_library_close(void *library);

/* A condition, and waiting for it for so many seconds at most, by a clock that nobody sets. */
void rp_os_condition_open(pthread_cond_t *condition);
void rp_os_condition_wait(pthread_cond_t *condition, pthread_mutex_t *lock, double seconds);

/* ---- a child process, of which one hears a byte ---- */

typedef struct rp_os_child {
    intptr_t process, out; /* what it writes to its standard output comes to `out` */
    intptr_t job;          /* Windows: what ends it with this process */
} rp_os_child;

typedef enum rp_os_end {
    RP_OS_END_UNKNOWN, /* or it was ended by somebody else */
    RP_OS_END_EXITED,
    RP_OS_END_CRASHED /* by what it did itself */
} rp_os_end;

/* Start `program` with nothing of this process but its environment: no signal that it blocks or ignores, and
 * no file. */
bool rp_os_child_start(rp_os_child *child, const char *program, char *const *argv);

/* A byte, or -1: it closed its output; RP_OS_SILENT: nothing came in 20 ms. */
enum { RP_OS_SILENT = -2 };
int rp_os_child_hear(rp_os_child *child);
void rp_os_child_kill(rp_os_child *child);

/* Wait for its end; frees what the child took here. `*code`: what it exited with. */
rp_os_end rp_os_child_end(rp_os_child *child, int *code);

/* For a child that does what may crash: it ends with its parent and after so many processor seconds, leaves
 * no dump, and has no files but the standard ones. */
void rp_os_child_settle(unsigned seconds);

/* ---- what this system's C library lacks ---- */

#ifdef _WIN32
#ifndef EDQUOT
#define EDQUOT ENOSPC
#endif
char *strndup(const char *text, size_t most);
void *memmem(const void *in, size_t size, const void *what, size_t length);
struct tm;
long long timegm(struct tm *time);
#endif

#endif
