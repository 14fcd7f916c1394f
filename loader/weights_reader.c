#include "loader/weights_reader.h"

#include "loader/json.h"
#include "loader/weights_files.h"

/* A record again from where it was, and another file by its path. */
static rp_status open_again(const rp_tensor_file *file, rp_model_file *out, rp_error *err) {
    bool record = file->source.memory || file->source.fd > 0;
    *out = file->source;
    rp_status status = record ? RP_OK : rp_model_file_open(file->path, out, err);
    if (status || out->memory || rp_tensor_file_is_marked(file, out->fd)) return status;
    rp_model_file_close(out);
    return rp_fail(err, RP_ERROR_FILE,
                   "%s: the file was changed while the model was opened from it; open it again",
                   rp_path_shown(file->path));
}

rp_status rp_weights_reader_open(const rp_weights *weights, rp_weights_reader *out, rp_error *err) {
    const rp_weight_files *files = weights->files;
    *out = (rp_weights_reader){.weights = weights};
    if (!files || !files->count) return RP_OK;
    out->files = rp_new_array(rp_model_file, files->count);
    if (!out->files) return rp_fail_memory(err, "a list of files", files->count * sizeof *out->files);
    rp_status status = RP_OK;
    for (; !status && out->count < files->count; out->count += !status)
        status = open_again(&files->files[out->count], &out->files[out->count], err);
    if (status) rp_weights_reader_close(out);
    return status;
}

void rp_weights_reader_close(rp_weights_reader *reader) {
    for (size_t i = 0; i < reader->count; i++) rp_model_file_close(&reader->files[i]);
    free(reader->files);
    *reader = (rp_weights_reader){0};
}

bool rp_weights_reader_read(const rp_weights_reader *reader, const rp_tensor *tensor, size_t first,
                            size_t count, float *out) {
    const unsigned char *data = tensor->data;
    size_t element = tensor->dtype == RP_F32 ? 4 : 2;
    for (size_t i = 0; i < reader->count; i++) {
        const rp_tensor_file *file = &reader->weights->files->files[i];
        if (data < file->bytes || data >= file->bytes + file->size) continue;
        /* at the end of `out`, so that widening from the front overwrites only what was read */
        rp_tensor raw = *tensor;
        raw.data = (unsigned char *)out + (4 - element) * count;
        if (!rp_model_file_read(&reader->files[i], (uint64_t)(data - file->bytes) + element * first,
                                (unsigned char *)out + (4 - element) * count, element * count))
            return false;
        if (element != 4) rp_tensor_read(&raw, 0, count, out);
        return true;
    }
    rp_tensor_read(tensor, first, count, out); // in memory, which no other program can change
    return true;
}
