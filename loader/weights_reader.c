#include "loader/weights_reader.h"

#include <errno.h>

#include "base/os.h"
#include "loader/json.h"
#include "loader/weights_files.h"

static bool is_marked(int fd, const rp_tensor_file *file) {
    rp_os_info info;
    const rp_file_mark *mark = &file->mark;
    return !rp_os_fstat(fd, &info) && info.device == mark->device && info.inode == mark->inode &&
           (uint64_t)info.size == file->size && info.seconds == mark->seconds &&
           info.nanoseconds == mark->nanoseconds;
}

rp_status rp_weights_reader_open(const rp_weights *weights, rp_weights_reader *out, rp_error *err) {
    const rp_weight_files *files = weights->files;
    *out = (rp_weights_reader){.weights = weights};
    if (!files || !files->count) return RP_OK;
    out->fds = rp_new_array(int, files->count);
    if (!out->fds) return rp_fail_memory(err, "a list of files", files->count * sizeof *out->fds);
    rp_status status = RP_OK;
    for (size_t i = 0; !status && i < files->count; i++) {
        const rp_tensor_file *file = &files->files[i];
        uint64_t size;
        status = rp_file_open(file->path, &out->fds[i], &size, err);
        if (status) break;
        out->count++;
        if (!is_marked(out->fds[i], file))
            status = rp_fail(err, RP_ERROR_FILE,
                             "%s: the file was changed while the model was opened from it; open it again",
                             rp_path_shown(file->path));
    }
    if (status) rp_weights_reader_close(out);
    return status;
}

void rp_weights_reader_close(rp_weights_reader *reader) {
    for (size_t i = 0; i < reader->count; i++) rp_os_close(reader->fds[i]);
    free(reader->fds);
    *reader = (rp_weights_reader){0};
}

static bool read_all(int fd, unsigned char *to, size_t size, uint64_t at) {
    for (size_t done = 0; done < size;) {
        ssize_t got = rp_os_pread(fd, to + done, size - done, (off_t)(at + done));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        done += (size_t)got;
    }
    return true;
}

bool rp_weights_reader_read(const rp_weights_reader *reader, const rp_tensor *tensor, size_t first,
                            size_t count, float *out) {
    const unsigned char *data = tensor->data;
    size_t element = tensor->dtype == RP_F32 ? 4 : 2;
    if (!reader->fds) {
        rp_tensor_read(tensor, first, count, out);
        return true;
    }
    for (size_t i = 0; i < reader->count; i++) {
        const rp_tensor_file *file = &reader->weights->files->files[i];
        if (data < file->bytes || data >= file->bytes + file->size) continue;
        /* at the end of `out`, so that widening from the front overwrites only what was read */
        rp_tensor raw = *tensor;
        raw.data = (unsigned char *)out + (4 - element) * count;
        if (!read_all(reader->fds[i], (unsigned char *)out + (4 - element) * count, element * count,
                      (uint64_t)(data - file->bytes) + element * first))
            return false;
        if (element != 4) rp_tensor_read(&raw, 0, count, out);
        return true;
    }
    rp_tensor_read(tensor, first, count, out); // a copy in memory, which no other program can change
    return true;
}
