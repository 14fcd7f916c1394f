/* Files that are written whole: predictions, and thresholds. */
#include "eval/eval.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loader/json.h"

rp_status rp_eval_open_file(const char *path, const char *what, FILE **file, char **part, rp_error *err) {
    struct stat info;
    bool plain = lstat(path, &info) || S_ISREG(info.st_mode);
    *part = malloc(strlen(path) + 6);
    if (!*part) return rp_fail_memory(err, what, strlen(path));
    strcat(strcpy(*part, path), plain ? ".part" : "");
    *file = fopen(*part, "wb");
    return *file ? RP_OK
                 : rp_fail(err, RP_ERROR_FILE, "%s: cannot write the %s: %s; choose another file",
                           rp_path_shown(*part), what, strerror(errno));
}

rp_status rp_eval_close_file(const char *path, const char *what, FILE **file, char *part, rp_status status,
                             rp_error *err) {
    bool renamed = strcmp(part, path);
    errno = 0;
    bool opened = *file;
    if (opened && fclose(*file) && !status) status = RP_ERROR_FILE;
    if (!status && renamed && rename(part, path)) status = RP_ERROR_FILE;
    if (opened && status == RP_ERROR_FILE && errno)
        rp_fail(err, status, "%s: cannot write the %s: %s; check the disk", rp_path_shown(path), what,
                strerror(errno));
    if (opened && status && renamed) unlink(part);
    *file = NULL;
    free(part);
    return status;
}
