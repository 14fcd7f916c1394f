#include "loader/weights_slots.h"

#include <stdio.h>

#include "loader/json.h"

rp_tensor_entry *rp_weights_find(const rp_weights_reading *r, const char *name, bool prefixed,
                                 rp_tensor_file **file) {
    char full[RP_NAME_SIZE + 16];
    rp_tensor_entry *found = NULL;
    if (prefixed) {
        snprintf(full, sizeof full, "%s.%s", rp_names_of(r->config->family)->prefix, name);
        found = rp_weight_files_find(r->out->files, full, file);
    }
    return found ? found : rp_weight_files_find(r->out->files, name, file);
}

rp_tensor_entry *rp_weights_find_slot(const rp_weights_reading *r, const rp_slot *slot,
                                      rp_tensor_file **file) {
    rp_tensor_entry *found = rp_weights_find(r, slot->name, slot->prefixed, file);
    return found || !*slot->old_name ? found : rp_weights_find(r, slot->old_name, slot->prefixed, file);
}

/* A name that is in the files: it tells whose they are. "" when there is none. */
static const char *any_name(const rp_weight_files *files) {
    return files->count && files->files[0].count ? files->files[0].entries[0].name : "";
}

rp_status rp_weights_fail_missing(rp_weights_reading *r, const char *name, bool prefixed) {
    const char *shown = rp_path_shown(r->out->files->path), *other = any_name(r->out->files);
    const char *prefix = rp_names_of(r->config->family)->prefix;
    r->missing = true;
    if (r->out->files->missing)
        return rp_fail(r->err, RP_ERROR_FILE, "%s: weight_map: the shard %s is missing; fetch it too", shown,
                       r->out->files->missing);
    if (r->head)
        return rp_fail(r->err, RP_ERROR_FORMAT, "%s: %s: the tensor is missing%s%s%s", shown, name,
                       prefixed ? ", with and without \"" : "", prefixed ? prefix : "",
                       prefixed ? ".\" before it" : "");
    return rp_fail(r->err, RP_ERROR_FORMAT,
                   "%s: %s: the tensor is missing%s%s%s; the file does not belong to its config.json or is "
                   "incomplete (\"%.*s\" is there)",
                   shown, name, prefixed ? ", with and without \"" : "", prefixed ? prefix : "",
                   prefixed ? ".\" before it" : "", rp_text_fit(other, 80), other);
}

/* ---- reading ---- */

static rp_status read_slot(const rp_slot *slot, void *context) {
    rp_weights_reading *r = context;
    rp_tensor_file *file = NULL;
    rp_tensor_entry *found = rp_weights_find_slot(r, slot, &file);
    // of two tied tensors some tools store the other one
    if (!found && slot->tensor == &r->out->word && r->config->tie_word_embeddings)
        found = rp_weights_find(r, rp_names_of(r->config->family)->decoder, false, &file);
    if (!found) return rp_weights_fail_missing(r, slot->name, slot->prefixed);
    r->out->parameters += (uint64_t)slot->rows * slot->columns;
    return rp_tensor_file_view(file, found, slot->kind == RP_SLOT_MATRIX ? 2 : 1, slot->rows, slot->columns,
                               slot->reason, slot->tensor, r->err);
}

rp_status rp_weights_read_part(rp_weights_reading *r, unsigned part) {
    return rp_slots_each(r->config, r->out, part, read_slot, r);
}
