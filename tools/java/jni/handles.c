/* Devices and models, and what is asked about them. */
#include "bridge.h"

#include <stdlib.h>

rp_status rp_java_version(rp_java_call *c, rp_error *err) {
    if (rp_java_done(&c->in, err)) return err->status;
    rp_java_put_name(&c->out, rp_version());
    return RP_OK;
}

rp_status rp_java_find_model(rp_java_call *c, rp_error *err) {
    const char *name = rp_java_name(&c->in);
    char *folder = NULL;
    if (rp_java_done(&c->in, err) || rp_find_model(name, &folder, err)) return err->status;
    rp_java_put_name(&c->out, folder);
    rp_string_free(&folder);
    return RP_OK;
}

static void put_device(rp_java_out *out, const rp_device_info *info) {
    rp_java_put_i32(out, (int32_t)info->index);
    rp_java_put_name(out, info->name);
    rp_java_put_name(out, info->driver);
    rp_java_put_i32(out, (int32_t)info->api_version);
    rp_java_put_i32(out, (int32_t)info->vendor_id);
    rp_java_put_i32(out, (int32_t)info->device_id);
    rp_java_put_i32(out, (int32_t)info->type);
    rp_java_put_i64(out, (int64_t)info->memory_bytes);
    rp_java_put_i32(out, info->usable);
    rp_java_put_name(out, info->reason);
}

rp_status rp_java_devices(rp_java_call *c, rp_error *err) {
    size_t count = 0;
    if (rp_java_done(&c->in, err) || rp_device_list(NULL, 0, &count, err)) return err->status;
    rp_device_info *infos = rp_java_array(count, sizeof *infos, err);
    if (!infos) return err->status;
    size_t there = 0;
    const rp_status status = rp_device_list(infos, count, &there, err);
    if (there < count) count = there; /* one was pulled out meanwhile */
    rp_java_put_i32(&c->out, (int32_t)count);
    for (size_t i = 0; i < count; i++) put_device(&c->out, &infos[i]);
    free(infos);
    return status;
}

rp_status rp_java_device_open(rp_java_call *c, rp_error *err) {
    rp_device_params params = {.call = c->call};
    params.index = (uint32_t)rp_java_i32(&c->in);
    params.name = rp_java_name(&c->in);
    params.cache_dir = rp_java_name(&c->in);
    params.shader_dir = rp_java_name(&c->in);
    params.try_program = rp_java_name(&c->in);
    rp_device *device = NULL;
    if (rp_java_done(&c->in, err) || rp_device_open(&params, &device, err)) return err->status;
    rp_java_put_handle(&c->out, device);
    return RP_OK;
}

rp_status rp_java_device_close(rp_java_call *c, rp_error *err) {
    rp_device *device = rp_java_handle(&c->in);
    if (rp_java_done(&c->in, err)) return err->status;
    return rp_device_close(&device);
}

rp_status rp_java_device_info(rp_java_call *c, rp_error *err) {
    const rp_device *device = rp_java_handle(&c->in);
    if (rp_java_done(&c->in, err)) return err->status;
    put_device(&c->out, rp_device_get_info(device));
    return RP_OK;
}

rp_status rp_java_device_memory(rp_java_call *c, rp_error *err) {
    const rp_device *device = rp_java_handle(&c->in);
    if (rp_java_done(&c->in, err)) return err->status;
    rp_java_put_i64(&c->out, (int64_t)rp_device_memory_used(device));
    return RP_OK;
}

rp_status rp_java_device_stop(rp_java_call *c, rp_error *err) {
    rp_device *device = rp_java_handle(&c->in);
    if (rp_java_done(&c->in, err)) return err->status;
    rp_device_stop(device);
    return RP_OK;
}

rp_status rp_java_model_open(rp_java_call *c, rp_error *err) {
    rp_device *device = rp_java_handle(&c->in);
    const char *dir = rp_java_name(&c->in);
    rp_model_params params = {.call = c->call};
    params.max_batch_tokens = (uint32_t)rp_java_i32(&c->in);
    params.precision = (rp_precision)rp_java_i32(&c->in);
    params.head = (rp_head)rp_java_i32(&c->in);
    rp_model *model = NULL;
    if (rp_java_done(&c->in, err) || rp_model_open(device, dir, &params, &model, err)) return err->status;
    rp_java_put_handle(&c->out, model);
    return RP_OK;
}

rp_status rp_java_model_close(rp_java_call *c, rp_error *err) {
    rp_model *model = rp_java_handle(&c->in);
    if (rp_java_done(&c->in, err)) return err->status;
    return rp_model_close(&model);
}

rp_status rp_java_model_info(rp_java_call *c, rp_error *err) {
    const rp_model *model = rp_java_handle(&c->in);
    if (rp_java_done(&c->in, err)) return err->status;
    const rp_model_info *info = rp_model_get_info(model);
    rp_java_put_name(&c->out, info->dir);
    rp_java_put_name(&c->out, info->architecture);
    rp_java_put_i32(&c->out, (int32_t)info->vocab_size);
    rp_java_put_i32(&c->out, (int32_t)info->hidden_size);
    rp_java_put_i32(&c->out, (int32_t)info->layers);
    rp_java_put_i32(&c->out, (int32_t)info->max_tokens);
    rp_java_put_i64(&c->out, (int64_t)info->parameters);
    rp_java_put_i64(&c->out, (int64_t)info->device_bytes);
    rp_java_put_i32(&c->out, (int32_t)info->heads);
    rp_java_put_i32(&c->out, (int32_t)info->problem);
    rp_java_put_i32(&c->out, (int32_t)info->label_count);
    for (uint32_t i = 0; i < info->label_count; i++) rp_java_put_name(&c->out, info->labels[i]);
    rp_java_put_handle(&c->out, rp_model_get_tokenizer(model));
    return RP_OK;
}
