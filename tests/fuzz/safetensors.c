/* One safetensors file: its header, and every tensor looked at as its header describes it. */
#include "fuzz.h"

#include <stdio.h>

#include "loader/safetensors.h"

static void look(rp_tensor_file *file, rp_tensor_entry *t) {
    rp_error err = {0};
    rp_tensor view;
    FUZZ_CHECK(t->data >= file->bytes && t->bytes <= (size_t)(file->bytes + file->size - t->data));
    FUZZ_CHECK(rp_tensor_file_find(file, t->name) == t);
    uint64_t rows = t->rank == 2 ? t->dims[0] : 1, columns = t->rank ? t->dims[t->rank - 1] : 1;
    if (rows > UINT32_MAX || columns > UINT32_MAX) return;
    rp_status status = rp_tensor_file_view(file, t, t->rank == 2 ? 2 : 1, (uint32_t)rows, (uint32_t)columns,
                                           "a reason", &view, &err);
    if (fuzz_status(status, &err)) return;
    float first, last;
    if (rows * columns == 0) return;
    rp_tensor_read(&view, 0, 1, &first);
    rp_tensor_read(&view, (size_t)(rows * columns - 1), 1, &last);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static char path[128];
    rp_tensor_file file;
    rp_error err = {0};
    fuzz_file("model.safetensors", data, size);
    snprintf(path, sizeof path, "%s/model.safetensors", fuzz_folder());
    if (fuzz_status(rp_safetensors_open(path, &file, &err), &err)) return 0;
    for (size_t i = 0; i < file.count; i++) look(&file, &file.entries[i]);
    rp_tensor_file_close(&file);
    return 0;
}
