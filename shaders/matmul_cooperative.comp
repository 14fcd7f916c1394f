// Matmul by cooperative matrices: BLOCKS subgroups of LANES invocations, ACROSS of them side by side, each of which makes
// ROWS x COLUMNS matrices of M x N. Tiles of x and w are float16 in shared memory, two of them: one is filled while the
// other is multiplied. Sums are float32, in an order of the device's own.
void main()
{
    uint rows = counts[p.count], row0 = gl_WorkGroupID.x * TILE_ROWS, column0 = gl_WorkGroupID.y * TILE_COLUMNS;
    uint down = gl_SubgroupID / ACROSS * (ROWS * M), across = gl_SubgroupID % ACROSS * (COLUMNS * N / 4u);
    MATRIX_SUM sum[ROWS * COLUMNS];
    [[unroll]] for (uint i = 0u; i < ROWS * COLUMNS; i++) sum[i] = MATRIX_SUM(0.0);

    fetch(row0, rows, column0, 0u);
    place(0u);
    barrier();
    uint stage = 0u;
    for (uint k0 = 0u; k0 < p.k; k0 += DEPTH) {
        bool more = k0 + DEPTH < p.k;
        if (more) fetch(row0, rows, column0, k0 + DEPTH);
        uint x_base = stage * TILE_ROWS * X_STRIDE + down * X_STRIDE, w_base = stage * 4u * DEPTH * W_STRIDE + across;
        [[unroll]] for (uint k = 0u; k < 4u * DEPTH; k += K) {
            MATRIX_A a[ROWS];
            [[unroll]] for (uint r = 0u; r < ROWS; r++)
                LOAD_ROWS(a[r], xs, x_base + r * M * X_STRIDE + k / 4u, X_STRIDE);
            [[unroll]] for (uint c = 0u; c < COLUMNS; c++) {
                MATRIX_B b;
                LOAD_ROWS(b, ws, w_base + k * W_STRIDE + c * N / 4u, W_STRIDE);
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
            uint row = row0 + down + i / COLUMNS * M + j / (N / 4u);
            uint column = column0 + across + i % COLUMNS * (N / 4u) + j % (N / 4u);
            if (row < rows && column < p.columns) write_result(row, column, floats_of(finished[base + j]));
        }
        subgroupBarrier();
    }
#ifdef NORM
    normalize_rows(row0, min(row0 + TILE_ROWS, rows));
#endif
}
