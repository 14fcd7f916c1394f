// Matmul by tiles in shared memory: a workgroup makes BLOCKS * ROWS rows of LANES * COLUMNS vec4 columns, an invocation
// ROWS neighbouring rows and every LANES-th column of them. With HALF the tiles are float16; sums are float32.
void main()
{
    uint rows = counts[p.count], row0 = gl_WorkGroupID.x * TILE_ROWS, column0 = gl_WorkGroupID.y * TILE_COLUMNS;
    uint lane = gl_LocalInvocationID.x, first = gl_LocalInvocationID.y * ROWS;
    vec4 sum[ROWS * COLUMNS];
    [[unroll]] for (uint i = 0u; i < ROWS * COLUMNS; i++) sum[i] = vec4(0.0);

    fetch(row0, rows, column0, 0u);
    for (uint k0 = 0u; k0 < p.k; k0 += DEPTH) {
        place(0u);
        barrier();
        if (k0 + DEPTH < p.k) fetch(row0, rows, column0, k0 + DEPTH);
        [[unroll]] for (uint k = 0u; k < DEPTH; k++) {
            vec4 v[ROWS];
            [[unroll]] for (uint r = 0u; r < ROWS; r++) v[r] = value_of(xs[(first + r) * X_STRIDE + k]);
            [[unroll]] for (uint c = 0u; c < COLUMNS; c++) {
                uint at = 4u * k * W_STRIDE + c * LANES + lane;
                mat4 w = mat4(value_of(ws[at]), value_of(ws[at + W_STRIDE]), value_of(ws[at + 2u * W_STRIDE]),
                              value_of(ws[at + 3u * W_STRIDE]));
                [[unroll]] for (uint r = 0u; r < ROWS; r++)
                    sum[r * COLUMNS + c] = multiply_add(v[r], w, sum[r * COLUMNS + c]);
            }
        }
        barrier();
    }
    [[unroll]] for (uint r = 0u; r < ROWS; r++)
        [[unroll]] for (uint c = 0u; c < COLUMNS; c++) {
            uint row = row0 + first + r, column = column0 + c * LANES + lane;
            if (row < rows && column < p.columns) write_result(row, column, sum[r * COLUMNS + c]);
        }
#ifdef NORM
    normalize_rows(row0, min(row0 + TILE_ROWS, rows));
#endif
}
