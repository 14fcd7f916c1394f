/* Searching on the device. It has all vectors, as the weights of a product: the queries are its rows, and
 * each column is a document. The products of a segment of the index go to one buffer, of which the blocks
 * with the largest are selected (ops/top_k.h) and read back.
 *
 * A segment is what one submission works through: at most 256 MiB, which also the slowest device reads within
 * the submission budget. Its command buffer is recorded once. */

#include "apps/scan.h"
#include "base/call.h"
#include "base/os.h"
#include "ops/attempts.h"
#include "ops/class.h"
#include "ops/selection.h"
#include "ops/top_k.h"

enum {
    SEGMENT_BYTES = 1 << 28,
    SEGMENT_ROWS = 1 << 18,
    SCORES = 1 << 21, /* of one submission, floats */
    MOST_QUERIES = 32 /* of one submission */
};

typedef struct segment {
    rp_matrix matrix;
    uint64_t first; /* row of the index */
    uint32_t rows;
    VkCommandBuffer commands;
} segment;

/* Where the host writes what differs from one submission to the next. Bytes. */
typedef struct layout {
    VkDeviceSize counts, indirect, wanted, queries, size;
} layout;

struct rp_scan {
    const rp_index_file *file;
    rp_device *device;
    rp_device_user user;
    bool built, added;
    uint32_t queries; /* of one submission */
    uint32_t blocks;  /* that are read back of a query at most */
    uint32_t k;       /* padded width */
    layout at;
    rp_buffer input, scores, peaks, found;
    VkDeviceSize found_scores; /* where they begin in `found`, behind the numbers of blocks */
    rp_store store;
    segment *segments; /* [segment_count] */
    uint32_t segment_count, segment_rows;
    rp_ops ops;
    VkFence fence;
};

/* ---- sizes ---- */

static VkDeviceSize place(VkDeviceSize *used, VkDeviceSize bytes, VkDeviceSize alignment) {
    VkDeviceSize at = rp_round_up(*used, alignment);
    *used = at + bytes;
    return at;
}

static uint32_t least(uint64_t a, uint64_t b) {
    return (uint32_t)(a < b ? a : b);
}

static void choose_sizes(rp_scan *s) {
    const rp_index_head *h = &s->file->head;
    VkDeviceSize alignment = s->device->caps.storage_alignment;
    s->k = rp_padded(h->width);
    uint64_t rows = SEGMENT_BYTES / (2ull * s->k) / RP_TOP_K_BLOCK * RP_TOP_K_BLOCK;
    s->segment_rows = least(least(rows, SEGMENT_ROWS), h->count);
    s->segment_count = (uint32_t)rp_div_up(h->count, s->segment_rows);
    s->queries = least(SCORES / rp_padded(s->segment_rows), MOST_QUERIES);
    s->blocks = least(rp_top_k_blocks(s->segment_rows), RP_TOP_K_WANTED_MAX);
    s->at.counts = place(&s->at.size, RP_COUNT_KINDS * 4, alignment);
    s->at.indirect = place(&s->at.size, RP_MAX_GRIDS * sizeof(VkDispatchIndirectCommand), alignment);
    s->at.wanted = place(&s->at.size, 4, alignment);
    s->at.queries = place(&s->at.size, 4ull * s->queries * s->k, alignment);
    s->found_scores = rp_round_up(4ull * s->queries * s->blocks, alignment);
}

/* ---- what lies on the device ---- */

static void drop(rp_scan *s) {
    rp_device *device = s->device;
    rp_buffer *buffers[] = {&s->input, &s->scores, &s->peaks, &s->found};
    RP_DESTROY(device, vkDestroyFence, s->fence);
    s->fence = VK_NULL_HANDLE;
    s->built = false;
    rp_ops_drop(&s->ops);
    for (size_t i = 0; i < RP_COUNT(buffers); i++) rp_buffer_destroy(device, buffers[i]);
    for (uint32_t i = 0; s->segments && i < s->segment_count; i++) rp_matrix_finish(&s->segments[i].matrix);
    rp_store_finish(&s->store);
}

static void drop_user(rp_device_user *user) {
    drop((rp_scan *)((char *)user - offsetof(rp_scan, user)));
}

static rp_status create_buffers(rp_scan *s, rp_error *err) {
    const rp_device *device = s->device;
    uint64_t padded = rp_padded(s->segment_rows), peaks = rp_padded(rp_top_k_blocks(s->segment_rows));
    rp_status status;
    RP_TRY(rp_buffer_create(s->device, s->at.size, RP_MEMORY_INPUT, "queries", &s->input, err));
    RP_TRY(rp_buffer_create(s->device, 4 * s->queries * padded, RP_MEMORY_DEVICE, "scores", &s->scores, err));
    RP_TRY(rp_buffer_create(s->device, 4 * s->queries * peaks, RP_MEMORY_DEVICE, "peaks", &s->peaks, err));
    RP_TRY(rp_buffer_create(s->device, s->found_scores + 4ull * s->queries * s->blocks * RP_TOP_K_BLOCK,
                            RP_MEMORY_OUTPUT, "the best scores", &s->found, err));
    const rp_vk_table *vk = &device->vk;
    VkFenceCreateInfo fence = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    RP_VK(vkCreateFence, (device->handle, &fence, NULL, &s->fence));
done:
    return status;
}

/* The system may drop the pages of the vectors, which the device has now. */
static void rest(const unsigned char *from, uint64_t bytes) {
    rp_os_map_rest(from, (size_t)bytes);
}

/* Check the vectors and send them. */
static rp_status upload(rp_scan *s, rp_error *err) {
    const rp_index_head *h = &s->file->head;
    uint64_t left = 0, limit = rp_caps_range_limit(&s->device->caps);
    rp_status status = RP_OK;
    for (uint64_t first = 0; first < h->count; first += s->segment_rows)
        left += 2ull * s->k * rp_padded(least(h->count - first, s->segment_rows)) + 4096;
    rp_store_init(&s->store, s->device, left, "the vectors of an index");
    for (uint32_t i = 0; !status && i < s->segment_count; i++) {
        segment *g = &s->segments[i];
        g->first = (uint64_t)i * s->segment_rows;
        g->rows = least(h->count - g->first, s->segment_rows);
        const unsigned char *from = s->file->vectors + rp_index_vector_bytes(g->first, h->width);
        const rp_host_matrix host = {from, RP_FORMAT_F16, g->rows, h->width};
        uint64_t bytes = 2ull * s->k * rp_padded(g->rows) + 4096;
        if (s->store.block > left) s->store.block = left > limit || left < 1 << 20 ? 1 << 20 : left;
        status = rp_call_check(err);
        for (uint64_t row = g->first / RP_INDEX_BLOCK * RP_INDEX_BLOCK; !status && row < g->first + g->rows;
             row += RP_INDEX_BLOCK)
            status = rp_index_check_rows(s->file, row, RP_INDEX_BLOCK, err);
        if (!status)
            status = rp_matrix_create(&s->store, &host, 1, RP_STORAGE_AS_IS, "the vectors of an index",
                                      &g->matrix, err);
        rest(from, rp_index_vector_bytes(g->rows, h->width));
        left -= bytes;
    }
    return status ? status : rp_store_flush(&s->store, err);
}

/* ---- operators ---- */

enum { PRODUCT, PEAKS, SELECT, OPERATORS };

static rp_range input(const rp_scan *s, VkDeviceSize offset, VkDeviceSize bytes) {
    return rp_buffer_range(&s->input, offset, bytes);
}

static void describe(const rp_scan *s, const segment *g, rp_op ops[OPERATORS]) {
    uint32_t padded = rp_padded(g->rows), peaks = rp_padded(rp_top_k_blocks(g->rows));
    rp_range scores = rp_buffer_range(&s->scores, 0, 4ull * s->queries * padded);
    rp_op all = {
        .class = &rp_class_top_k, .rows = RP_COUNT_ROWS, .x = scores, .x_stride = padded, .width = g->rows};
    ops[PRODUCT] = (rp_op){.class = &rp_class_matmul,
                           .label = "search: products",
                           .rows = RP_COUNT_ROWS,
                           .x = input(s, s->at.queries, 4ull * s->queries * s->k),
                           .w = {&g->matrix},
                           .out = scores};
    ops[PEAKS] = ops[SELECT] = all;
    ops[PEAKS].label = "search: peaks";
    ops[PEAKS].variant = RP_TOP_K_PEAKS;
    ops[PEAKS].out = ops[SELECT].stats = rp_buffer_range(&s->peaks, 0, 4ull * s->queries * peaks);
    ops[SELECT].label = "search: select";
    ops[SELECT].variant = RP_TOP_K_SELECT;
    ops[SELECT].list = input(s, s->at.wanted, 4);
    ops[SELECT].fixed = s->blocks;
    ops[SELECT].scratch = rp_buffer_range(&s->found, 0, 4ull * s->queries * s->blocks);
    ops[SELECT].out =
        rp_buffer_range(&s->found, s->found_scores, 4ull * s->queries * s->blocks * RP_TOP_K_BLOCK);
}

/* Kernels for all segments. Kernels for products are timed for a few sizes, not for every number of
 * documents. */
static rp_status select_kernels(rp_scan *s, rp_kernel kernels[OPERATORS], rp_error *err) {
    rp_op ops[OPERATORS];
    rp_matrix like = s->segments[0].matrix;
    rp_status status = RP_OK;
    describe(s, &s->segments[0], ops);
    for (like.rows = RP_PANEL; 2 * like.rows <= s->segments[0].matrix.rows && like.rows < 1 << 15;)
        like.rows *= 2;
    ops[PRODUCT].w[0] = &like;
    for (int i = 0; !status && i < OPERATORS; i++) {
        status = rp_op_select(&s->ops, &ops[i], err);
        if (!status) status = rp_pipeline_note(s->ops.pipelines, &ops[i].kernel.key, err);
        kernels[i] = ops[i].kernel;
    }
    return status ? status : rp_pipeline_make(s->ops.pipelines, err);
}

static rp_status record(rp_scan *s, segment *g, const rp_kernel kernels[OPERATORS], rp_error *err) {
    rp_recorder *recorder = &s->ops.recorder;
    rp_op ops[OPERATORS];
    rp_status status;
    describe(s, g, ops);
    RP_TRY(rp_record_begin(recorder, "search", &g->commands, err));
    for (int i = 0; i < OPERATORS; i++) {
        ops[i].kernel = kernels[i];
        if (i) rp_record_barrier(recorder, g->commands);
        RP_TRY(rp_op_record((rp_op_target){&s->ops, g->commands}, &ops[i], err));
    }
    rp_record_host_barrier(recorder, g->commands);
    RP_TRY(rp_record_end(recorder, g->commands, err));
done:
    return status;
}

/* Make everything that lies on the device, which this thread has entered. */
static rp_status build(rp_scan *s, rp_error *err) {
    rp_kernel kernels[OPERATORS];
    rp_status status;
    RP_TRY(create_buffers(s, err));
    RP_TRY(upload(s, err));
    rp_ops_init(&s->ops, s->device, input(s, s->at.counts, RP_COUNT_KINDS * 4),
                input(s, s->at.indirect, RP_MAX_GRIDS * sizeof(VkDispatchIndirectCommand)));
    RP_TRY(select_kernels(s, kernels, err));
    for (uint32_t i = 0; i < s->segment_count; i++) RP_TRY(record(s, &s->segments[i], kernels, err));
    s->built = true;
    if (!s->added) rp_device_add_user(s->device, &s->user);
    s->added = true;
done:
    if (status) drop(s);
    return status;
}

/* The same and leave; a device that is lost meanwhile is opened again, as for a model. */
static rp_status build_and_leave(rp_scan *s, rp_error *err) {
    rp_device *device = s->device;
    uint32_t noted = rp_losses_noted(device);
    rp_status status = rp_device_enter(device, err);
    for (bool blameless = false; !status;) {
        rp_pipelines made = {0};
        status = build(s, err);
        if (!status) rp_device_take_pipelines(device, &made);
        rp_device_leave(device, status);
        rp_device_write_pipelines(device, &made);
        uint32_t now = rp_losses_noted(device);
        if (status != RP_ERROR_DEVICE_LOST || device->hung || (now == noted && blameless)) break;
        if (now == noted) blameless = true;
        noted = now;
        status = rp_device_enter(device, err);
    }
    return status;
}

/* ---- opening and closing ---- */

rp_status rp_scan_open(rp_device *device, const rp_index_file *file, rp_scan **out, rp_error *err) {
    rp_scan *s = rp_new(rp_scan);
    if (!s) return rp_fail_memory(err, "an index", sizeof *s);
    s->device = device;
    s->file = file;
    s->user.drop = drop_user;
    choose_sizes(s);
    s->segments = rp_new_array(segment, s->segment_count);
    rp_status status = s->segments ? build_and_leave(s, err)
                                   : rp_fail_memory(err, "an index", s->segment_count * sizeof(segment));
    if (status)
        rp_scan_close(s);
    else
        *out = s;
    return status;
}

void rp_scan_close(rp_scan *s) {
    if (!s) return;
    rp_device_enter_to_close(s->device);
    rp_device_remove_user(s->device, &s->user);
    drop(s);
    rp_device_leave(s->device, RP_OK);
    rp_ops_finish(&s->ops);
    free(s->segments);
    free(s);
}

uint64_t rp_scan_bytes(const rp_scan *s) {
    return rp_store_bytes(&s->store) + s->input.allocated + s->scores.allocated + s->peaks.allocated +
           s->found.allocated;
}

/* ---- searching ---- */

/* Offer query `i` of a submission what was found of it. */
static void take(const rp_scan *s, const segment *g, uint32_t i, uint32_t blocks, rp_best *best) {
    const char *found = s->found.mapped;
    const uint32_t *numbers = (const uint32_t *)found + (size_t)i * s->blocks;
    const float *scores = (const float *)(found + s->found_scores) + (size_t)i * s->blocks * RP_TOP_K_BLOCK;
    for (uint32_t b = 0; b < blocks; b++)
        for (uint32_t c = 0; c < RP_TOP_K_BLOCK; c++) {
            uint64_t row = (uint64_t)numbers[b] * RP_TOP_K_BLOCK + c;
            if (row < g->rows) rp_best_offer(best, scores[b * RP_TOP_K_BLOCK + c], g->first + row);
        }
}

static rp_status run_segment(rp_scan *s, const segment *g, uint32_t count, uint32_t wanted, rp_best *best,
                             rp_error *err) {
    uint32_t blocks = least(rp_top_k_blocks(g->rows), least(wanted, s->blocks));
    rp_status status = rp_device_submit(s->device, &g->commands, 1, s->fence, err);
    if (!status) status = rp_buffer_invalidate(s->device, &s->found, s->found.size, err);
    for (uint32_t i = 0; !status && i < count; i++) take(s, g, i, blocks, &best[i]);
    return status;
}

/* Write queries [first, first + count) where the device reads them. */
static rp_status fill(rp_scan *s, const rp_scan_queries *q, size_t first, uint32_t count, rp_error *err) {
    uint32_t width = s->file->head.width;
    char *to = s->input.mapped;
    const uint32_t counts[RP_COUNT_KINDS] = {[RP_COUNT_ROWS] = count};
    memcpy(to + s->at.counts, counts, sizeof counts);
    rp_ops_write_grids(&s->ops, counts, (VkDispatchIndirectCommand *)(to + s->at.indirect));
    memcpy(to + s->at.wanted, &q->top_k, sizeof q->top_k);
    for (uint32_t i = 0; i < count; i++) {
        float *row = (float *)(to + s->at.queries) + (size_t)i * s->k;
        memcpy(row, q->vectors + (first + i) * width, width * sizeof *row);
        memset(row + width, 0, (s->k - width) * sizeof *row);
    }
    return rp_buffer_flush(s->device, &s->input, s->input.size, err);
}

/* The queries of one submission, of each segment: the device may be left in between. */
static rp_status run_some(rp_scan *s, const rp_scan_queries *q, size_t first, uint32_t count, rp_error *err) {
    rp_status status = rp_call_check(err);
    if (!status) status = rp_device_enter(s->device, err);
    if (status) return status;
    if (!s->built) {
        rp_device_leave(s->device, RP_OK);
        status = build_and_leave(s, err);
        if (!status) status = rp_device_enter(s->device, err);
        if (status) return status;
        if (!s->built)
            return rp_device_leave(s->device,
                                   rp_fail(err, RP_ERROR_DEVICE_LOST, "%s was lost again; search once more",
                                           s->device->caps.info.name));
    }
    status = fill(s, q, first, count, err);
    for (uint32_t i = 0; !status && i < s->segment_count; i++) {
        status = run_segment(s, &s->segments[i], count, q->top_k, q->best + first, err);
        if (!status) status = rp_call_check(err);
    }
    return rp_device_leave(s->device, status);
}

rp_status rp_scan_run(rp_scan *s, const rp_scan_queries *q, rp_error *err) {
    rp_status status = RP_OK;
    for (size_t i = 0; !status && i < q->count; i += s->queries)
        status = run_some(s, q, i, least(q->count - i, s->queries), err);
    return status;
}
