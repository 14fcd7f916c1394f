/* One safetensors file: its header, and every tensor looked at as its header describes it. */
#include "fuzz.h"

#include <stdio.h>

#include "loader/safetensors.h"

static uint32_t natural(const json_t *shape, size_t i) {
    json_int_t n = json_integer_value(json_array_get(shape, i));
    return n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
}

static void look(const rp_safetensors *file, const rp_safetensor *t) {
    size_t rank = json_array_size(t->shape), data = (size_t)(file->bytes + file->size - file->data);
    rp_error err = {0};
    rp_tensor view;
    FUZZ_CHECK(t->begin <= t->end && t->end <= data);
    FUZZ_CHECK(rp_safetensors_find(file, t->name) == t);
    uint32_t rows = rank == 2 ? natural(t->shape, 0) : 1, columns = rank ? natural(t->shape, rank - 1) : 1;
    rp_status status =
        rp_safetensors_view(file, t, rank == 2 ? 2 : 1, rows, columns, "a reason", &view, &err);
    if (fuzz_status(status, &err)) return;
    size_t bytes = (size_t)rows * columns * (view.dtype == RP_F32 ? 4 : 2);
    FUZZ_CHECK(bytes == t->end - t->begin);
    float first, last;
    if (bytes == 0) return;
    rp_tensor_read(&view, 0, 1, &first);
    rp_tensor_read(&view, (size_t)rows * columns - 1, 1, &last);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static char path[128];
    rp_safetensors file;
    rp_error err = {0};
    fuzz_file("model.safetensors", data, size);
    snprintf(path, sizeof path, "%s/model.safetensors", fuzz_folder());
    if (fuzz_status(rp_safetensors_open(path, &file, &err), &err)) return 0;
    for (size_t i = 0; i < file.count; i++) look(&file, &file.tensors[i]);
    rp_safetensors_close(&file);
    return 0;
}
