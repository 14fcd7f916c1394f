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

#include "finetune/finetune.h"
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

rp_status rp_finetune_output_open(rp_finetune_run *run, rp_error *err) {
    static const char end[] = ".training-XXXXXX";
    struct stat info;
    size_t size = strlen(run->params.out);
    while (size > 1 && run->params.out[size - 1] == '/') size--;
    run->out = rp_new_array(char, size + 1);
    char *part = rp_new_array(char, size + sizeof end);
    if (!run->out || !part) {
        free(part);
        return rp_fail_memory(err, "a path", size);
    }
    memcpy(run->out, run->params.out, size);
    strcat(strcpy(part, run->out), end);
    rp_status status = RP_OK;
    if (!lstat(run->out, &info) && (!S_ISDIR(info.st_mode) || !is_empty(run->out)))
        status = rp_fail(err, RP_ERROR_FILE,
                         S_ISDIR(info.st_mode) ? "%s: the folder has files already; name another one"
                                               : "%s: is no folder; name a folder to write the model to",
                         rp_path_shown(run->out));
    else if (!mkdtemp(part))
        status = fail_write(run->out, err);
    if (status)
        free(part);
    else
        run->part = part;
    return status;
}

rp_status rp_finetune_output_save(rp_finetune_run *run, rp_error *err) {
    rp_status status = rp_trainer_save(run->trainer, run->part, true, err);
    run->saved = run->saved || !status;
    return status;
}

rp_status rp_finetune_output_commit(rp_finetune_run *run, rp_error *err) {
    mode_t mask = umask(0);
    umask(mask);
    chmod(run->part, 0777 & ~mask); /* mkdtemp lets nobody else in */
    if (rename(run->part, run->out)) return fail_write(run->out, err);
    free(run->part);
    run->part = NULL;
    return RP_OK;
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *place) {
    (void)info, (void)kind, (void)place;
    return remove(path);
}

void rp_finetune_output_close(rp_finetune_run *run) {
    enum { OPEN_FOLDERS = 8 };
    if (run->part) nftw(run->part, remove_one, OPEN_FOLDERS, FTW_DEPTH | FTW_PHYS);
    free(run->part);
    free(run->out);
}
