/* What a driver's compiler made of a shader: registers, spills, occupancy, whatever it calls them. */
#include "gpu/pipeline.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

static size_t append(char *out, size_t size, size_t used, const VkPipelineExecutableStatisticKHR *statistic) {
    const char *comma = used ? ", " : "";
    int n = 0;
    if (used + 1 >= size) return used;
    switch (statistic->format) {
    case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_BOOL32_KHR:
        n = snprintf(out + used, size - used, "%s%s %s", comma, statistic->name,
                     statistic->value.b32 ? "yes" : "no");
        break;
    case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_INT64_KHR:
        n = snprintf(out + used, size - used, "%s%s %" PRId64, comma, statistic->name, statistic->value.i64);
        break;
    case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_UINT64_KHR:
        n = snprintf(out + used, size - used, "%s%s %" PRIu64, comma, statistic->name, statistic->value.u64);
        break;
    default:
        n = snprintf(out + used, size - used, "%s%s %g", comma, statistic->name, statistic->value.f64);
        break;
    }
    size_t end = used + (n > 0 ? (size_t)n : 0);
    return end < size ? end : size - 1;
}

/* Each compiler has its own words: RADV "Spilled VGPRs", ANV "Spill count", NVK "Spills to memory", Turnip
 * "STP count" (stores to private memory), others "Scratch". NVK's "Spills to reg" cost next to nothing. */
static bool is_spill(const VkPipelineExecutableStatisticKHR *statistic) {
    const char *name = statistic->name;
    bool named = rp_name_contains(name, "spill") || rp_name_contains(name, "scratch") || strstr(name, "STP");
    return named && !rp_name_contains(name, "to reg") && statistic->value.u64;
}

bool rp_pipeline_statistics(rp_device *device, const rp_pipeline *pipeline, char *out, size_t size) {
    const rp_vk_table *vk = &device->vk;
    VkPipelineExecutableInfoKHR which = {.sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INFO_KHR,
                                         .pipeline = pipeline->handle};
    uint32_t count = 0;
    size_t used = 0;
    bool spills = false;
    out[0] = '\0';
    if (!device->caps.has_statistics) return false;
    if (vk->vkGetPipelineExecutableStatisticsKHR(device->handle, &which, &count, NULL) < 0) return false;
    VkPipelineExecutableStatisticKHR *list = rp_new_array(VkPipelineExecutableStatisticKHR, count);
    if (!list) return false;
    for (uint32_t i = 0; i < count; i++) list[i].sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_STATISTIC_KHR;
    if (vk->vkGetPipelineExecutableStatisticsKHR(device->handle, &which, &count, list) >= 0)
        for (uint32_t i = 0; i < count; i++) {
            used = append(out, size, used, &list[i]);
            spills = spills || is_spill(&list[i]);
        }
    free(list);
    return spills;
}
