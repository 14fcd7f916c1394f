/* Files that are written whole: predictions, and thresholds. */
#include "base/os.h"
#include "eval/eval.h"

#include <errno.h>

#include "loader/json.h"

rp_status rp_eval_open_file(const char *path, const char *what, FILE **file, char **part, rp_error *err) {
    rp_os_info info;
    bool plain = rp_os_lstat(path, &info) || info.kind == RP_OS_FILE;
    *part = malloc(strlen(path) + 6);
    if (!*part) return rp_fail_memory(err, what, strlen(path));
    strcat(strcpy(*part, path), plain ? ".part" : "");
    *file = rp_os_fopen(*part, "wb");
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
    if (!status && renamed && rp_os_rename(part, path)) status = RP_ERROR_FILE;
    if (opened && status == RP_ERROR_FILE && errno)
        rp_fail(err, status, "%s: cannot write the %s: %s; check the disk", rp_path_shown(path), what,
                strerror(errno));
    if (opened && status && renamed) rp_os_unlink(part);
    *file = NULL;
    free(part);
    return status;
}
