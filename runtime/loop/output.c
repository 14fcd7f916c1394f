/* The folder that is written. */
#include <errno.h>
#include <stdio.h>

#include "base/folders.h"
#include "base/os.h"
#include "loader/sealed.h"
#include "loader/staging.h"
#include "loop/loop.h"

enum { PATH_BYTES = 4096 };

/* ---- what is there ---- */

/* Does the folder hold anything; and `*ours`: is it something of a training? */
static bool has_files(const char *dir, bool *ours) {
    rp_os_list *folder = rp_os_list_open(dir);
    bool any = !folder;
    for (const char *item; folder && (item = rp_os_list_next(folder));) {
        const char *name = item;
        if (!strcmp(name, ".") || !strcmp(name, "..")) continue;
        any = true;
        *ours = *ours || !strcmp(name, ".training") || !strncmp(name, "checkpoint-", 11) ||
                !strcmp(name, rp_loop_training_file);
    }
    if (folder) rp_os_list_close(folder);
    return any;
}

static rp_status check_place(const rp_loop *loop, rp_error *err) {
    rp_os_info info;
    bool ours = false;
    if (rp_os_lstat(loop->out, &info)) return errno == ENOENT ? RP_OK : rp_fail_write(loop->out, err);
    if (info.kind != RP_OS_FOLDER)
        return rp_fail(err, RP_ERROR_FILE, "%s: is no folder; name a folder to write the model to",
                       rp_path_shown(loop->out));
    if (!has_files(loop->out, &ours) || (ours && loop->params.resume)) return RP_OK;
    return rp_fail(err, RP_ERROR_FILE,
                   ours
                       ? "%s: the folder has files already, of a training; go on with it (--resume), or name "
                         "another folder"
                       : "%s: the folder has files already; name another one",
                   rp_path_shown(loop->out));
}

static rp_status make_place(rp_loop *loop, rp_error *err) {
    loop->made = !rp_os_mkdir(loop->out, 0777);
    if (!loop->made && errno != EEXIST) return rp_fail_write(loop->out, err);
    loop->lock = rp_os_lock_folder(loop->out);
    if (loop->lock > 0) return RP_OK;
    loop->lock = 0;
    if (errno != EWOULDBLOCK) return rp_fail_write(loop->out, err);
    loop->made = false;
    return rp_fail(err, RP_ERROR_FILE, "%s: another training writes to this folder; let it end first",
                   rp_path_shown(loop->out));
}

/* An earlier process may have left `work`. */
rp_status rp_loop_output_work(rp_loop *loop, rp_error *err) {
    char *work = loop->work ? NULL : rp_path_join(loop->out, ".training");
    if (loop->work) return RP_OK;
    if (!work) return rp_fail_memory(err, "a path", strlen(loop->out));
    if (!rp_os_remove_tree(work) || rp_os_mkdir(work, 0777)) {
        rp_status status = rp_fail_write(loop->out, err);
        free(work);
        return status;
    }
    loop->work = work;
    return RP_OK;
}

/* Is the model there already? */
static rp_status find_model(rp_loop *loop, rp_error *err) {
    char *path = rp_path_join(loop->out, rp_loop_training_file);
    if (!path) return rp_fail_memory(err, "a path", strlen(loop->out));
    bool there = rp_path_exists(path);
    free(path);
    if (!there) return RP_OK;
    rp_status status = rp_sealed_read(loop->out, rp_loop_training_file, &loop->from, err);
    loop->finished = !status;
    return status;
}

static rp_status set_out(rp_loop *loop, const char *out, rp_error *err) {
    size_t size = strlen(out);
    while (size > 1 && out[size - 1] == '/') size--;
    loop->out = rp_new_array(char, size + 1);
    if (!loop->out) return rp_fail_memory(err, "a path", size);
    memcpy(loop->out, out, size);
    return RP_OK;
}

rp_status rp_loop_output_open(rp_loop *loop, const char *out, rp_error *err) {
    rp_status status = set_out(loop, out, err);
    if (!status) status = check_place(loop, err);
    if (!status) status = make_place(loop, err);
    if (!status && loop->params.resume) status = find_model(loop, err);
    if (status || loop->finished) return status;
    if (loop->params.resume) status = rp_loop_find_checkpoint(loop, err);
    return status ? status : rp_loop_output_work(loop, err);
}

rp_status rp_loop_output_share(rp_loop *loop, const char *out, rp_status status, rp_error *err) {
    const rp_json *step = rp_json_get(&loop->from.root, "step");
    uint64_t told[] = {loop->finished, step ? (uint64_t)step->integer : 0, loop->resume != NULL};
    char name[40];
    status = rp_world_tell(loop->params.world, status, told, RP_COUNT(told), err);
    if (status) return status;
    if (told[2]) loop->resume_step = told[1];
    if (!rp_world_rank(loop->params.world)) return RP_OK;
    loop->finished = told[0];
    if (set_out(loop, out, err)) return err->status;
    snprintf(name, sizeof name, "checkpoint-%llu", (unsigned long long)told[1]);
    if (told[2] && !(loop->resume = rp_path_join(loop->out, name)))
        return rp_fail_memory(err, "a path", strlen(loop->out));
    return RP_OK;
}

/* ---- the best model ---- */

static bool path_in(char out[PATH_BYTES], const char *dir, const char *name) {
    if (snprintf(out, PATH_BYTES, "%s/%s", dir, name) < PATH_BYTES) return true;
    errno = ENAMETOOLONG;
    return false;
}

rp_status rp_loop_output_save(rp_loop *loop, rp_error *err) {
    char new[PATH_BYTES], best[PATH_BYTES];
    if (!path_in(new, loop->work, "new") || !path_in(best, loop->work, "best"))
        return rp_fail_write(loop->out, err);
    rp_status status = rp_trainer_save(loop->trainer, new, false, err);
    if (status) return status;
    if (!rp_os_remove_tree(best) || rp_os_rename(new, best)) return rp_fail_write(best, err);
    loop->saved = true;
    return RP_OK;
}

/* ---- the end ---- */

static rp_status move_file(const rp_loop *loop, const char *name, rp_error *err) {
    char from[PATH_BYTES], to[PATH_BYTES], below[PATH_BYTES];
    if (snprintf(from, sizeof from, "%s/best/%s", loop->work, name) >= (int)sizeof from ||
        !path_in(to, loop->out, name)) {
        errno = ENAMETOOLONG;
        return rp_fail_write(loop->out, err);
    }
    strcpy(below, to);
    *strrchr(below, '/') = '\0';
    if (rp_os_mkdir(below, 0777) && errno != EEXIST) return rp_fail_write(below, err);
    return rp_os_rename(from, to) ? rp_fail_write(to, err) : RP_OK;
}

static void take_back(const rp_loop *loop, const rp_loop_files *files, size_t count) {
    char path[PATH_BYTES];
    for (size_t i = 0; i < count; i++) {
        if (!path_in(path, loop->out, files->names[i])) continue;
        rp_os_unlink(path);
        *strrchr(path, '/') = '\0';
        if (strcmp(path, loop->out)) rp_os_rmdir(path);
    }
}

/* File by file, for checkpoints stand beside them; the last one is training.json. */
static rp_status move_files(const rp_loop *loop, const rp_loop_files *files, rp_error *err) {
    rp_status status = RP_OK;
    size_t done = 0;
    for (; !status && done < files->count; done++)
        if (strcmp(files->names[done], rp_loop_training_file))
            status = move_file(loop, files->names[done], err);
    if (!status) status = rp_loop_sync_folder(loop->out, err);
    if (!status) status = move_file(loop, rp_loop_training_file, err);
    if (!status) status = rp_loop_sync_folder(loop->out, err);
    if (status) take_back(loop, files, done);
    return status;
}

rp_status rp_loop_output_commit(rp_loop *loop, rp_error *err) {
    char best[PATH_BYTES];
    rp_loop_files files = {0};
    if (!path_in(best, loop->work, "best")) return rp_fail_write(loop->out, err);
    rp_status status = rp_loop_write_state(loop, best, err);
    if (!status) status = rp_loop_write_card(loop, best, err);
    if (!status) status = rp_loop_files_list(best, &files, err);
    if (!status)
        status = rp_loop_write_training(loop, best, (const char *const *)files.names, files.count, err);
    rp_loop_files_finish(&files);
    if (!status) status = rp_loop_files_list(best, &files, err);
    if (!status) status = move_files(loop, &files, err);
    loop->committed = !status;
    rp_loop_files_finish(&files);
    return status;
}

void rp_loop_output_close(rp_loop *loop) {
    if (loop->work) rp_os_remove_tree(loop->work);
    if (loop->made && !loop->committed) rp_os_rmdir(loop->out); /* unless it has checkpoints */
    if (loop->lock) rp_os_close(loop->lock);
    free(loop->work);
    free(loop->out);
}
