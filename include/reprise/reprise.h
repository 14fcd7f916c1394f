/* Reprise: ALBERT on every GPU, through Vulkan compute. This header brings the whole API.
 *
 *     rp_device *device = NULL;
 *     rp_model *model = NULL;
 *     rp_result *result = NULL;
 *     rp_error err;
 *     rp_input input = {.text = {"a warm and funny film", 21}};
 *     if (rp_device_open(NULL, &device, &err) || rp_model_open(device, "sentiment", NULL, &model, &err) ||
 *         rp_classify(model, &input, 1, NULL, &result, &err))
 *         fprintf(stderr, "%s\n", err.message);
 */
#ifndef REPRISE_H
#define REPRISE_H

#include "status.h"
#include "device.h"
#include "tokenizer.h"
#include "bench.h"
#include "model.h"
#include "tasks.h"

#endif
