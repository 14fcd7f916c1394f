// The gradient of a weight matrix as in gradient.comp, of float16, by cooperative matrices: BLOCKS subgroups of LANES
// invocations, ACROSS of them side by side along n, each of which makes ROWS x COLUMNS matrices of M elements along k by
// N along n. Some tokens at a time pass through shared memory, twice: one tile is filled while the other is multiplied.
// Sums are float32, in an order of the device's own.
#extension GL_EXT_control_flow_attributes : require

layout(local_size_x_id = 0, local_size_y_id = 1) in;
layout(constant_id = 0) const uint LANES = 32u;
layout(constant_id = 1) const uint BLOCKS = 1u;
layout(constant_id = 2) const uint ROWS = 1u;
layout(constant_id = 3) const uint COLUMNS = 1u;
layout(constant_id = 4) const uint DEPTH = 16u; // tokens in a tile
layout(constant_id = 6) const uint M = 16u;
layout(constant_id = 7) const uint N = 16u;
layout(constant_id = 8) const uint K = 16u;
layout(constant_id = 9) const uint ACROSS = 1u;

layout(std430, set = 0, binding = 1) readonly buffer X { uvec2 x[]; };
layout(std430, set = 0, binding = 2) readonly buffer Dy { uvec2 dy[]; };
layout(std430, set = 0, binding = 3) buffer Out { vec4 result[]; };

// Widths, strides and columns count fours.
layout(push_constant) uniform Push {
    uint count;
    uint k;
    uint columns;
    uint first_column;
    uint x_stride;
    uint dy_stride;
} p;

const uint THREADS = LANES * BLOCKS;
const uint X_CELLS = BLOCKS / ACROSS * ROWS * M / 4u, DY_CELLS = ACROSS * COLUMNS * N / 4u; // of one token
const uint X_STRIDE = X_CELLS + 2u, DY_STRIDE = DY_CELLS + 2u; // so that tokens do not begin in the same bank
const uint X_HELD = (DEPTH * X_CELLS + THREADS - 1u) / THREADS, DY_HELD = (DEPTH * DY_CELLS + THREADS - 1u) / THREADS;
shared CELL xs[2u * DEPTH * X_STRIDE];
shared CELL dys[2u * DEPTH * DY_STRIDE];
shared SUM_CELL finished[BLOCKS * M * N / 4u]; // one matrix of each subgroup
CELL held_x[X_HELD], held_dy[DY_HELD];

// Take the tile that begins at token t0: x is zero past the end.
void fetch(uint t0, uint tokens)
{
    [[unroll]] for (uint n = 0u; n < X_HELD; n++) {
        uint i = n * THREADS + gl_LocalInvocationIndex, t = t0 + i / X_CELLS;
        uint k = min(gl_WorkGroupID.x * X_CELLS + i % X_CELLS, p.k - 1u);
        uvec2 bits = x[min(t, tokens - 1u) * p.x_stride + k];
        held_x[n] = cell_of_halves(t < tokens ? bits : uvec2(0u));
    }
    [[unroll]] for (uint n = 0u; n < DY_HELD; n++) {
        uint i = n * THREADS + gl_LocalInvocationIndex;
        uint column = min(gl_WorkGroupID.y * DY_CELLS + i % DY_CELLS, p.columns - 1u);
        held_dy[n] = cell_of_halves(dy[min(t0 + i / DY_CELLS, tokens - 1u) * p.dy_stride + p.first_column + column]);
    }
}

// Lay it down.
void place(uint stage)
{
    [[unroll]] for (uint n = 0u; n < X_HELD; n++) {
        uint i = n * THREADS + gl_LocalInvocationIndex;
        if (DEPTH * X_CELLS % THREADS == 0u || i < DEPTH * X_CELLS)
            xs[(stage * DEPTH + i / X_CELLS) * X_STRIDE + i % X_CELLS] = held_x[n];
    }
    [[unroll]] for (uint n = 0u; n < DY_HELD; n++) {
        uint i = n * THREADS + gl_LocalInvocationIndex;
        if (DEPTH * DY_CELLS % THREADS == 0u || i < DEPTH * DY_CELLS)
            dys[(stage * DEPTH + i / DY_CELLS) * DY_STRIDE + i % DY_CELLS] = held_dy[n];
    }
}

void main()
{
    uint tokens = counts[p.count], stage = 0u;
    uint down = gl_SubgroupID / ACROSS * (ROWS * M / 4u), across = gl_SubgroupID % ACROSS * (COLUMNS * N / 4u);
    MATRIX_SUM sum[ROWS * COLUMNS];
    [[unroll]] for (uint i = 0u; i < ROWS * COLUMNS; i++) sum[i] = MATRIX_SUM(0.0);
    if (tokens == 0u) return;
    fetch(0u, tokens);
    place(0u);
    barrier();
    for (uint t0 = 0u; t0 < tokens; t0 += DEPTH) {
        bool more = t0 + DEPTH < tokens;
        if (more) fetch(t0 + DEPTH, tokens);
        uint x_base = stage * DEPTH * X_STRIDE + down, dy_base = stage * DEPTH * DY_STRIDE + across;
        [[unroll]] for (uint t = 0u; t < DEPTH; t += K) {
            MATRIX_A a[ROWS]; // of x, transposed
            [[unroll]] for (uint r = 0u; r < ROWS; r++)
                LOAD_COLUMNS(a[r], xs, x_base + t * X_STRIDE + r * M / 4u, X_STRIDE);
            [[unroll]] for (uint c = 0u; c < COLUMNS; c++) {
                MATRIX_B b;
                LOAD_ROWS(b, dys, dy_base + t * DY_STRIDE + c * N / 4u, DY_STRIDE);
                [[unroll]] for (uint r = 0u; r < ROWS; r++)
                    sum[r * COLUMNS + c] = MULTIPLY_ADD(a[r], b, sum[r * COLUMNS + c]);
            }
        }
        stage = 1u - stage;
        if (more) place(stage);
        barrier();
    }
    uint base = gl_SubgroupID * (M * N / 4u);
    [[unroll]] for (uint i = 0u; i < ROWS * COLUMNS; i++) {
        STORE_ROWS(sum[i], finished, base, N / 4u);
        subgroupBarrier();
        for (uint j = gl_SubgroupInvocationID; j < M * N / 4u; j += LANES) {
            uint k = 4u * (gl_WorkGroupID.x * X_CELLS + down) + i / COLUMNS * M + j / (N / 4u);
            uint column = gl_WorkGroupID.y * DY_CELLS + across + i % COLUMNS * (N / 4u) + j % (N / 4u);
            if (k < 4u * p.k && column < p.columns)
                result[(column / 8u * 4u * p.k + k) * 8u + column % 8u] += floats_of(finished[base + j]);
        }
        subgroupBarrier();
    }
}
