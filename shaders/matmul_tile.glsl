// Tiles of x and w on their way through shared memory: what the kernels that use them share. The next tile is fetched
// from memory while the present one is multiplied.
layout(constant_id = 9) const uint DEPTH = 8u; // vec4s of k in one tile

const uint THREADS = LANES * BLOCKS;

// Rows of a workgroup's tile of out, and vec4 columns, whole panels.
#ifdef COOPERATIVE
layout(constant_id = 10) const uint M = 16u; // one matrix of out: M x N, from products of M x K and K x N
layout(constant_id = 11) const uint N = 16u;
layout(constant_id = 12) const uint K = 16u;
layout(constant_id = 13) const uint ACROSS = 1u; // subgroups side by side
const uint TILE_ROWS = BLOCKS / ACROSS * ROWS * M, TILE_COLUMNS = ACROSS * COLUMNS * N / 4u;
const uint STAGES = 2u, X_PADDING = 2u, W_PADDING = 2u;
shared SUM_CELL finished[BLOCKS * M * N / 4u]; // one matrix of each subgroup
#else
const uint TILE_ROWS = BLOCKS * ROWS, TILE_COLUMNS = LANES * COLUMNS;
const uint STAGES = 1u, X_PADDING = 1u, W_PADDING = 0u;
#endif

// A vec4 as it lies in shared memory.
#ifdef COOPERATIVE
CELL cell_of(vec4 v) { return half_cell(clamp(v, -65504.0, 65504.0)); }
#elif defined(HALF)
#define CELL uvec2
uvec2 cell_of(vec4 v) { return pack_half4(v); }
uvec2 cell_of_halves(uvec2 bits) { return bits; }
vec4 value_of(uvec2 cell) { return unpack4(cell, FORMAT_F16); }
#else
#define CELL vec4
vec4 cell_of(vec4 v) { return v; }
vec4 cell_of_halves(uvec2 bits) { return unpack4(bits, FORMAT_F16); }
vec4 value_of(vec4 cell) { return cell; }
#endif

// A row of x ends in unused cells, so that rows side by side do not begin in the same bank.
const uint X_STRIDE = DEPTH + X_PADDING, W_STRIDE = TILE_COLUMNS + W_PADDING;
const uint X_CELLS = TILE_ROWS * DEPTH, W_QUADS = DEPTH * TILE_COLUMNS; // a quad: four cells of one column, or near it
const uint X_HELD = (X_CELLS + THREADS - 1u) / THREADS, W_HELD = (W_QUADS + THREADS - 1u) / THREADS;
shared CELL xs[STAGES * TILE_ROWS * X_STRIDE];   // [row][k]
shared CELL ws[STAGES * 4u * DEPTH * W_STRIDE]; // [k][column]

CELL held_x[X_HELD], held_w[4u * W_HELD];

CELL fetch_w(uint from, uint k)
{
    uint at = from + k * (PANEL / 4u);
    return FORMAT == FORMAT_F16 ? cell_of_halves(w2[at]) : cell_of(load_w(at));
}

// Cell n of the tile in the order of memory: panel after panel, k after k.
uint w_column(uint n) { return n / (4u * DEPTH * 8u) * 8u + n % 8u; }
uint w_k(uint n) { return n / 8u % (4u * DEPTH); }

// Take the tile that begins at vec4 k of the width. Rows and columns past the end repeat the last one.
void fetch(uint row0, uint rows, uint column0, uint k0)
{
    [[unroll]] for (uint n = 0u; n < X_HELD; n++) {
        uint i = n * THREADS + gl_LocalInvocationIndex;
        if (X_CELLS % THREADS != 0u && i >= X_CELLS) break;
        uint at = min(row0 + i / DEPTH, rows - 1u) * p.x_stride + k0 + i % DEPTH;
        held_x[n] = HALF_X ? cell_of_halves(x2[at]) : cell_of(x[at]);
    }
    [[unroll]] for (uint n = 0u; n < W_HELD; n++) {
        uint i = n * THREADS + gl_LocalInvocationIndex;
        if (W_QUADS % THREADS != 0u && i >= W_QUADS) break;
        if (FORMAT == FORMAT_INT8 || FORMAT == FORMAT_INT4) {
            uint column = min(column0 + i % TILE_COLUMNS, p.columns - 1u);
            mat4 w = load_weights(panel_of(column), column, k0 + i / TILE_COLUMNS);
            [[unroll]] for (uint j = 0u; j < 4u; j++) held_w[4u * n + j] = cell_of(w[j]);
        } else {
            [[unroll]] for (uint j = 0u; j < 4u; j++) {
                uint cell = j * W_QUADS + i, column = min(column0 + w_column(cell), p.columns - 1u);
                held_w[4u * n + j] = fetch_w(panel_of(column), 4u * k0 + w_k(cell));
            }
        }
    }
}

// Lay it down.
void place(uint stage)
{
    uint x_base = stage * TILE_ROWS * X_STRIDE, w_base = stage * 4u * DEPTH * W_STRIDE;
    [[unroll]] for (uint n = 0u; n < X_HELD; n++) {
        uint i = n * THREADS + gl_LocalInvocationIndex;
        if (X_CELLS % THREADS != 0u && i >= X_CELLS) break;
        xs[x_base + i / DEPTH * X_STRIDE + i % DEPTH] = held_x[n];
    }
    [[unroll]] for (uint n = 0u; n < W_HELD; n++) {
        uint i = n * THREADS + gl_LocalInvocationIndex;
        if (W_QUADS % THREADS != 0u && i >= W_QUADS) break;
        [[unroll]] for (uint j = 0u; j < 4u; j++) {
            uint cell = j * W_QUADS + i, k = w_k(cell), column = w_column(cell);
            if (FORMAT == FORMAT_INT8 || FORMAT == FORMAT_INT4) {
                k = 4u * (i / TILE_COLUMNS) + j;
                column = i % TILE_COLUMNS;
            }
            ws[w_base + k * W_STRIDE + column] = held_w[4u * n + j];
        }
    }
}
