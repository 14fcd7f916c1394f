#include "loader/pooling_files.h"

#include <stdlib.h>
#include <string.h>

rp_status rp_side_file_open(const char *dir, const char *name, rp_json_type type, rp_side_file *out,
                            rp_error *err) {
    *out = (rp_side_file){.path = rp_path_join(dir, name)};
    if (!out->path) return rp_fail_memory(err, "a path", strlen(dir) + strlen(name) + 2);
    out->shown = rp_path_shown(out->path);
    if (!rp_path_exists(out->path)) return RP_OK;
    rp_status status = rp_json_load(out->path, &out->document, err);
    if (status) return status;
    out->root = &out->document.root;
    if (out->root->type == type) return RP_OK;
    return rp_fail(err, RP_ERROR_FORMAT, "%s: is %s, must be %s", out->shown, rp_json_kind(out->root),
                   type == RP_JSON_OBJECT ? "an object" : "a list of modules");
}

void rp_side_file_close(rp_side_file *file) {
    rp_json_finish(&file->document);
    free(file->path);
    *file = (rp_side_file){0};
}
