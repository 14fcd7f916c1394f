/* Windows 10 and later. Paths and names are UTF-8 outside of here and UTF-16 inside. */
#define WIN32_LEAN_AND_MEAN
#include "base/os.h"

#include <windows.h>

#include <errno.h>
#include <fcntl.h>
#include <io.h>
#include <stdlib.h>
#include <string.h>

/* ---- errors and names ---- */

static int error_of(DWORD error) {
    static const struct {
        DWORD error;
        int number;
    } known[] = {{ERROR_FILE_NOT_FOUND, ENOENT},
                 {ERROR_PATH_NOT_FOUND, ENOENT},
                 {ERROR_INVALID_NAME, ENOENT},
                 {ERROR_BAD_NETPATH, ENOENT},
                 {ERROR_INVALID_DRIVE, ENOENT},
                 {ERROR_FILE_EXISTS, EEXIST},
                 {ERROR_ALREADY_EXISTS, EEXIST},
                 {ERROR_ACCESS_DENIED, EACCES},
                 {ERROR_SHARING_VIOLATION, EACCES},
                 {ERROR_USER_MAPPED_FILE, EACCES},
                 {ERROR_LOCK_VIOLATION, EWOULDBLOCK},
                 {ERROR_IO_PENDING, EWOULDBLOCK},
                 {ERROR_NOT_ENOUGH_MEMORY, ENOMEM},
                 {ERROR_OUTOFMEMORY, ENOMEM},
                 {ERROR_COMMITMENT_LIMIT, ENOMEM},
                 {ERROR_DISK_FULL, ENOSPC},
                 {ERROR_HANDLE_DISK_FULL, ENOSPC},
                 {ERROR_DIR_NOT_EMPTY, ENOTEMPTY},
                 {ERROR_DIRECTORY, ENOTDIR},
                 {ERROR_BROKEN_PIPE, EPIPE},
                 {ERROR_NO_DATA, EPIPE},
                 {ERROR_INVALID_HANDLE, EBADF},
                 {ERROR_WRITE_PROTECT, EROFS},
                 {ERROR_FILENAME_EXCED_RANGE, ENAMETOOLONG},
                 {ERROR_TOO_MANY_OPEN_FILES, EMFILE},
                 {ERROR_NOT_SAME_DEVICE, EXDEV},
                 {ERROR_INVALID_PARAMETER, EINVAL},
                 {ERROR_NOT_SUPPORTED, EINVAL},
                 {ERROR_INVALID_FUNCTION, EINVAL}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].error == error) return known[i].number;
    return EIO;
}

static int fail(void) {
    errno = error_of(GetLastError());
    return -1;
}

static int done(BOOL good) {
    return good ? 0 : fail();
}

enum { PATH_UNITS = 4096 };

/* A path in UTF-16 with backslashes. Where it is long it is made absolute with the prefix that lifts the
 * limit of 260 units. False: errno says why. */
typedef struct wide_path {
    WCHAR text[PATH_UNITS + 8];
} wide_path;

static bool widen(const char *path, wide_path *out) {
    static const WCHAR prefix[] = L"\\\\?\\";
    int units = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, out->text, PATH_UNITS);
    if (!units) {
        errno = GetLastError() == ERROR_INSUFFICIENT_BUFFER ? ENAMETOOLONG : ENOENT;
        return false;
    }
    for (int i = 0; i < units; i++)
        if (out->text[i] == '/') out->text[i] = '\\';
    if (units < 240 || out->text[0] == '\\') return true;
    WCHAR *whole = malloc(PATH_UNITS * sizeof *whole);
    DWORD size = whole ? GetFullPathNameW(out->text, PATH_UNITS, whole, NULL) : 0;
    if (size && size < PATH_UNITS && whole[1] == ':') {
        memcpy(out->text, prefix, 4 * sizeof *prefix);
        memcpy(out->text + 4, whole, (size + 1) * sizeof *whole);
    }
    free(whole);
    return true;
}

/* To UTF-8, with slashes where `path`. "" where it does not fit. */
static void narrow(const WCHAR *text, bool path, char *out, size_t size) {
    int bytes = WideCharToMultiByte(CP_UTF8, 0, text, -1, out, (int)size, NULL, NULL);
    if (!bytes) out[0] = '\0';
    for (char *c = out; path && *c; c++)
        if (*c == '\\') *c = '/';
}

static HANDLE handle_of(int fd) {
    return (HANDLE)_get_osfhandle(fd);
}

static const DWORD share_all = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;

/* ---- files ---- */

static int descriptor_of(HANDLE handle, unsigned flags) {
    if (handle == INVALID_HANDLE_VALUE) return fail();
    int how = _O_BINARY | _O_NOINHERIT | (flags & RP_OS_WRITE ? 0 : _O_RDONLY);
    if (flags & RP_OS_APPEND) how |= _O_APPEND;
    int fd = _open_osfhandle((intptr_t)handle, how);
    if (fd < 0) CloseHandle(handle);
    return fd;
}

static bool is_link(const WCHAR *path) {
    DWORD kind = GetFileAttributesW(path);
    return kind != INVALID_FILE_ATTRIBUTES && kind & FILE_ATTRIBUTE_REPARSE_POINT;
}

static int open_wide(const WCHAR *path, unsigned flags) {
    DWORD access = 0, how = flags & RP_OS_NEW      ? CREATE_NEW
                            : flags & RP_OS_CREATE ? OPEN_ALWAYS
                                                   : OPEN_EXISTING;
    if (flags & RP_OS_READ) access |= GENERIC_READ;
    if (flags & RP_OS_WRITE) access |= GENERIC_WRITE;
    DWORD more = flags & RP_OS_READ && !(flags & RP_OS_WRITE) ? FILE_FLAG_BACKUP_SEMANTICS : 0;
    if (flags & RP_OS_NO_LINK && is_link(path)) {
        errno = EACCES;
        return -1;
    }
    return descriptor_of(CreateFileW(path, access, share_all, NULL, how, FILE_ATTRIBUTE_NORMAL | more, NULL),
                         flags);
}

int rp_os_open(const char *path, unsigned flags) {
    wide_path wide;
    return widen(path, &wide) ? open_wide(wide.text, flags) : -1;
}

int rp_os_close(int fd) {
    return _close(fd);
}

int rp_os_duplicate(int fd) {
    HANDLE own = GetCurrentProcess(), copy;
    if (!DuplicateHandle(own, handle_of(fd), own, &copy, 0, FALSE, DUPLICATE_SAME_ACCESS)) return fail();
    int got = descriptor_of(copy, RP_OS_READ | RP_OS_WRITE);
    if (got < 0 || got > 2) return got;
    int next = rp_os_duplicate(got); /* three at most are taken on the way */
    _close(got);
    return next;
}

enum { MOST = 1 << 30 };

ssize_t rp_os_read(int fd, void *data, size_t size) {
    DWORD got = 0;
    if (ReadFile(handle_of(fd), data, size < MOST ? (DWORD)size : MOST, &got, NULL)) return (ssize_t)got;
    return GetLastError() == ERROR_BROKEN_PIPE ? 0 : fail(); /* who wrote to the pipe has gone */
}

ssize_t rp_os_write(int fd, const void *data, size_t size) {
    return _write(fd, data, size < MOST ? (unsigned)size : MOST); /* which knows RP_OS_APPEND */
}

static OVERLAPPED place_of(uint64_t at) {
    OVERLAPPED place = {0};
    place.Offset = (DWORD)at;
    place.OffsetHigh = (DWORD)(at >> 32);
    return place;
}

/* The descriptor's own place moves as well, which nobody who reads at places looks at. */
ssize_t rp_os_pread(int fd, void *data, size_t size, uint64_t at) {
    OVERLAPPED place = place_of(at);
    DWORD got = 0;
    if (ReadFile(handle_of(fd), data, size < MOST ? (DWORD)size : MOST, &got, &place)) return (ssize_t)got;
    return GetLastError() == ERROR_HANDLE_EOF ? 0 : fail();
}

ssize_t rp_os_pwrite(int fd, const void *data, size_t size, uint64_t at) {
    OVERLAPPED place = place_of(at);
    DWORD wrote = 0;
    if (WriteFile(handle_of(fd), data, size < MOST ? (DWORD)size : MOST, &wrote, &place))
        return (ssize_t)wrote;
    return fail();
}

int rp_os_truncate(int fd, uint64_t size) {
    FILE_END_OF_FILE_INFO end = {.EndOfFile.QuadPart = (LONGLONG)size};
    return done(SetFileInformationByHandle(handle_of(fd), FileEndOfFileInfo, &end, sizeof end));
}

int rp_os_sync(int fd) {
    return done(FlushFileBuffers(handle_of(fd)));
}

int rp_os_sync_folder(const char *path) {
    (void)path; /* names are in NTFS's journal */
    return 0;
}

/* A byte far behind any end, so that reading goes on. */
int rp_os_lock(int fd) {
    OVERLAPPED place = place_of(1ull << 62);
    return done(
        LockFileEx(handle_of(fd), LOCKFILE_EXCLUSIVE_LOCK | LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &place));
}

/* A pipe that is named by the folder, and of which there may be one: a handle of the folder itself would keep
 * others, and this process, from listing it and from moving files into it. */
int rp_os_lock_folder(const char *path) {
    rp_os_info info;
    WCHAR name[80];
    if (rp_os_stat(path, &info)) return -1;
    swprintf(name, sizeof name / sizeof *name, L"\\\\.\\pipe\\reprise-%08x-%016llx", (unsigned)info.device,
             (unsigned long long)info.inode);
    HANDLE handle = CreateNamedPipeW(name, PIPE_ACCESS_INBOUND | FILE_FLAG_FIRST_PIPE_INSTANCE,
                                     PIPE_TYPE_BYTE, 1, 0, 0, 0, NULL);
    DWORD why = GetLastError();
    if (handle == INVALID_HANDLE_VALUE && (why == ERROR_ACCESS_DENIED || why == ERROR_PIPE_BUSY)) {
        errno = EWOULDBLOCK;
        return -1;
    }
    return descriptor_of(handle, RP_OS_READ);
}

bool rp_os_room(int fd, uint64_t *bytes, uint64_t *block) {
    WCHAR *path = malloc(PATH_UNITS * sizeof *path);
    ULARGE_INTEGER room;
    DWORD size = path ? GetFinalPathNameByHandleW(handle_of(fd), path, PATH_UNITS, 0) : 0;
    bool good = size && size < PATH_UNITS;
    while (good && size && path[size - 1] != '\\') path[--size] = 0;
    good = good && GetDiskFreeSpaceExW(path, &room, NULL, NULL);
    free(path);
    if (good) *bytes = room.QuadPart;
    *block = 4096;
    return good;
}

static int describe(HANDLE handle, rp_os_info *out) {
    BY_HANDLE_FILE_INFORMATION info;
    *out = (rp_os_info){.kind = RP_OS_OTHER, .trusted = true};
    if (GetFileType(handle) != FILE_TYPE_DISK) return GetFileType(handle) == FILE_TYPE_UNKNOWN ? fail() : 0;
    if (!GetFileInformationByHandle(handle, &info)) return fail();
    uint64_t time = (uint64_t)info.ftLastWriteTime.dwHighDateTime << 32 | info.ftLastWriteTime.dwLowDateTime;
    out->kind = info.dwFileAttributes & FILE_ATTRIBUTE_REPARSE_POINT ? RP_OS_OTHER
                : info.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY   ? RP_OS_FOLDER
                                                                     : RP_OS_FILE;
    out->size = (uint64_t)info.nFileSizeHigh << 32 | info.nFileSizeLow;
    out->device = info.dwVolumeSerialNumber;
    out->inode = (uint64_t)info.nFileIndexHigh << 32 | info.nFileIndexLow;
    out->links = info.nNumberOfLinks;
    out->seconds = (int64_t)(time / 10000000) - 11644473600; /* from 1601 to 1970 */
    out->nanoseconds = (int64_t)(time % 10000000) * 100;
    return 0;
}

static int describe_path(const char *path, DWORD more, rp_os_info *out) {
    wide_path wide;
    if (!widen(path, &wide)) return -1;
    HANDLE handle = CreateFileW(wide.text, FILE_READ_ATTRIBUTES, share_all, NULL, OPEN_EXISTING,
                                FILE_FLAG_BACKUP_SEMANTICS | more, NULL);
    if (handle == INVALID_HANDLE_VALUE) return fail();
    int failed = describe(handle, out), why = errno;
    CloseHandle(handle);
    errno = why;
    return failed;
}

int rp_os_stat(const char *path, rp_os_info *out) {
    return describe_path(path, 0, out);
}

int rp_os_lstat(const char *path, rp_os_info *out) {
    return describe_path(path, FILE_FLAG_OPEN_REPARSE_POINT, out);
}

int rp_os_fstat(int fd, rp_os_info *out) {
    return describe(handle_of(fd), out);
}

bool rp_os_may_read(const char *path) {
    wide_path wide;
    return widen(path, &wide) && !_waccess(wide.text, 4);
}

bool rp_os_may_run(const char *path) {
    return rp_os_may_read(path);
}

/* A file that somebody reads at this moment cannot be replaced: a few times that is waited for. */
int rp_os_rename(const char *from, const char *to) {
    enum { TIMES = 20 };
    wide_path *wide = malloc(2 * sizeof *wide);
    int failed = -1;
    if (!wide) errno = ENOMEM;
    for (int i = 0; wide && widen(from, &wide[0]) && widen(to, &wide[1]) && i < TIMES; i++) {
        DWORD kind = GetFileAttributesW(wide[1].text);
        bool folder = kind != INVALID_FILE_ATTRIBUTES && kind & FILE_ATTRIBUTE_DIRECTORY;
        if (folder) {
            DWORD own = GetFileAttributesW(wide[0].text);
            errno = EISDIR;
            if (own == INVALID_FILE_ATTRIBUTES || !(own & FILE_ATTRIBUTE_DIRECTORY)) break;
            if (!RemoveDirectoryW(wide[1].text) && fail()) break;
        }
        failed = done(MoveFileExW(wide[0].text, wide[1].text, MOVEFILE_REPLACE_EXISTING));
        if (!failed || errno != EACCES) break;
        Sleep(5);
    }
    int why = errno;
    free(wide);
    errno = why;
    return failed;
}

int rp_os_unlink(const char *path) {
    wide_path wide;
    return widen(path, &wide) ? done(DeleteFileW(wide.text)) : -1;
}

int rp_os_rmdir(const char *path) {
    wide_path wide;
    return widen(path, &wide) ? done(RemoveDirectoryW(wide.text)) : -1;
}

int rp_os_mkdir(const char *path, unsigned mode) {
    wide_path wide;
    (void)mode; /* the user's folders are the user's */
    return widen(path, &wide) ? done(CreateDirectoryW(wide.text, NULL)) : -1;
}

int rp_os_link(const char *from, const char *to) {
    wide_path *wide = malloc(2 * sizeof *wide);
    if (!wide) errno = ENOMEM;
    bool good = wide && widen(from, &wide[0]) && widen(to, &wide[1]);
    int failed = good ? done(CreateHardLinkW(wide[1].text, wide[0].text, NULL)) : -1, why = errno;
    free(wide);
    errno = why;
    return failed;
}

int rp_os_symlink(const char *target, const char *path) {
    (void)target, (void)path; /* a user needs a right for it that few have */
    errno = EPERM;
    return -1;
}

ssize_t rp_os_readlink(const char *path, char *out, size_t size) {
    (void)path, (void)out, (void)size;
    errno = EINVAL;
    return -1;
}

static bool remove_wide(WCHAR *path, size_t length) {
    WIN32_FIND_DATAW found;
    DWORD kind = GetFileAttributesW(path);
    if (kind == INVALID_FILE_ATTRIBUTES) return GetLastError() == ERROR_FILE_NOT_FOUND || !fail();
    if (!(kind & FILE_ATTRIBUTE_DIRECTORY)) return !done(DeleteFileW(path));
    if (kind & FILE_ATTRIBUTE_REPARSE_POINT) return !done(RemoveDirectoryW(path));
    if (length + 2 + MAX_PATH >= PATH_UNITS) return errno = ENAMETOOLONG, false;
    wcscpy(path + length, L"\\*");
    HANDLE list = FindFirstFileW(path, &found);
    bool good = list != INVALID_HANDLE_VALUE;
    for (bool more = good; more; more = FindNextFileW(list, &found)) {
        if (!wcscmp(found.cFileName, L".") || !wcscmp(found.cFileName, L"..")) continue;
        wcscpy(path + length + 1, found.cFileName);
        good = remove_wide(path, length + 1 + wcslen(found.cFileName)) && good;
    }
    if (list != INVALID_HANDLE_VALUE) FindClose(list);
    path[length] = 0;
    return good && !done(RemoveDirectoryW(path));
}

bool rp_os_remove_tree(const char *path) {
    wide_path wide;
    return widen(path, &wide) && (remove_wide(wide.text, wcslen(wide.text)) || errno == ENOENT);
}

/* Put letters in place of the XXXXXX. */
static void vary(char *path, unsigned again) {
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz012345";
    LARGE_INTEGER now;
    QueryPerformanceCounter(&now);
    uint64_t number = ((uint64_t)now.QuadPart * 2654435761u) ^ ((uint64_t)GetCurrentProcessId() << 16) ^
                      ((uint64_t)GetCurrentThreadId() << 8) ^ again;
    for (char *at = path + strlen(path) - 6; *at; at++, number >>= 5) *at = letters[number & 31];
}

int rp_os_temporary_file(char *path) {
    enum { TIMES = 100 };
    int fd = -1;
    for (unsigned i = 0; i < TIMES && fd < 0; i++) {
        wide_path wide;
        vary(path, i);
        if (!widen(path, &wide)) return -1;
        fd = open_wide(wide.text, RP_OS_READ | RP_OS_WRITE | RP_OS_CREATE | RP_OS_NEW);
        if (fd < 0 && errno != EEXIST) return -1;
    }
    return fd;
}

bool rp_os_temporary_folder(char *path) {
    enum { TIMES = 100 };
    for (unsigned i = 0; i < TIMES; i++) {
        wide_path wide;
        vary(path, i);
        if (!widen(path, &wide)) return false;
        if (!done(CreateDirectoryW(wide.text, NULL))) return true;
        if (errno != EEXIST) return false;
    }
    return false;
}

int rp_os_open_unnamed(const char *dir) {
    (void)dir;
    errno = EINVAL;
    return -1;
}

int rp_os_give_name(int fd, const char *path) {
    (void)fd, (void)path;
    errno = EINVAL;
    return -1;
}

struct rp_os_list {
    HANDLE handle;
    WIN32_FIND_DATAW found;
    bool first;
    char name[3 * MAX_PATH + 1];
    char dir[];
};

rp_os_list *rp_os_list_open(const char *path) {
    wide_path wide;
    size_t size = strlen(path);
    if (!widen(path, &wide)) return NULL;
    rp_os_list *list = malloc(sizeof *list + size + 1);
    if (!list) return errno = ENOMEM, NULL;
    memcpy(list->dir, path, size + 1);
    size_t length = wcslen(wide.text);
    wcscpy(wide.text + length, length && wide.text[length - 1] == '\\' ? L"*" : L"\\*");
    list->first = true;
    list->handle = FindFirstFileW(wide.text, &list->found);
    if (list->handle != INVALID_HANDLE_VALUE) return list;
    fail();
    free(list);
    return NULL;
}

const char *rp_os_list_next(rp_os_list *list) {
    if (!list->first && !FindNextFileW(list->handle, &list->found)) {
        if (GetLastError() != ERROR_NO_MORE_FILES) fail();
        return NULL;
    }
    list->first = false;
    narrow(list->found.cFileName, false, list->name, sizeof list->name);
    return list->name;
}

static bool path_in(const rp_os_list *list, const char *name, char out[PATH_UNITS]) {
    if (snprintf(out, PATH_UNITS, "%s/%s", list->dir, name) < PATH_UNITS) return true;
    errno = ENAMETOOLONG;
    return false;
}

int rp_os_list_stat(rp_os_list *list, const char *name, rp_os_info *out) {
    char path[PATH_UNITS];
    return path_in(list, name, path) ? describe_path(path, 0, out) : -1;
}

int rp_os_list_file(rp_os_list *list, const char *name) {
    char path[PATH_UNITS];
    return path_in(list, name, path) ? rp_os_open(path, RP_OS_READ | RP_OS_NO_LINK) : -1;
}

int rp_os_list_unlink(rp_os_list *list, const char *name) {
    char path[PATH_UNITS];
    return path_in(list, name, path) ? rp_os_unlink(path) : -1;
}

void rp_os_list_close(rp_os_list *list) {
    FindClose(list->handle);
    free(list);
}
