// Matmul of integer weights by dot products of 8-bit integers. A row of x is brought to 8 bits on its way into shared
// memory, with a scale for every 32 of its elements; INT4 weights have theirs for the same 32, INT8 weights one for all.
// The workgroup's tile is as in matmul_tile.comp.
#extension GL_EXT_spirv_intrinsics : require
// OpSDot of SPV_KHR_integer_dot_product: four products of packed signed integers.
spirv_instruction(extensions = ["SPV_KHR_integer_dot_product"], capabilities = [6018, 6019], id = 4450)
int dot4(int a, int b, spirv_literal int format);

const uint THREADS = LANES * BLOCKS, TILE_ROWS = BLOCKS * ROWS, TILE_COLUMNS = LANES * COLUMNS;
const uint DEPTH = 8u; // words of a row, four elements each
const uint X_STRIDE = DEPTH + 1u;
shared int xs[TILE_ROWS * X_STRIDE];        // [row][word]
shared float x_scales[TILE_ROWS];
shared ivec4 ws[DEPTH * TILE_COLUMNS];      // [word][column]
shared vec4 w_scales[TILE_COLUMNS];         // INT4

int pack_bytes(ivec4 q) { return (q.x & 255) | (q.y & 255) << 8 | (q.z & 255) << 16 | q.w << 24; }

void place_x(uint row0, uint rows, uint k0)
{
    for (uint i = gl_LocalInvocationIndex; i < TILE_ROWS; i += THREADS) {
        uint at = min(row0 + i, rows - 1u) * p.x_stride + k0;
        vec4 v[DEPTH], most = vec4(0.0);
        [[unroll]] for (uint k = 0u; k < DEPTH; k++) {
            v[k] = load_x(at + k);
            most = max(most, abs(v[k]));
        }
        float largest = max(max(most.x, most.y), max(most.z, most.w));
        float inverse = largest > 0.0 ? 127.0 / largest : 0.0;
        x_scales[i] = largest / 127.0;
        [[unroll]] for (uint k = 0u; k < DEPTH; k++)
            xs[i * X_STRIDE + k] = pack_bytes(ivec4(roundEven(v[k] * inverse)));
    }
}

// Four signed 4-bit integers in the low half of each word become bytes.
ivec4 spread(uvec4 q)
{
    q = (q | q << 8) & 0x00ff00ffu;
    q = (q | q << 4) & 0x0f0f0f0fu;
    return ivec4(q | (q & 0x08080808u) * 0x1eu);
}

void place_w(uint column0, uint k0)
{
    for (uint i = gl_LocalInvocationIndex; i < DEPTH * TILE_COLUMNS; i += THREADS) {
        uint k = i / TILE_COLUMNS, column = min(column0 + i % TILE_COLUMNS, p.columns - 1u);
        uint panel = panel_of(column), lane = column % 8u;
        if (FORMAT == FORMAT_INT8) {
            ws[i] = ivec4(load_words(panel + 8u + (k0 + k) * 8u + lane));
        } else {
            uint group = panel + k0 / 8u * 36u;
            ws[i] = spread(load_words(group + 4u + k / 2u * 8u + lane) >> (k % 2u * 16u) & 0xffffu);
            if (k == 0u) {
                uvec4 scales = load_words(group + lane / 2u);
                w_scales[i] = unpack4(lane % 2u == 0u ? scales.xy : scales.zw, FORMAT_BF16);
            }
        }
    }
}

void main()
{
    uint rows = counts[p.count], row0 = gl_WorkGroupID.x * TILE_ROWS, column0 = gl_WorkGroupID.y * TILE_COLUMNS;
    uint lane = gl_LocalInvocationID.x, first = gl_LocalInvocationID.y * ROWS;
    vec4 sum[ROWS * COLUMNS];
    [[unroll]] for (uint i = 0u; i < ROWS * COLUMNS; i++) sum[i] = vec4(0.0);

    for (uint k0 = 0u; k0 < p.k; k0 += DEPTH) {
        place_x(row0, rows, k0);
        place_w(column0, k0);
        barrier();
        ivec4 products[ROWS * COLUMNS];
        [[unroll]] for (uint i = 0u; i < ROWS * COLUMNS; i++) products[i] = ivec4(0);
        [[unroll]] for (uint k = 0u; k < DEPTH; k++) {
            int v[ROWS];
            [[unroll]] for (uint r = 0u; r < ROWS; r++) v[r] = xs[(first + r) * X_STRIDE + k];
            [[unroll]] for (uint c = 0u; c < COLUMNS; c++) {
                ivec4 w = ws[k * TILE_COLUMNS + c * LANES + lane];
                [[unroll]] for (uint r = 0u; r < ROWS; r++)
                    products[r * COLUMNS + c] +=
                        ivec4(dot4(v[r], w.x, 0), dot4(v[r], w.y, 0), dot4(v[r], w.z, 0), dot4(v[r], w.w, 0));
            }
        }
        [[unroll]] for (uint r = 0u; r < ROWS; r++)
            [[unroll]] for (uint c = 0u; c < COLUMNS; c++) {
                vec4 scale = vec4(x_scales[first + r]);
                if (FORMAT == FORMAT_INT4) scale *= w_scales[c * LANES + lane];
                sum[r * COLUMNS + c] += scale * vec4(products[r * COLUMNS + c]);
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
