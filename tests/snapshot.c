/* Prints what the library knows of the device it opens, as an entry of snapshots.def: what test_plan.c plans
 * for. Works wherever a device can be opened, on drivers that cannot compute too. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"
#include "gpu/device.h"

enum { COLUMNS = 110 };

static size_t column;

static void end_line(void) {
    if (column) putchar('\n');
    column = 0;
}

static void put(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A piece of text on the line that there is room on. */
static void put(const char *format, ...) {
    char piece[1000];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(piece, sizeof piece, format, arguments);
    va_end(arguments);
    if (column && column + 1 + (size_t)size > COLUMNS) end_line();
    printf("%s%s", column ? " " : "  ", piece);
    column += (column ? 1 : 2) + (size_t)size;
}

/* A string of C. */
static void put_string(const char *name, const char *value) {
    char quoted[2 * 256 + 1], *at = quoted;
    for (; *value; value++) {
        bool plain = *value >= ' ' && *value < 0x7f;
        if (*value == '"' || *value == '\\') *at++ = '\\';
        *at++ = plain ? *value : '?';
    }
    *at = '\0';
    put(".%s = \"%s\",", name, quoted);
}

static void put_number(const char *name, uint64_t value) {
    if (value) put(".%s = %" PRIu64 ",", name, value);
}

static void put_flag(const char *name, bool value) {
    if (value) put(".%s = true,", name);
}

#define NUMBER(of, field) put_number(#field, (of)->field)
#define FLAG(of, field) put_flag(#field, (of)->field)

static void put_info(const rp_device_info *info) {
    static const char *const types[] = {"OTHER", "INTEGRATED", "DISCRETE", "VIRTUAL", "CPU"};
    put(".info = {");
    put_string("name", info->name);
    put_string("driver", info->driver);
    put(".api_version = VK_MAKE_API_VERSION(0, %u, %u, %u),", VK_API_VERSION_MAJOR(info->api_version),
        VK_API_VERSION_MINOR(info->api_version), VK_API_VERSION_PATCH(info->api_version));
    put(".vendor_id = 0x%04x, .device_id = 0x%04x,", info->vendor_id, info->device_id);
    put(".type = RP_DEVICE_%s,", types[info->type]);
    NUMBER(info, memory_bytes);
    NUMBER(info, max_storage_bytes);
    NUMBER(info, shared_bytes);
    NUMBER(info, max_invocations);
    NUMBER(info, subgroup_size);
    FLAG(info, subgroup_broadcast);
    FLAG(info, subgroup_arithmetic);
    FLAG(info, fp16_arithmetic);
    FLAG(info, fp16_storage);
    FLAG(info, int8_dot);
    FLAG(info, cooperative_matrix);
    FLAG(info, timestamps);
    FLAG(info, usable);
    put("},");
    end_line();
}

static void put_memory(const VkPhysicalDeviceMemoryProperties *memory) {
    put(".memory = {.memoryTypeCount = %u, .memoryTypes = {", memory->memoryTypeCount);
    for (uint32_t i = 0; i < memory->memoryTypeCount; i++)
        put("{0x%x, %u},", memory->memoryTypes[i].propertyFlags, memory->memoryTypes[i].heapIndex);
    put("},");
    put(".memoryHeapCount = %u, .memoryHeaps = {", memory->memoryHeapCount);
    for (uint32_t i = 0; i < memory->memoryHeapCount; i++)
        put("{%" PRIu64 ", 0x%x},", (uint64_t)memory->memoryHeaps[i].size, memory->memoryHeaps[i].flags);
    put("}},");
    end_line();
}

static void put_three(const char *name, const uint32_t *values) {
    put(".%s = {%u, %u, %u},", name, values[0], values[1], values[2]);
}

static void put_caps(const char *name, const rp_caps *caps) {
    printf("SNAPSHOT(\"%s\", {\n", name);
    put_info(&caps->info);
    put_memory(&caps->memory);
    NUMBER(caps, queue_family);
    NUMBER(caps, timestamp_bits);
    put(".timestamp_period = %.9g,", (double)caps->timestamp_period);
    NUMBER(caps, storage_alignment);
    NUMBER(caps, max_texels);
    NUMBER(caps, atom_size);
    NUMBER(caps, max_allocation);
    put_three("max_groups", caps->max_groups);
    put_three("max_group_size", caps->max_group_size);
    NUMBER(caps, max_push_bytes);
    NUMBER(caps, driver_version);
    FLAG(caps, subgroup_shuffle);
    FLAG(caps, subgroup_fixed);
    FLAG(caps, subgroup_control);
    NUMBER(caps, subgroup_min);
    NUMBER(caps, subgroup_max);
    if (caps->matrix_shape_count) {
        put(".matrix_shapes = {");
        for (uint32_t i = 0; i < caps->matrix_shape_count; i++)
            put("{%u, %u, %u},", caps->matrix_shapes[i].m, caps->matrix_shapes[i].n,
                caps->matrix_shapes[i].k);
        put("},");
        NUMBER(caps, matrix_shape_count);
        FLAG(caps, matrix_nv);
    }
    FLAG(caps, has_integer_dot);
    FLAG(caps, has_float16_int8);
    FLAG(caps, has_storage_16);
    FLAG(caps, has_cooperative_matrix);
    FLAG(caps, has_statistics);
    end_line();
    printf("})\n");
}

int main(int argc, char **argv) {
    rp_device *device = NULL;
    rp_error err;
    if (argc != 2) {
        fprintf(stderr, "usage: %s NAME >>snapshots.def\n", argv[0]);
        return 2;
    }
    if (rp_device_open(NULL, &device, &err)) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    put_caps(argv[1], &device->caps);
    rp_device_close(&device);
    return 0;
}
