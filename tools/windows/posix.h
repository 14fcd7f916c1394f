/* What the command calls of POSIX, for Windows: the build has each of its files include this first. Paths are
 * UTF-8, and so is what the console reads and writes. posix.c has the functions, most of them over base/os.h.
 */
#ifndef REPRISE_WINDOWS_POSIX_H
#define REPRISE_WINDOWS_POSIX_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* asprintf */
#endif

#include <errno.h>
#include <fcntl.h>
#include <io.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>
#include <wchar.h>

#include "base/os.h"

/* ---- files ---- */

#undef stat
#undef fstat
#undef lstat
struct rp_windows_stat {
    unsigned st_mode;
    off_t st_size;
    uint64_t st_dev, st_ino;
};
int rp_windows_stat(const char *path, struct rp_windows_stat *out);
int rp_windows_lstat(const char *path, struct rp_windows_stat *out);
int rp_windows_fstat(int fd, struct rp_windows_stat *out);
#define stat rp_windows_stat
#define lstat rp_windows_lstat
#define fstat rp_windows_fstat

#define O_CLOEXEC 0x1000000
#define O_NONBLOCK 0x2000000
#define O_NOFOLLOW 0x4000000
#define O_NOCTTY 0
int rp_windows_open(const char *path, int flags, ...);
int rp_windows_access(const char *path, int how);
ssize_t rp_windows_read(int fd, void *data, size_t size);
ssize_t rp_windows_write(int fd, const void *data, size_t size);
char *rp_windows_realpath(const char *path, char *out); /* `out` NULL; the caller frees it */
ssize_t rp_windows_readlink(const char *path, char *out, size_t size);
int rp_windows_pipe(int ends[2]);
int rp_windows_fcntl(int fd, int what, ...);
#define open rp_windows_open
#define access rp_windows_access
#define read rp_windows_read
#define write rp_windows_write
#define readlink rp_windows_readlink
#define pipe rp_windows_pipe
#define fcntl rp_windows_fcntl
enum { F_GETFD, F_SETFD, F_SETFL, FD_CLOEXEC = 1 };
#define fsync rp_os_sync
#define pwrite rp_os_pwrite
#define realpath rp_windows_realpath
#define rename rp_os_rename
#define unlink rp_os_unlink
#define fopen rp_os_fopen
#define getenv rp_os_getenv
#define getpid rp_os_process

struct pollfd {
    int fd;
    short events, revents;
};
enum { POLLIN = 1, POLLOUT = 4 };
int rp_windows_poll(struct pollfd *files, unsigned count, int milliseconds);
#define poll rp_windows_poll

/* ---- signals and processes ---- */

#define SIGPIPE 13
#define sigaction rp_windows_sigaction
enum { SA_RESTART = 1 };
struct sigaction {
    void (*sa_handler)(int);
    int sa_flags;
};
int rp_windows_sigaction(int number, const struct sigaction *take, struct sigaction *old);
void (*rp_windows_signal(int number, void (*handler)(int)))(int);
int rp_windows_execv(const char *program, char **argv);
#define signal rp_windows_signal
#define execv rp_windows_execv
#define _SC_NPROCESSORS_ONLN 84
#define sysconf(what) rp_os_processors()

/* ---- the console ---- */

int rp_windows_mbtowc(wchar_t *out, const char *text, size_t size); /* of UTF-8 */
#define mbtowc rp_windows_mbtowc
struct winsize {
    unsigned short ws_row, ws_col;
};
#define TIOCGWINSZ 0
int rp_windows_console_size(int fd, int what, struct winsize *out);
int rp_windows_isatty(int fd);
int rp_windows_wcwidth(uint32_t point);
#define ioctl rp_windows_console_size
#define isatty rp_windows_isatty
#define wcwidth rp_windows_wcwidth

/* The command's main takes its arguments in UTF-8. */
#define main rp_command_main
int rp_command_main(int argc, char **argv);

#endif
