/* What posix.h promises. */
#define WIN32_LEAN_AND_MEAN
#include <windows.h>

#include <errno.h>
#include <fcntl.h>
#include <io.h>
#include <process.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "posix.h"

#undef main
#undef isatty
#undef signal
#undef execv

static HANDLE handle_of(int fd) {
    return (HANDLE)_get_osfhandle(fd);
}

static bool is_console(HANDLE handle) {
    DWORD mode;
    return GetConsoleMode(handle, &mode);
}

/* ---- files ---- */

static int put_info(int failed, const rp_os_info *info, struct rp_windows_stat *out) {
    if (failed) return -1;
    *out = (struct rp_windows_stat){.st_mode = info->kind == RP_OS_FILE     ? S_IFREG
                                               : info->kind == RP_OS_FOLDER ? S_IFDIR
                                                                            : S_IFCHR,
                                    .st_size = (off_t)info->size,
                                    .st_dev = info->device,
                                    .st_ino = info->inode};
    return 0;
}

int rp_windows_stat(const char *path, struct rp_windows_stat *out) {
    rp_os_info info;
    return put_info(rp_os_stat(path, &info), &info, out);
}

int rp_windows_lstat(const char *path, struct rp_windows_stat *out) {
    rp_os_info info;
    return put_info(rp_os_lstat(path, &info), &info, out);
}

int rp_windows_fstat(int fd, struct rp_windows_stat *out) {
    rp_os_info info;
    return put_info(rp_os_fstat(fd, &info), &info, out);
}

int rp_windows_open(const char *path, int flags, ...) {
    int way = flags & (O_RDONLY | O_WRONLY | O_RDWR);
    unsigned how = way == O_RDONLY ? RP_OS_READ : way == O_WRONLY ? RP_OS_WRITE : RP_OS_READ | RP_OS_WRITE;
    if (flags & O_CREAT) how |= RP_OS_CREATE;
    if (flags & O_EXCL) how |= RP_OS_NEW;
    if (flags & O_APPEND) how |= RP_OS_APPEND;
    if (flags & O_NOFOLLOW) how |= RP_OS_NO_LINK;
    int fd = rp_os_open(strcmp(path, "/dev/null") ? path : "NUL", how);
    if (fd >= 0 && flags & O_TRUNC && rp_os_truncate(fd, 0)) {
        int why = errno;
        rp_os_close(fd);
        errno = why;
        return -1;
    }
    return fd;
}

/* Whether it can be written to is seen when it is written. */
int rp_windows_access(const char *path, int how) {
    rp_os_info info;
    (void)how;
    return rp_os_stat(path, &info);
}

/* What was typed comes as UTF-16, a line at a time; what one call does not take waits for the next. */
static ssize_t read_console(HANDLE console, char *data, size_t size) {
    static char text[3 * 1024];
    static size_t begin, end;
    WCHAR wide[1024];
    DWORD units = 0;
    if (begin == end) {
        begin = end = 0;
        if (!ReadConsoleW(console, wide, 1024, &units, NULL)) return 0;
        if (units && wide[0] == 26) return 0; /* Ctrl-Z */
        int bytes = WideCharToMultiByte(CP_UTF8, 0, wide, (int)units, text, sizeof text, NULL, NULL);
        end = bytes > 0 ? (size_t)bytes : 0;
    }
    size_t taken = end - begin < size ? end - begin : size;
    memcpy(data, text + begin, taken);
    begin += taken;
    return (ssize_t)taken;
}

ssize_t rp_windows_read(int fd, void *data, size_t size) {
    HANDLE handle = handle_of(fd);
    return is_console(handle) ? read_console(handle, data, size) : rp_os_read(fd, data, size);
}

ssize_t rp_windows_write(int fd, const void *data, size_t size) {
    enum { MOST = 1 << 20 };
    DWORD wrote = 0;
    if (WriteFile(handle_of(fd), data, size < MOST ? (DWORD)size : MOST, &wrote, NULL)) return (ssize_t)wrote;
    DWORD why = GetLastError();
    errno = why == ERROR_NO_DATA || why == ERROR_BROKEN_PIPE            ? EPIPE
            : why == ERROR_DISK_FULL || why == ERROR_HANDLE_DISK_FULL   ? ENOSPC
            : why == ERROR_INVALID_HANDLE || why == ERROR_ACCESS_DENIED ? EBADF
                                                                        : EIO;
    return -1;
}

char *rp_windows_realpath(const char *path, char *out) {
    (void)out;
    return strdup(path);
}

ssize_t rp_windows_readlink(const char *path, char *out, size_t size) {
    if (strcmp(path, "/proc/self/exe")) return rp_os_readlink(path, out, size);
    rp_os_program(out, size);
    return (ssize_t)strlen(out);
}

int rp_windows_pipe(int ends[2]) {
    return _pipe(ends, 4096, _O_BINARY | _O_NOINHERIT);
}

int rp_windows_fcntl(int fd, int what, ...) {
    (void)what;
    return _get_osfhandle(fd) == -1 ? -1 : 0;
}

/* Files and consoles can be read always (reading a console waits, and Ctrl-C ends that); a pipe when it holds
 * something or nobody writes to it any more. */
static bool can_read(int fd) {
    HANDLE handle = handle_of(fd);
    DWORD there = 0;
    if (GetFileType(handle) != FILE_TYPE_PIPE) return true;
    return !PeekNamedPipe(handle, NULL, 0, NULL, &there, NULL) || there;
}

int rp_windows_poll(struct pollfd *files, unsigned count, int milliseconds) {
    for (;;) {
        int ready = 0;
        for (unsigned i = 0; i < count; i++) {
            bool good = files[i].fd >= 0 && (!(files[i].events & POLLIN) || can_read(files[i].fd));
            files[i].revents = good ? files[i].events : 0;
            ready += good;
        }
        if (ready || !milliseconds) return ready;
        Sleep(5);
        if (milliseconds > 0) milliseconds = milliseconds > 5 ? milliseconds - 5 : 0;
    }
}

/* ---- signals and processes ---- */

static void (*handler)(int);

/* In a thread of the system's. */
static BOOL WINAPI take_event(DWORD event) {
    if (event == CTRL_CLOSE_EVENT || !handler) return FALSE;
    handler(SIGINT);
    return TRUE;
}

int rp_windows_sigaction(int number, const struct sigaction *take, struct sigaction *old) {
    if (old) *old = (struct sigaction){0};
    if (!take || number != SIGINT) return 0;
    handler = take->sa_handler;
    return SetConsoleCtrlHandler(take_event, TRUE) ? 0 : -1;
}

void (*rp_windows_signal(int number, void (*take)(int)))(int) {
    return number == SIGPIPE ? SIG_IGN : signal(number, take); /* there is none: writing says EPIPE */
}

/* Nobody can become another program here: it is waited for. */
int rp_windows_execv(const char *program, char **argv) {
    intptr_t status = _spawnv(_P_WAIT, program, (const char *const *)argv);
    if (status < 0) return -1;
    exit((int)status);
}

/* ---- the console ---- */

int rp_windows_isatty(int fd) {
    return is_console(handle_of(fd));
}

int rp_windows_mbtowc(wchar_t *out, const char *text, size_t size) {
    int length = (int)size;
    while (length && !MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text, length, out, 1)) length--;
    return length ? length : -1;
}

int rp_windows_console_size(int fd, int what, struct winsize *out) {
    CONSOLE_SCREEN_BUFFER_INFO info;
    (void)what;
    if (!GetConsoleScreenBufferInfo(handle_of(fd), &info)) return -1;
    out->ws_col = (unsigned short)(info.srWindow.Right - info.srWindow.Left); /* the last one would wrap */
    out->ws_row = (unsigned short)(info.srWindow.Bottom - info.srWindow.Top + 1);
    return 0;
}

/* Columns: none for marks that stand over others, two for East Asian letters and pictures. */
int rp_windows_wcwidth(uint32_t point) {
    static const struct {
        uint32_t first, last;
        int columns;
    } ranges[] = {{0x300, 0x36f, 0},   {0x483, 0x489, 0},   {0x591, 0x5bd, 0},     {0x610, 0x61a, 0},
                  {0x64b, 0x65f, 0},   {0x93c, 0x93c, 0},   {0x941, 0x948, 0},     {0xe34, 0xe3a, 0},
                  {0xe47, 0xe4e, 0},   {0x1100, 0x115f, 2}, {0x1ab0, 0x1aff, 0},   {0x1dc0, 0x1dff, 0},
                  {0x200b, 0x200f, 0}, {0x20d0, 0x20ff, 0}, {0x2e80, 0x303e, 2},   {0x3041, 0xa4cf, 2},
                  {0xac00, 0xd7a3, 2}, {0xf900, 0xfaff, 2}, {0xfe00, 0xfe0f, 0},   {0xfe30, 0xfe6f, 2},
                  {0xff00, 0xff60, 2}, {0xffe0, 0xffe6, 2}, {0x1f300, 0x1faff, 2}, {0x20000, 0x3fffd, 2}};
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (point >= ranges[i].first && point <= ranges[i].last) return ranges[i].columns;
    return 1;
}

/* ---- arguments ---- */

/* As this process was given it: with a console in UTF-8 that understands colours, and files as they are. */
static void set_up(void) {
    DWORD mode;
    for (int fd = 0; fd <= 2; fd++)
        if (_get_osfhandle(fd) != -1) _setmode(fd, _O_BINARY);
    SetConsoleOutputCP(CP_UTF8);
    for (DWORD which = STD_OUTPUT_HANDLE;; which = STD_ERROR_HANDLE) {
        HANDLE console = GetStdHandle(which);
        if (GetConsoleMode(console, &mode))
            SetConsoleMode(console, mode | ENABLE_VIRTUAL_TERMINAL_PROCESSING | ENABLE_PROCESSED_OUTPUT);
        if (which == STD_ERROR_HANDLE) return;
    }
}

int wmain(int argc, wchar_t **wide) {
    char **argv = calloc((size_t)argc + 1, sizeof *argv);
    for (int i = 0; argv && i < argc; i++) {
        int bytes = WideCharToMultiByte(CP_UTF8, 0, wide[i], -1, NULL, 0, NULL, NULL);
        argv[i] = bytes > 0 ? malloc((size_t)bytes) : NULL;
        if (!argv[i]) return 1;
        WideCharToMultiByte(CP_UTF8, 0, wide[i], -1, argv[i], bytes, NULL, NULL);
    }
    set_up();
    return argv ? rp_command_main(argc, argv) : 1;
}
