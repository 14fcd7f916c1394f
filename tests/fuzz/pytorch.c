/* One file of torch.save, of either form: every tensor is looked at as the file describes it. */
#include "loader/pytorch.h"

#include <stdio.h>

#include "fuzz.h"

static void look(rp_tensor_file *file, rp_tensor_entry *t) {
    rp_error err = {0};
    rp_tensor view;
    FUZZ_CHECK(rp_tensor_file_find(file, t->name) == t);
    uint64_t rows = t->rank == 2 ? t->dims[0] : 1, columns = t->rank ? t->dims[t->rank - 1] : 1;
    if (rows > UINT32_MAX || columns > UINT32_MAX) return;
    rp_status status = rp_tensor_file_view(file, t, t->rank == 2 ? 2 : 1, (uint32_t)rows, (uint32_t)columns,
                                           "a reason", &view, &err);
    if (fuzz_status(status, &err)) return;
    float last;
    for (uint64_t i = 0; i < rows && columns; i += rows / 64 + 1)
        rp_tensor_read(&view, (size_t)(i * columns + columns - 1), 1, &last);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static char path[128];
    rp_tensor_file file;
    rp_error err = {0};
    fuzz_file("pytorch_model.bin", data, size);
    snprintf(path, sizeof path, "%s/pytorch_model.bin", fuzz_folder());
    if (fuzz_status(rp_pytorch_open(path, &file, &err), &err)) return 0;
    for (size_t i = 0; i < file.count; i++) look(&file, &file.entries[i]);
    rp_tensor_file_close(&file);
    return 0;
}
