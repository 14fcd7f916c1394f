/* The helper program: it repeats one attempt, so that no other process ends with the kernel. */
#include <stdlib.h>
#include <string.h>

#include "base/os.h"
#include "gpu/helper.h"
#include "ops/class.h"
#include "reprise/device.h"

enum { LONGEST = 300 }; /* processor seconds: a compiler that goes round in circles is ended by SIGXCPU */

static const rp_class *find_class(const char *name) {
    for (uint32_t i = 0; i < rp_class_count; i++)
        if (!strcmp(rp_classes[i]->name, name)) return rp_classes[i];
    return NULL;
}

/* Prove the kernel, as the library does before it uses it. A driver that refuses it and a kernel that is
 * wrong do no harm: the process lives. */
static int try_kernel(rp_device *device, const char *op, const char *name, const char *text) {
    rp_kernel kernels[RP_MAX_KERNELS];
    rp_difference verdict;
    rp_use use;
    const rp_class *class = find_class(op);
    uint32_t i = 0, count = class && rp_use_read(text, &use) ? class->plan(&device->caps, &use, kernels) : 0;
    while (i < count && strcmp(kernels[i].name, name)) i++;
    if (i == count || rp_device_enter(device, NULL)) return RP_HELPER_UNTRIED;
    rp_ops ops = {0};
    rp_ops_init(&ops, device, (rp_range){0}, (rp_range){0});
    rp_status status = rp_prove(&ops, class, &kernels[i], &use, &verdict, NULL);
    bool refused = ops.pipelines->refused;
    rp_ops_finish(&ops);
    rp_device_leave(device, status);
    if (status == RP_ERROR_DEVICE_LOST) return RP_HELPER_LOST;
    if (status && !refused) return RP_HELPER_UNTRIED;
    return rp_os_write(1, &RP_HELPER_LIVED, 1) == 1 ? RP_HELPER_DONE : RP_HELPER_UNTRIED;
}

int rp_try_main(int argc, char **argv) {
    rp_device *device = NULL;
    char key[33] = "";
    if (argc != 7) return RP_HELPER_UNTRIED;
    rp_os_child_settle(LONGEST);
    const rp_device_params params = {
        .index = (uint32_t)strtoul(argv[1], NULL, 10), .cache_dir = argv[2], .try_program = ""};
    if (rp_device_open(&params, &device, NULL)) return RP_HELPER_UNTRIED;
    rp_device_key(device, key); /* another library or device would say nothing of this one */
    int end = strcmp(key, argv[3]) ? RP_HELPER_UNTRIED : try_kernel(device, argv[4], argv[5], argv[6]);
    rp_device_close(&device);
    return end;
}
