/* The gradient of a weight matrix: w[0] += dy^T * x, added up over the rows in order. x: [rows, x_stride], of
 * which a row has w[0]->k elements; dy: [rows, out_stride]; w[0]: the gradient, which lies like the float32
 * matrix of the weights [n, k], panels and chunks. A row of dy begins with the first row of the matrix. With
 * RP_HALF_X both x and dy are float16.
 * Padding of the matrix stays zero where that of x and dy is. */
#include <math.h>
#include <stdio.h>

#include "ops/class.h"
#include "ops/reference_grad.h"

/* ---- planning ---- */

typedef struct shape {
    uint32_t lanes, blocks, rows, columns; /* vec4s of k and of n that one invocation makes */
    uint32_t depth;                        /* tokens that are in shared memory at a time; 0: none */
} shape;

static void put(rp_kernel *kernel, const rp_use *use, const char *shader, shape s, bool subgroup) {
    *kernel =
        (rp_kernel){.key = {.shader = shader,
                            .constants = {s.lanes, s.blocks, s.rows, s.columns, s.depth, use->halves != 0},
                            .constant_count = use->halves ? 6
                                              : s.depth   ? 5
                                                          : 4,
                            .bindings = 4,
                            .texels = subgroup ? 1 << 1 | 1 << 2 : 0,
                            .push_words = 6,
                            .code = 4 * s.rows * s.columns},
                    .rows = s.rows * s.blocks,
                    .columns = s.lanes * s.columns,
                    .shuffles = subgroup};
    snprintf(kernel->name, sizeof kernel->name, "%s %ux%u, %ux%u", shader, s.lanes, s.blocks, 4 * s.rows,
             4 * s.columns);
}

/* Cooperative matrices, of float16. A row of the table: the tile that one subgroup makes, along k and n, how
 * many subgroups a workgroup has, and how many of them are side by side. On a software driver, where they are
 * loops over lanes, the smallest is enough. */
static uint32_t add_matrix_kernels(const rp_caps *caps, rp_kernel *out) {
    static const struct {
        uint32_t rows, columns, blocks, across;
    } tiles[] = {{64, 32, 8, 4}, {32, 32, 4, 2}, {16, 32, 1, 1}};
    uint32_t lanes = caps->info.subgroup_size, count = 0;
    bool cpu = caps->info.type == RP_DEVICE_CPU;
    for (uint32_t s = 0; s < caps->matrix_shape_count && s < 2 && rp_subgroups_alike(caps); s++)
        for (size_t i = cpu ? RP_COUNT(tiles) - 1 : 0; i < RP_COUNT(tiles); i++) {
            const rp_matrix_shape m = caps->matrix_shapes[s];
            uint32_t depth = 16 % m.k ? 32 : 16, blocks = tiles[i].blocks, across = tiles[i].across;
            if (tiles[i].rows % m.m || tiles[i].columns % m.n || depth % m.k || m.m % 4 || m.n % 4 ||
                !rp_matrix_is_dense(m, lanes))
                continue;
            uint32_t x = blocks / across * tiles[i].rows / 4, dy = across * tiles[i].columns / 4;
            if (!rp_workgroup_fits(caps, lanes * blocks,
                                   16ull * depth * (x + dy + 4) + 4ull * blocks * m.m * m.n))
                continue;
            rp_kernel *kernel = &out[count++];
            *kernel =
                (rp_kernel){.key = {.shader = "gradient_cooperative",
                                    .constants = {lanes, blocks, tiles[i].rows / m.m, tiles[i].columns / m.n,
                                                  depth, 1, m.m, m.n, m.k, across},
                                    .constant_count = 10,
                                    .subgroup_size = caps->subgroup_control ? lanes : 0,
                                    .bindings = 4,
                                    .push_words = 6,
                                    .code = tiles[i].rows / m.m * (tiles[i].columns / m.n)},
                            .rows = x,
                            .columns = dy,
                            .rounding = RP_ROUNDING_F16,
                            .matrix = m,
                            .shuffles = true};
            snprintf(kernel->name, sizeof kernel->name,
                     "gradient_cooperative %ux%u, %ux%u of %ux%ux%u, %u across", lanes, blocks,
                     tiles[i].rows / m.m, tiles[i].columns / m.n, m.m, m.n, m.k, across);
        }
    return count;
}

static uint32_t plan(const rp_caps *caps, const rp_use *use, rp_kernel out[RP_MAX_KERNELS]) {
    static const shape tiles[] = {{16, 16, 2, 2, 8}, {16, 16, 1, 2, 8}, {16, 8, 1, 2, 8}, {8, 8, 1, 2, 8}};
    static const shape shapes[] = {
        {16, 16, 2, 2, 0}, {16, 8, 2, 2, 0}, {8, 8, 2, 2, 0}, {8, 8, 1, 2, 0}, {8, 8, 1, 1, 0}};
    const rp_device_info *info = &caps->info;
    bool cpu = info->type == RP_DEVICE_CPU;
    uint32_t count = 0, lanes = info->subgroup_size, rows = lanes < 8 ? lanes : 8;
    if (use->halves && !cpu) count = add_matrix_kernels(caps, out);
    /* made for a software driver, which reads texel buffers faster */
    for (uint32_t columns = 2; columns && cpu && rp_has_subgroups(caps); columns--)
        if (use->texels <= caps->max_texels)
            put(&out[count++], use, "gradient_subgroup_texel", (shape){lanes, 1, rows, columns, 0}, true);
    /* not on a software driver, where barriers are slow; the largest not where registers are few */
    for (size_t i = info->type == RP_DEVICE_INTEGRATED; i < RP_COUNT(tiles) && !cpu; i++) {
        const shape *t = &tiles[i];
        uint32_t cells = t->depth * (t->rows * t->blocks + t->columns * t->lanes);
        if (rp_workgroup_fits(caps, t->lanes * t->blocks, 16ull * cells))
            put(&out[count++], use, "gradient_tile", *t, false);
    }
    if (use->halves && cpu) count += add_matrix_kernels(caps, &out[count]);
    for (size_t i = cpu ? RP_COUNT(shapes) - 1 : 0; i < RP_COUNT(shapes); i++)
        if (i + 1 == RP_COUNT(shapes) || rp_workgroup_fits(caps, shapes[i].lanes * shapes[i].blocks, 0))
            put(&out[count++], use, "gradient", shapes[i], false);
    return count;
}

/* ---- recording ---- */

static rp_status record(rp_op_target target, const rp_op *op, rp_error *err) {
    const rp_matrix *w = op->w[0];
    VkFormat format = op->halves ? VK_FORMAT_R16G16B16A16_SFLOAT : VK_FORMAT_R32G32B32A32_SFLOAT;
    rp_status status = RP_OK;
    uint32_t x_stride = op->x_stride ? op->x_stride : w->k,
             dy_stride = op->out_stride ? op->out_stride : w->rows;
    for (uint32_t c = 0; !status && c < w->chunk_count; c++) {
        const rp_matrix_chunk *chunk = &w->chunks[c];
        uint32_t columns = chunk->panels * RP_PANEL / 4;
        rp_dispatch dispatch = {.bindings = {{0}, op->x, op->dy, chunk->range},
                                .formats = {[1] = format, [2] = format},
                                .push = {op->rows, w->k / 4, columns, chunk->first_panel * RP_PANEL / 4,
                                         x_stride / 4, dy_stride / 4}};
        rp_grid grid = {(rp_count)rp_div_up(w->k / 4, op->kernel.rows), 0,
                        (uint32_t)rp_div_up(columns, op->kernel.columns)};
        status = rp_op_dispatch(target, &op->kernel.key, grid, op->label, &dispatch, err);
    }
    return status;
}

/* ---- in plain C ---- */

void rp_reference_gradient(size_t rows, size_t n, size_t k, rp_const_rows dy, rp_const_rows x, rp_rows out) {
    for (size_t j = 0; j < n; j++)
        for (size_t c = 0; c < k; c++) {
            double sum = out.data[j * out.stride + c];
            for (size_t i = 0; i < rows; i++)
                sum += (double)rp_reference_row(dy, i)[j] * rp_reference_row(x, i)[c];
            out.data[j * out.stride + c] = (float)sum;
        }
}

/* ---- what models use it for ---- */

static rp_use_rank use(const rp_scope *scope, uint32_t n, rp_use *out) {
    (void)scope;
    *out = (rp_use){.halves = n ? RP_HALF_X : 0};
    return n < 2 ? RP_RANK_ALL : RP_RANK_NONE;
}

/* ---- proof ---- */

enum { EVEN, ODD, CASES };

typedef struct matrix {
    uint32_t n, k, rows;
    float *x, *dy, *want;
    rp_matrix device;
    rp_matrix_chunk chunks[2];
} matrix;

/* Room for the gradient, in two chunks of which the first is one panel; its values are those of `want`. */
static void send(rp_proof *proof, matrix *m) {
    uint32_t k = rp_padded(m->k), panels = rp_padded(m->n) / RP_PANEL;
    m->device = (rp_matrix){.rows = rp_padded(m->n), .k = k, .chunks = m->chunks, .chunk_count = 2};
    for (uint32_t c = 0; c < 2; c++) {
        m->chunks[c] = (rp_matrix_chunk){.first_panel = c, .panels = c ? panels - 1 : 1};
        m->chunks[c].range = rp_proof_take(proof, rp_panel_bytes(RP_FORMAT_F32, k, m->chunks[c].panels));
    }
}

static float *element(const rp_proof *proof, const matrix *m, uint32_t row, uint32_t column) {
    uint32_t panel = row / RP_PANEL, chunk = panel > 0;
    float *values = rp_proof_seen(proof, m->chunks[chunk].range);
    return &values[((size_t)(panel - chunk) * m->device.k + column) * RP_PANEL + row % RP_PANEL];
}

static rp_status prove(rp_proof *proof, uint32_t n, rp_error *err) {
    matrix m = {.n = 4 * proof->kernel->columns + RP_PANEL + 5,
                .k = 4 * proof->kernel->rows + 7,
                .rows = n == EVEN ? 64 : 37};
    uint32_t gap = n == EVEN ? 0 : RP_PANEL, k = rp_padded(m.k), width = rp_padded(m.n);
    rp_op op = {
        .w = {&m.device}, .x_stride = k + gap, .out_stride = width + gap, .halves = proof->use.halves};
    rp_status status;
    proof->difference->bound = rp_rounding_bound(proof->kernel->rounding);
    RP_TRY(rp_proof_open(proof, rp_proof_bytes(m.rows + 1, k + width + 2 * gap) + rp_proof_bytes(k, width), 0,
                         err));
    const rp_proof_rows x = {.rows = m.rows, .width = m.k, .stride = k + gap, .half = op.halves},
                        dy = {.rows = m.rows, .width = m.n, .stride = width + gap, .half = op.halves};
    RP_TRY(rp_proof_input(proof, &x, 17, &m.x, &op.x, err));
    RP_TRY(rp_proof_input(proof, &dy, 1 << 20, &m.dy, &op.dy, err));
    RP_TRY(rp_proof_floats(proof, (size_t)m.n * m.k, &m.want, err));
    rp_proof_fill(m.want, (size_t)m.n * m.k, 1 << 21, 1);
    send(proof, &m);
    for (uint32_t i = 0; i < width; i++)
        for (uint32_t c = 0; c < k; c++)
            *element(proof, &m, i, c) = i < m.n && c < m.k ? m.want[i * m.k + c] : 0;
    for (int again = 0; again < 2; again++)
        rp_reference_gradient(m.rows, m.n, m.k, (rp_const_rows){m.dy, m.n}, (rp_const_rows){m.x, m.k},
                              (rp_rows){m.want, m.k});
    RP_TRY(rp_proof_replay(proof, &op, (uint32_t[RP_COUNT_KINDS]){m.rows}, err));
    for (uint32_t i = 0; i < width; i++)
        for (uint32_t c = 0; c < k; c++) {
            double want = i < m.n && c < m.k ? m.want[i * m.k + c] : 0;
            rp_proof_differ(proof, fabs(*element(proof, &m, i, c) - want) / fmax(1, fabs(want)));
        }
done:
    return status;
}

/* ---- tuning ---- */

enum { SMALL = 1 << 16 }; /* elements of a matrix that is not worth measuring */

static bool is_tuned(const rp_caps *caps, const rp_op *op) {
    (void)caps;
    return (uint64_t)op->w[0]->rows * op->w[0]->k > SMALL;
}

/* As many rows of the matrix as a slow device makes in a moment. */
static rp_status tune(rp_tuning *t, const rp_op *op, const rp_kernel *kernel, double *seconds,
                      rp_error *err) {
    const rp_caps *caps = &t->owner->device->caps;
    const rp_matrix *w = op->w[0];
    uint32_t rows = caps->info.type == RP_DEVICE_CPU ? 128 : 1024;
    double panels = rp_tuning_work(caps) / ((double)rows * w->k * RP_PANEL);
    uint32_t most = panels < 4 ? 4 : panels < w->chunks[0].panels ? (uint32_t)panels : w->chunks[0].panels;
    rp_status status;
    t->counts[RP_COUNT_TOKENS] = rows;
    RP_TRY(rp_tuning_buffers(t, 4ull * rows * (w->k > most * RP_PANEL ? w->k : most * RP_PANEL),
                             rp_panel_bytes(RP_FORMAT_F32, w->k, most), 0, err));
    t->chunk = (rp_matrix_chunk){.range = rp_buffer_range(&t->out, 0, t->out.size), .panels = most};
    t->weights = (rp_matrix){.rows = most * RP_PANEL, .k = w->k, .chunks = &t->chunk, .chunk_count = 1};
    t->op = (rp_op){.class = op->class,
                    .label = "tuning",
                    .x = rp_buffer_range(&t->x, 0, t->x.size),
                    .dy = rp_buffer_range(&t->x, 0, t->x.size),
                    .w = {&t->weights},
                    .halves = op->halves,
                    .kernel = *kernel};
    status = rp_tuning_measure(t, seconds, err);
done:
    return status;
}

const rp_class rp_class_gradient = {.name = "gradient",
                                    .plan = plan,
                                    .record = record,
                                    .use = use,
                                    .cases = CASES,
                                    .prove = prove,
                                    .is_tuned = is_tuned,
                                    .tune = tune};
