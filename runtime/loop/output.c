/* The folder that is written: beside its place until it is whole. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* nftw */
#endif
#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loop/loop.h"
#include "loader/json.h"

static rp_status fail_write(const char *path, rp_error *err) {
    return rp_fail(err, RP_ERROR_FILE, "%s: cannot be written: %s; check the path and its permissions",
                   rp_path_shown(path), strerror(errno));
}

static bool is_empty(const char *dir) {
    DIR *folder = opendir(dir);
    bool empty = folder;
    for (const struct dirent *item; empty && (item = readdir(folder));)
        empty = !strcmp(item->d_name, ".") || !strcmp(item->d_name, "..");
    if (folder) closedir(folder);
    return empty;
}

rp_status rp_loop_output_open(rp_loop *loop, const char *out, rp_error *err) {
    static const char end[] = ".training-XXXXXX";
    struct stat info;
    size_t size = strlen(out);
    while (size > 1 && out[size - 1] == '/') size--;
    loop->out = rp_new_array(char, size + 1);
    char *part = rp_new_array(char, size + sizeof end);
    if (!loop->out || !part) {
        free(part);
        return rp_fail_memory(err, "a path", size);
    }
    memcpy(loop->out, out, size);
    strcat(strcpy(part, loop->out), end);
    rp_status status = RP_OK;
    if (!lstat(loop->out, &info) && (!S_ISDIR(info.st_mode) || !is_empty(loop->out)))
        status = rp_fail(err, RP_ERROR_FILE,
                         S_ISDIR(info.st_mode) ? "%s: the folder has files already; name another one"
                                               : "%s: is no folder; name a folder to write the model to",
                         rp_path_shown(loop->out));
    else if (!mkdtemp(part))
        status = fail_write(loop->out, err);
    if (status)
        free(part);
    else
        loop->part = part;
    return status;
}

rp_status rp_loop_output_save(rp_loop *loop, rp_error *err) {
    rp_status status = rp_trainer_save(loop->trainer, loop->part, true, err);
    loop->saved = loop->saved || !status;
    return status;
}

rp_status rp_loop_output_commit(rp_loop *loop, rp_error *err) {
    mode_t mask = umask(0);
    umask(mask);
    chmod(loop->part, 0777 & ~mask); /* mkdtemp lets nobody else in */
    if (rename(loop->part, loop->out)) return fail_write(loop->out, err);
    free(loop->part);
    loop->part = NULL;
    return RP_OK;
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *place) {
    (void)info, (void)kind, (void)place;
    return remove(path);
}

void rp_loop_output_close(rp_loop *loop) {
    enum { OPEN_FOLDERS = 8 };
    if (loop->part) nftw(loop->part, remove_one, OPEN_FOLDERS, FTW_DEPTH | FTW_PHYS);
    free(loop->part);
    free(loop->out);
}
