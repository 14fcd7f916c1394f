/* reprise devices: every device, what was probed, and why it cannot be used. */
#include "session.h"

#include <stdlib.h>
#include <string.h>

static const char *type_name(rp_device_type type) {
    switch (type) {
    case RP_DEVICE_INTEGRATED:
        return "integrated";
    case RP_DEVICE_DISCRETE:
        return "discrete";
    case RP_DEVICE_VIRTUAL:
        return "virtual";
    case RP_DEVICE_CPU:
        return "cpu";
    default:
        return "other";
    }
}

static void put_version(rp_cli_buffer *out, uint32_t version) {
    rp_cli_printf(out, "%u.%u.%u", version >> 22 & 0x7f, version >> 12 & 0x3ff, version & 0xfff);
}

/* The features that were asked for, by their name in JSON and for people. */
typedef struct feature {
    const char *key, *name;
    bool has;
} feature;

enum { FEATURES = 7 };

static void list_features(const rp_device_info *info, feature *list) {
    const feature all[FEATURES] = {
        {"subgroup_broadcast", "subgroup broadcast", info->subgroup_broadcast},
        {"subgroup_arithmetic", "subgroup arithmetic", info->subgroup_arithmetic},
        {"fp16_arithmetic", "fp16 arithmetic", info->fp16_arithmetic},
        {"fp16_storage", "fp16 storage", info->fp16_storage},
        {"int8_dot", "int8 dot product", info->int8_dot},
        {"cooperative_matrix", "cooperative matrix", info->cooperative_matrix},
        {"timestamps", "time stamps", info->timestamps},
    };
    memcpy(list, all, sizeof all);
}

static void put_json(const rp_device_info *info, rp_cli_buffer *out) {
    feature features[FEATURES];
    list_features(info, features);
    rp_cli_printf(out, "{\"index\": %u, \"name\": ", (unsigned)info->index);
    rp_cli_json_string(out, info->name, strlen(info->name));
    rp_cli_puts(out, ", \"driver\": ");
    rp_cli_json_string(out, info->driver, strlen(info->driver));
    rp_cli_printf(out, ", \"type\": \"%s\", \"api_version\": \"", type_name(info->type));
    put_version(out, info->api_version);
    rp_cli_printf(out, "\", \"vendor_id\": %u, \"device_id\": %u", (unsigned)info->vendor_id,
                  (unsigned)info->device_id);
    rp_cli_printf(out, ", \"memory_bytes\": %llu, \"max_storage_bytes\": %llu",
                  (unsigned long long)info->memory_bytes, (unsigned long long)info->max_storage_bytes);
    rp_cli_printf(out, ", \"shared_bytes\": %u, \"max_invocations\": %u, \"subgroup_size\": %u",
                  (unsigned)info->shared_bytes, (unsigned)info->max_invocations,
                  (unsigned)info->subgroup_size);
    for (size_t i = 0; i < FEATURES; i++)
        rp_cli_printf(out, ", \"%s\": %s", features[i].key, features[i].has ? "true" : "false");
    rp_cli_printf(out, ", \"usable\": %s, \"reason\": ", info->usable ? "true" : "false");
    rp_cli_json_string(out, info->reason, strlen(info->reason));
    rp_cli_puts(out, "}\n");
}

static void put_bytes(rp_cli_buffer *out, uint64_t bytes) {
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes;
    size_t unit = 0;
    for (; value >= 1024 && unit < 4; unit++) value /= 1024;
    rp_cli_printf(out, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
}

static void put_features(const rp_device_info *info, rp_cli_buffer *out, bool has) {
    feature features[FEATURES];
    list_features(info, features);
    size_t count = 0;
    for (size_t i = 0; i < FEATURES; i++)
        if (features[i].has == has) rp_cli_printf(out, "%s%s", count++ ? ", " : "", features[i].name);
    rp_cli_puts(out, count ? "\n" : "nothing\n");
}

static void put_people(const rp_device_info *info, rp_cli_people *p) {
    rp_cli_buffer *out = p->out;
    rp_cli_people_style(p, RP_CLI_BOLD);
    rp_cli_printf(out, "%u  ", (unsigned)info->index);
    rp_cli_people_text(p, info->name, strlen(info->name), 0);
    rp_cli_people_style(p, RP_CLI_PLAIN);
    rp_cli_puts(out, "\n   usable    ");
    rp_cli_people_style(p, info->usable ? RP_CLI_GREEN : RP_CLI_RED);
    rp_cli_puts(out, info->usable ? "yes" : "no: ");
    if (!info->usable) rp_cli_people_text(p, info->reason, strlen(info->reason), 0);
    rp_cli_people_style(p, RP_CLI_PLAIN);
    rp_cli_printf(out, "\n   type      %s%s\n   driver    ", type_name(info->type),
                  info->type == RP_DEVICE_CPU ? " (a software driver: no GPU is used)" : "");
    rp_cli_people_text(p, info->driver, strlen(info->driver), 0);
    rp_cli_puts(out, "\n   Vulkan    ");
    put_version(out, info->api_version);
    rp_cli_printf(out, "  (vendor 0x%04x, device 0x%04x)\n   memory    ", (unsigned)info->vendor_id,
                  (unsigned)info->device_id);
    put_bytes(out, info->memory_bytes);
    rp_cli_puts(out, ", one binding up to ");
    put_bytes(out, info->max_storage_bytes);
    rp_cli_printf(out, "\n   workgroup %u invocations, ", (unsigned)info->max_invocations);
    put_bytes(out, info->shared_bytes);
    rp_cli_printf(out, " shared, subgroups of %u\n   has       ", (unsigned)info->subgroup_size);
    put_features(info, out, true);
    rp_cli_puts(out, "   has not   ");
    put_features(info, out, false);
}

static int run(const rp_cli_options *options, rp_cli_output *out) {
    rp_cli_people people;
    rp_device_info *infos = NULL;
    size_t count = 0;
    rp_error err;
    rp_cli_people_init(&people, &out->buffer, out->fd);
    rp_status status = rp_device_list(NULL, 0, &count, &err);
    if (!status && count) {
        size_t capacity = count;
        infos = rp_cli_calloc(capacity, sizeof *infos);
        status = rp_device_list(infos, capacity, &count, &err);
        if (count > capacity) count = capacity;
    }
    if (status) {
        rp_cli_complain("%s", err.message);
    } else if (!count) {
        rp_cli_complain(
            "there is no Vulkan device; Mesa's drivers (Debian: mesa-vulkan-drivers) bring one for "
            "most GPUs and for the CPU");
    }
    for (size_t i = 0; !status && i < count; i++) {
        if (options->json)
            put_json(&infos[i], &out->buffer);
        else
            put_people(&infos[i], &people);
    }
    free(infos);
    return status || !count ? 1 : 0;
}

static const char help_devices[] =
    "List every Vulkan device: driver, version, memory, what was probed, and why it\n"
    "cannot be used where it cannot. The number before a name is what -d takes.\n"
    "\n"
    "JSON: one object a device, one a line.\n"
    "\n"
    "Examples:\n"
    "  reprise devices\n"
    "  reprise devices --json | grep -c '\"usable\": true'\n";

const rp_cli_command rp_cli_command_devices = {
    .name = "devices",
    .arguments = "",
    .summary = "every Vulkan device, and what it can do",
    .help = help_devices,
    .options = RP_CLI_JSON,
    .shape = RP_CLI_SHAPE_NONE,
    .main = run,
};
