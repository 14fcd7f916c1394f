/* Files of folders: which there are, second names for them, and names that are on the disk. */
#include <errno.h>
#include <stdio.h>

#include "base/os.h"
#include "loader/staging.h"
#include "loop/loop.h"

enum { PATH_BYTES = 4096 };

static rp_status add(rp_loop_files *out, const char *name, rp_error *err) {
    char *copy = rp_arena_copy(&out->arena, name, strlen(name));
    if (!copy || !rp_grow((void **)&out->names, &out->capacity, out->count + 1, sizeof *out->names))
        return rp_fail_memory(err, "a list of files", strlen(name));
    out->names[out->count++] = copy;
    return RP_OK;
}

/* The files of `dir`/`below`; `below` is "" or ends in a slash. */
static rp_status list(const char *dir, const char *below, rp_loop_files *out, rp_error *err) {
    char path[PATH_BYTES], name[PATH_BYTES];
    rp_os_info info;
    rp_status status = RP_OK;
    if (snprintf(path, sizeof path, "%s/%s", dir, below) >= (int)sizeof path) errno = ENAMETOOLONG;
    rp_os_list *folder = strlen(path) + 1 < sizeof path ? rp_os_list_open(path) : NULL;
    if (!folder) return rp_fail_write(path, err);
    for (const char *item; !status && (item = rp_os_list_next(folder));) {
        if (item[0] == '.' || snprintf(name, sizeof name, "%s%s", below, item) + 2 >= (int)sizeof name ||
            snprintf(path, sizeof path, "%s/%s", dir, name) >= (int)sizeof path || rp_os_lstat(path, &info))
            continue;
        if (info.kind == RP_OS_FILE) status = add(out, name, err);
        if (info.kind == RP_OS_FOLDER && !*below) status = list(dir, strcat(name, "/"), out, err);
    }
    rp_os_list_close(folder);
    return status;
}

static int compare(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

rp_status rp_loop_files_list(const char *dir, rp_loop_files *out, rp_error *err) {
    rp_status status = list(dir, "", out, err);
    if (!status && out->count) qsort(out->names, out->count, sizeof *out->names, compare);
    return status;
}

void rp_loop_files_finish(rp_loop_files *files) {
    free(files->names);
    rp_arena_finish(&files->arena);
    *files = (rp_loop_files){0};
}

static rp_status link_file(rp_staging *to, const char *from, const char *name, rp_error *err) {
    char old[PATH_BYTES], new[PATH_BYTES];
    if (snprintf(old, sizeof old, "%s/%s", from, name) >= (int)sizeof old ||
        snprintf(new, sizeof new, "%s/%s", to->dir, name) >= (int)sizeof new) {
        errno = ENAMETOOLONG;
        return rp_fail_write(from, err);
    }
    char *slash = strrchr(new, '/');
    *slash = '\0';
    if (rp_os_mkdir(new, 0777) && errno != EEXIST) return rp_fail_write(new, err);
    *slash = '/';
    return rp_os_link(old, new) ? rp_staging_copy(to, old, name, err) : RP_OK;
}

rp_status rp_loop_files_link(const char *from, const char *to, rp_error *err) {
    rp_loop_files files = {0};
    rp_staging staging = {.dir = (char *)to, .fd = -1}; /* for copies */
    rp_status status = rp_os_mkdir(to, 0777) ? rp_fail_write(to, err) : rp_loop_files_list(from, &files, err);
    for (size_t i = 0; !status && i < files.count; i++)
        status = link_file(&staging, from, files.names[i], err);
    rp_loop_files_finish(&files);
    staging.dir = NULL; /* what is there stays */
    rp_staging_close(&staging);
    return status;
}

rp_status rp_loop_sync_folder(const char *path, rp_error *err) {
    return rp_os_sync_folder(path) ? rp_fail_write(path, err) : RP_OK;
}
