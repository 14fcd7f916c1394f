// Matmul that needs nothing beyond Vulkan 1.1: no subgroups, and no shared memory but for a LayerNorm. One invocation
// makes ROWS rows of one vec4 column; LANES invocations stand side by side, BLOCKS of them below each other.
void multiply(uint row0, uint rows, uint column)
{
    uint at[ROWS]; // rows past the end repeat the last one and are not written
    vec4 sum[ROWS];
    [[unroll]] for (uint r = 0u; r < ROWS; r++) {
        at[r] = min(row0 + r, rows - 1u) * p.x_stride;
        sum[r] = vec4(0.0);
    }
    uint from = panel_of(column);
    for (uint k = 0u; k < p.k; k++) {
        mat4 w = load_weights(from, column, k);
        [[unroll]] for (uint r = 0u; r < ROWS; r++) sum[r] = multiply_add(load_x(at[r] + k), w, sum[r]);
    }
    [[unroll]] for (uint r = 0u; r < ROWS; r++)
        if (row0 + r < rows) write_result(row0 + r, column, sum[r]);
}

void main()
{
    uint rows = counts[p.count], tile = gl_WorkGroupID.x * BLOCKS * ROWS;
    uint row0 = tile + gl_LocalInvocationID.y * ROWS, column = gl_WorkGroupID.y * LANES + gl_LocalInvocationID.x;
    if (row0 < rows && column < p.columns) multiply(row0, rows, column);
#ifdef NORM
    normalize_rows(tile, min(tile + BLOCKS * ROWS, rows));
#endif
}
