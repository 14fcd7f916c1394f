/* Windows: streams, mapping, the process, the machine and a child process. */
#define WIN32_LEAN_AND_MEAN
#include <windows.h>

#include <errno.h>
#include <fcntl.h>
#include <io.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <wchar.h>

#include "base/os.h"

enum { PATH_UNITS = 4096 };

static const DWORD share_all = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;

/* A new string in UTF-16; NULL: errno says why. The caller frees it. */
static WCHAR *widen(const char *text) {
    int units = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text, -1, NULL, 0);
    WCHAR *wide = units > 0 ? malloc((size_t)units * sizeof *wide) : NULL;
    errno = units > 0 ? ENOMEM : ENOENT;
    if (wide) MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text, -1, wide, units);
    return wide;
}

/* A new string in UTF-8, or NULL. */
static char *narrow(const WCHAR *text) {
    int bytes = WideCharToMultiByte(CP_UTF8, 0, text, -1, NULL, 0, NULL, NULL);
    char *out = bytes > 0 ? malloc((size_t)bytes) : NULL;
    if (out) WideCharToMultiByte(CP_UTF8, 0, text, -1, out, bytes, NULL, NULL);
    return out;
}

/* A path in UTF-8, with slashes; "" where there is none or it does not fit. */
static void put_path(const WCHAR *text, DWORD units, char *out, size_t size) {
    char *path = units && units < PATH_UNITS ? narrow(text) : NULL;
    size_t length = path ? strlen(path) : 0;
    if (length >= size) length = 0;
    for (size_t i = 0; i < length; i++) out[i] = path[i] == '\\' ? '/' : path[i];
    out[length] = '\0';
    free(path);
}

/* ---- streams ---- */

FILE *rp_os_fopen(const char *path, const char *mode) {
    bool reads = mode[0] == 'r', both = strchr(mode, '+') != NULL;
    unsigned flags = (reads || both ? RP_OS_READ : 0) | (!reads || both ? RP_OS_WRITE : 0) |
                     (reads ? 0 : RP_OS_CREATE) | (mode[0] == 'a' ? RP_OS_APPEND : 0);
    int fd = rp_os_open(path, flags);
    FILE *file = NULL;
    if (fd >= 0 && (mode[0] != 'w' || !rp_os_truncate(fd, 0))) file = _fdopen(fd, mode);
    int why = errno;
    if (!file && fd >= 0) rp_os_close(fd);
    errno = why;
    return file;
}

ssize_t rp_os_getline(char **line, size_t *room, FILE *file) {
    size_t size = 0;
    for (int c = 0; c != '\n' && (c = getc(file)) != EOF;) {
        if (size + 2 > *room || !*line) {
            size_t more = 2 * size + 128;
            char *grown = realloc(*line, more);
            if (!grown) return errno = ENOMEM, -1;
            *line = grown;
            *room = more;
        }
        (*line)[size++] = (char)c;
        (*line)[size] = '\0';
    }
    return size ? (ssize_t)size : -1;
}

const char *rp_os_temporary(void) {
    const char *folder = rp_os_getenv("TMP");
    if (!folder || !*folder) folder = rp_os_getenv("TEMP");
    return folder && *folder ? folder : "C:/Windows/Temp";
}

/* It lies on the disk until it is closed: the C library has none in memory. */
FILE *rp_os_memory_open(char **text, size_t *size) {
    char path[PATH_UNITS];
    FILE *file = NULL;
    *text = NULL;
    *size = 0;
    snprintf(path, sizeof path, "%s/reprise-XXXXXX", rp_os_temporary());
    int fd = rp_os_temporary_file(path);
    if (fd >= 0) file = _fdopen(fd, "w+b");
    if (fd >= 0) rp_os_unlink(path); /* goes when it is closed */
    if (fd >= 0 && !file) rp_os_close(fd);
    return file;
}

int rp_os_memory_close(FILE *file, char **text, size_t *size) {
    long end = fflush(file) || fseek(file, 0, SEEK_END) ? -1 : ftell(file);
    *text = end >= 0 ? malloc((size_t)end + 1) : NULL;
    rewind(file);
    *size = *text ? fread(*text, 1, (size_t)end, file) : 0;
    if (*text) (*text)[*size] = '\0';
    bool bad = !*text || *size != (size_t)end;
    fclose(file);
    return bad ? -1 : 0;
}

/* ---- mapping: a view begins at a multiple of what GetSystemInfo calls the granularity ---- */

enum { GRANULARITY = 1 << 16 };

const void *rp_os_map(int fd, uint64_t at, size_t size) {
    uint64_t before = at % GRANULARITY, from = at - before;
    HANDLE mapping = CreateFileMappingW((HANDLE)_get_osfhandle(fd), NULL, PAGE_READONLY, 0, 0, NULL);
    const char *bytes = NULL;
    if (mapping && size <= SIZE_MAX - before)
        bytes =
            MapViewOfFile(mapping, FILE_MAP_READ, (DWORD)(from >> 32), (DWORD)from, (size_t)before + size);
    DWORD why = GetLastError();
    if (mapping) CloseHandle(mapping); /* the view keeps it */
    if (!bytes) errno = why == ERROR_NOT_ENOUGH_MEMORY || why == ERROR_COMMITMENT_LIMIT ? ENOMEM : EACCES;
    return bytes ? bytes + before : NULL;
}

void rp_os_unmap(const void *bytes, size_t size) {
    (void)size;
    UnmapViewOfFile((const char *)bytes - (uintptr_t)bytes % GRANULARITY);
}

void rp_os_map_rest(const void *bytes, size_t size) {
    VirtualUnlock((void *)bytes,
                  size); /* of pages that are not locked this takes them out of the working set */
}

/* ---- the process, the program and the machine ---- */

/* Values that were asked for, kept since the caller frees none. */
typedef struct value {
    struct value *next;
    char text[];
} value;

static pthread_mutex_t values_lock = PTHREAD_MUTEX_INITIALIZER;
static value *values;

static const char *keep(const char *text) {
    size_t size = strlen(text) + 1;
    pthread_mutex_lock(&values_lock);
    value *found = values;
    while (found && strcmp(found->text, text)) found = found->next;
    if (!found && (found = malloc(sizeof *found + size))) {
        memcpy(found->text, text, size);
        found->next = values;
        values = found;
    }
    pthread_mutex_unlock(&values_lock);
    return found ? found->text : NULL;
}

const char *rp_os_getenv(const char *name) {
    WCHAR *wide = widen(name);
    DWORD units = wide ? GetEnvironmentVariableW(wide, NULL, 0) : 0;
    WCHAR *text = units ? calloc(units, sizeof *text) : NULL;
    if (text) GetEnvironmentVariableW(wide, text, units);
    char *utf8 = text ? narrow(text) : NULL;
    const char *kept = utf8 ? keep(utf8) : NULL;
    free(utf8);
    free(text);
    free(wide);
    return kept;
}

const char *rp_os_cache(const char **between) {
    const char *base = rp_os_getenv("LOCALAPPDATA");
    *between = "";
    return base && rp_os_is_absolute(base) ? base : NULL;
}

long rp_os_process(void) {
    return (long)GetCurrentProcessId();
}

long rp_os_processors(void) {
    DWORD processors = GetActiveProcessorCount(ALL_PROCESSOR_GROUPS);
    return processors ? (long)processors : 1;
}

uint64_t rp_os_memory(void) {
    MEMORYSTATUSEX status = {.dwLength = sizeof status};
    return GlobalMemoryStatusEx(&status) ? status.ullTotalPhys : UINT64_MAX;
}

uint64_t rp_os_file_limit(void) {
    return UINT64_MAX;
}

void rp_os_host(char *out, size_t size) {
    DWORD room = (DWORD)size;
    if (!GetComputerNameA(out, &room)) out[0] = '\0';
}

bool rp_os_boot(char *out, size_t size) {
    (void)out, (void)size;
    return false;
}

static void put_module(HMODULE module, char *out, size_t size) {
    WCHAR *path = malloc(PATH_UNITS * sizeof *path);
    put_path(path, path ? GetModuleFileNameW(module, path, PATH_UNITS) : 0, out, size);
    free(path);
}

void rp_os_library_of(const void *address, char *out, size_t size) {
    HMODULE module = NULL;
    const DWORD how = GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT;
    out[0] = '\0';
    if (GetModuleHandleExW(how, address, &module)) put_module(module, out, size);
}

void rp_os_program(char *out, size_t size) {
    put_module(NULL, out, size);
}

bool rp_os_is_absolute(const char *path) {
    bool slashes = (path[0] == '/' || path[0] == '\\') && path[1] == path[0];
    return slashes || (path[0] && path[1] == ':' && (path[2] == '/' || path[2] == '\\'));
}

/* What is loaded so on other systems, MPI and libcurl, is not used here. */
void *rp_os_library_open(const char *name, bool global) {
    (void)name, (void)global;
    return NULL;
}

void *rp_os_symbol(void *library, const char *name) {
    (void)library, (void)name;
    return NULL;
}

void rp_os_library_close(void *library) {
    (void)library;
}

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

/* ---- a child process ---- */

/* `argument` and a space, quoted as programs take their command lines apart. */
static WCHAR *put_argument(WCHAR *to, const WCHAR *argument) {
    size_t slashes = 0;
    *to++ = '"';
    for (; *argument; argument++) {
        slashes = *argument == '\\' ? slashes + 1 : 0;
        if (*argument == '"') *to++ = '\\';
        *to++ = *argument;
    }
    while (slashes--) *to++ = '\\';
    *to++ = '"';
    *to++ = ' ';
    *to = 0;
    return to;
}

/* The command line; NULL: no memory. Nothing that is passed has a backslash before a quote. */
static WCHAR *join(char *const *argv) {
    size_t room = 1;
    for (size_t i = 0; argv[i]; i++) room += 2 * strlen(argv[i]) + 3;
    WCHAR *line = calloc(room, sizeof *line), *at = line;
    for (size_t i = 0; line && argv[i]; i++) {
        WCHAR *wide = widen(argv[i]);
        if (wide) at = put_argument(at, wide);
        free(wide);
    }
    return line;
}

/* A job that ends with this process, and the child with it. */
static HANDLE open_job(void) {
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION limits = {.BasicLimitInformation.LimitFlags =
                                                       JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE |
                                                       JOB_OBJECT_LIMIT_DIE_ON_UNHANDLED_EXCEPTION};
    HANDLE job = CreateJobObjectW(NULL, NULL);
    if (job) SetInformationJobObject(job, JobObjectExtendedLimitInformation, &limits, sizeof limits);
    return job;
}

/* Only `handles` are inherited. */
static bool create(WCHAR *program, WCHAR *line, HANDLE handles[2], PROCESS_INFORMATION *out) {
    STARTUPINFOEXW start = {.StartupInfo = {.cb = sizeof start,
                                            .dwFlags = STARTF_USESTDHANDLES,
                                            .hStdInput = handles[0],
                                            .hStdOutput = handles[1],
                                            .hStdError = handles[0]}};
    SIZE_T size = 0;
    InitializeProcThreadAttributeList(NULL, 1, 0, &size);
    start.lpAttributeList = malloc(size);
    bool good =
        start.lpAttributeList && InitializeProcThreadAttributeList(start.lpAttributeList, 1, 0, &size);
    if (good) {
        good =
            UpdateProcThreadAttribute(start.lpAttributeList, 0, PROC_THREAD_ATTRIBUTE_HANDLE_LIST, handles,
                                      2 * sizeof *handles, NULL, NULL) &&
            CreateProcessW(program, line, NULL, NULL, TRUE, EXTENDED_STARTUPINFO_PRESENT | CREATE_NO_WINDOW,
                           NULL, NULL, &start.StartupInfo, out);
        DeleteProcThreadAttributeList(start.lpAttributeList);
    }
    free(start.lpAttributeList);
    return good;
}

bool rp_os_child_start(rp_os_child *child, const char *program, char *const *argv) {
    SECURITY_ATTRIBUTES inherit = {sizeof inherit, NULL, TRUE};
    PROCESS_INFORMATION made = {0};
    HANDLE from = NULL, to = NULL;
    WCHAR *path = widen(program), *line = join(argv);
    HANDLE null =
        CreateFileW(L"NUL", GENERIC_READ | GENERIC_WRITE, share_all, &inherit, OPEN_EXISTING, 0, NULL);
    bool good = path && line && null != INVALID_HANDLE_VALUE && CreatePipe(&from, &to, &inherit, 0) &&
                SetHandleInformation(from, HANDLE_FLAG_INHERIT, 0) &&
                create(path, line, (HANDLE[]){null, to}, &made);
    *child = (rp_os_child){(intptr_t)made.hProcess, (intptr_t)from, 0};
    if (good && (child->job = (intptr_t)open_job()))
        AssignProcessToJobObject((HANDLE)child->job, made.hProcess);
    if (made.hThread) CloseHandle(made.hThread);
    if (to) CloseHandle(to);
    if (null != INVALID_HANDLE_VALUE) CloseHandle(null);
    if (!good && from) CloseHandle(from);
    free(path);
    free(line);
    return good;
}

int rp_os_child_hear(rp_os_child *child) {
    DWORD there = 0, got = 0;
    unsigned char said = 0;
    bool ended = WaitForSingleObject((HANDLE)child->process, 20) == WAIT_OBJECT_0;
    if (!PeekNamedPipe((HANDLE)child->out, NULL, 0, NULL, &there, NULL)) return -1;
    if (!there) return ended ? -1 : RP_OS_SILENT;
    return ReadFile((HANDLE)child->out, &said, 1, &got, NULL) && got == 1 ? said : -1;
}

void rp_os_child_kill(rp_os_child *child) {
    TerminateProcess((HANDLE)child->process, 1);
}

rp_os_end rp_os_child_end(rp_os_child *child, int *code) {
    DWORD left = 0;
    CloseHandle((HANDLE)child->out);
    WaitForSingleObject((HANDLE)child->process, INFINITE);
    bool known = GetExitCodeProcess((HANDLE)child->process, &left);
    CloseHandle((HANDLE)child->process);
    if (child->job) CloseHandle((HANDLE)child->job);
    *code = (int)left;
    return !known ? RP_OS_END_UNKNOWN : left >= 0xC0000000 ? RP_OS_END_CRASHED : RP_OS_END_EXITED;
}

/* No window that waits for a click, and no debugger. */
static LONG WINAPI end_at_once(EXCEPTION_POINTERS *what) {
    TerminateProcess(GetCurrentProcess(), what->ExceptionRecord->ExceptionCode);
    return EXCEPTION_EXECUTE_HANDLER;
}

void rp_os_child_settle(unsigned seconds) {
    JOBOBJECT_BASIC_LIMIT_INFORMATION limits = {.LimitFlags = JOB_OBJECT_LIMIT_PROCESS_TIME,
                                                .PerProcessUserTimeLimit.QuadPart =
                                                    (LONGLONG)seconds * 10000000};
    SetErrorMode(SEM_FAILCRITICALERRORS | SEM_NOGPFAULTERRORBOX);
    SetUnhandledExceptionFilter(end_at_once);
    HANDLE job = CreateJobObjectW(NULL, NULL); /* stays until the process ends */
    if (!job) return;
    SetInformationJobObject(job, JobObjectBasicLimitInformation, &limits, sizeof limits);
    AssignProcessToJobObject(job, GetCurrentProcess());
}

/* ---- what the C library lacks ---- */

char *strndup(const char *text, size_t most) {
    size_t size = strnlen(text, most);
    char *copy = malloc(size + 1);
    if (!copy) return NULL;
    memcpy(copy, text, size);
    copy[size] = '\0';
    return copy;
}

void *memmem(const void *in, size_t size, const void *what, size_t length) {
    const char *at = in, *end = at + size;
    if (!length) return (void *)in;
    for (; (size_t)(end - at) >= length; at++) {
        at = memchr(at, *(const char *)what, (size_t)(end - at) - length + 1);
        if (!at) return NULL;
        if (!memcmp(at, what, length)) return (void *)at;
    }
    return NULL;
}

long long timegm(struct tm *time) {
    return _mkgmtime64(time);
}
