// Matmul in which a workgroup is one subgroup of LANES invocations and makes ROWS rows of LANES * COLUMNS vec4 columns.
// Each lane loads some of the rows of x and hands them round by shuffles with constant indices; nothing is shared
// through memory and nothing waits. Made for drivers that run a subgroup as one vector of a CPU.
void main()
{
    const uint held = (ROWS + LANES - 1u) / LANES; // rows of x that a lane loads
    uint lane = gl_LocalInvocationID.x, rows = counts[p.count];
    uint row0 = gl_WorkGroupID.x * ROWS, column0 = gl_WorkGroupID.y * LANES * COLUMNS + lane;

    uint x_at[held], w_column[COLUMNS], w_at[COLUMNS]; // rows and columns past the end repeat the last one and are not written
    vec4 sum[ROWS * COLUMNS];
    [[unroll]] for (uint i = 0u; i < held; i++) x_at[i] = min(row0 + i * LANES + lane, rows - 1u) * p.x_stride;
    [[unroll]] for (uint c = 0u; c < COLUMNS; c++) {
        w_column[c] = min(column0 + c * LANES, p.columns - 1u);
        w_at[c] = panel_of(w_column[c]);
    }
    [[unroll]] for (uint i = 0u; i < ROWS * COLUMNS; i++) sum[i] = vec4(0.0);

    for (uint k = 0u; k < p.k; k++) {
        vec4 v[held];
        [[unroll]] for (uint i = 0u; i < held; i++) v[i] = load_x(x_at[i] + k);
        [[unroll]] for (uint c = 0u; c < COLUMNS; c++) {
            mat4 w = load_weights(w_at[c], w_column[c], k);
            [[unroll]] for (uint r = 0u; r < ROWS; r++) {
                uint i = r * COLUMNS + c;
                sum[i] = multiply_add(subgroupShuffle(v[r / LANES], r % LANES), w, sum[i]);
            }
        }
    }
    // Four rows at a time, the next four move up: unrolled, this is most of the shader, and drivers compile it at every start.
    const uint few = min(ROWS, 4u) * COLUMNS;
    [[dont_unroll]] for (uint r = 0u; r < ROWS; r += 4u) {
        [[unroll]] for (uint i = 0u; i < few; i++) {
            uint row = row0 + r + i / COLUMNS, column = column0 + i % COLUMNS * LANES;
            if (row < rows && column < p.columns) write_result(row, column, sum[i]);
        }
        [[unroll]] for (uint i = few; i < ROWS * COLUMNS; i++) sum[i - few] = sum[i];
    }
#ifdef NORM
    normalize_rows(row0, min(row0 + ROWS, rows));
#endif
}
