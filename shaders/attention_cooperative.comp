// Attention by cooperative matrices. A subgroup takes M queries, a workgroup QUERIES / M subgroups, which share the tiles
// of K and V. qkv holds float16; scores and sums are float32, probabilities float16.
layout(constant_id = 5) const uint M = 16u; // one matrix: M x N, from products of M x K and K x N
layout(constant_id = 6) const uint N = 16u;
layout(constant_id = 7) const uint K = 16u;
layout(constant_id = 8) const uint SUBGROUP_LANES = 32u;

const uint WIDE = (4u * HEAD + K - 1u) / K * K;           // columns of a head, with zeros up to whole matrices
const uint ACROSS = (4u * HEAD + N - 1u) / N;             // matrices of a head's result
const uint PADDED = (WIDE > ACROSS * N ? WIDE : ACROSS * N) / 4u; // the wider of the two, in vec4s
const uint STRIDE = PADDED + 2u;                          // of Q, K and V
const uint SCORES = KEYS / 4u + 1u, CHANCES = KEYS / 4u + 2u; // row strides of scores and of probabilities
const uint PARTS = SUBGROUP_LANES / M, PART = KEYS / 4u / PARTS; // lanes that share a query, vec4s of keys of each

shared CELL qs[QUERIES * STRIDE], ks[KEYS * STRIDE], vs[KEYS * STRIDE];
shared SUM_CELL s[QUERIES * SCORES];
shared CELL chances[QUERIES * CHANCES];
shared SUM_CELL square[QUERIES * N / 4u]; // one matrix of each subgroup: what its sums are multiplied by, then results

CELL part_of_head(uint row, uint at, uint column)
{
    return column < HEAD ? cell_of_halves(qkv2[row * p.stride + at + column]) : CELL(0);
}

float largest_of_parts(float x)
{
    [[unroll]] for (uint i = 1u; i < PARTS; i *= 2u) x = max(x, subgroupShuffleXor(x, i));
    return x;
}
float sum_of_parts(float x)
{
    [[unroll]] for (uint i = 1u; i < PARTS; i *= 2u) x += subgroupShuffleXor(x, i);
    return x;
}

void main()
{
    if (gl_WorkGroupID.x >= counts[3]) return;
    uvec2 tile = tiles[gl_WorkGroupID.x];
    uint id = gl_LocalInvocationID.x, head = gl_WorkGroupID.y, column = head * HEAD, lane = gl_SubgroupInvocationID;
    uint first = starts[tile.x], length = starts[tile.x + 1u] - first;
    uint queries = min(QUERIES, length - tile.y), query0 = gl_SubgroupID * M;
    for (uint i = id; i < QUERIES * PADDED; i += LANES)
        qs[i / PADDED * STRIDE + i % PADDED] =
            part_of_head(first + tile.y + min(i / PADDED, queries - 1u), column, i % PADDED);
    uint row = query0 + lane / PARTS, begin = lane % PARTS * PART; // of the exponentials
    float top = -1e30, total = 0.0;
    MATRIX_SUM sum[ACROSS];
    [[unroll]] for (uint n = 0u; n < ACROSS; n++) sum[n] = MATRIX_SUM(0.0);

    for (uint key0 = 0u; key0 < length; key0 += KEYS) {
        for (uint i = id; i < KEYS * PADDED; i += LANES) {
            uint key = first + min(key0 + i / PADDED, length - 1u);
            ks[i / PADDED * STRIDE + i % PADDED] = part_of_head(key, p.k_offset + column, i % PADDED);
            vs[i / PADDED * STRIDE + i % PADDED] = part_of_head(key, 2u * p.k_offset + column, i % PADDED);
        }
        barrier();
        [[unroll]] for (uint n = 0u; n < KEYS / N; n++) {
            MATRIX_SUM scores = MATRIX_SUM(0.0);
            [[unroll]] for (uint d = 0u; d < WIDE; d += K) {
                MATRIX_A a;
                MATRIX_B b;
                LOAD_ROWS(a, qs, query0 * STRIDE + d / 4u, STRIDE);
                LOAD_COLUMNS(b, ks, n * N * STRIDE + d / 4u, STRIDE);
                scores = MULTIPLY_ADD(a, b, scores);
            }
            STORE_ROWS(scores, s, query0 * SCORES + n * N / 4u, SCORES);
        }
        subgroupBarrier();
        vec4 e[PART];
        float largest = top, added = 0.0;
        [[unroll]] for (uint i = 0u; i < PART; i++) {
            bvec4 there = lessThan(key0 + 4u * (begin + i) + uvec4(0u, 1u, 2u, 3u), uvec4(length));
            e[i] = mix(vec4(-1e30), floats_of(s[row * SCORES + begin + i]) * p.scale, there);
            largest = max(largest, max(max(e[i].x, e[i].y), max(e[i].z, e[i].w)));
        }
        largest = largest_of_parts(largest);
        [[unroll]] for (uint i = 0u; i < PART; i++) {
            e[i] = exp(e[i] - largest);
            added += (e[i].x + e[i].y) + (e[i].z + e[i].w);
            chances[row * CHANCES + begin + i] = half_cell(e[i]);
        }
        float change = exp(top - largest);
        total = total * change + added; // of this lane's keys
        top = largest;
        for (uint i = lane % PARTS; i < N / 4u; i += PARTS) square[row * (N / 4u) + i] = sum_cell(vec4(change));
        subgroupBarrier();
        MATRIX_SUM changes;
        LOAD_ROWS(changes, square, query0 * (N / 4u), N / 4u);
        [[unroll]] for (uint n = 0u; n < ACROSS; n++) MULTIPLY_EACH(sum[n], changes);
        [[unroll]] for (uint k = 0u; k < KEYS; k += K) {
            MATRIX_A a;
            LOAD_ROWS(a, chances, query0 * CHANCES + k / 4u, CHANCES);
            [[unroll]] for (uint n = 0u; n < ACROSS; n++) {
                MATRIX_B b;
                LOAD_ROWS(b, vs, k * STRIDE + n * N / 4u, STRIDE);
                sum[n] = MULTIPLY_ADD(a, b, sum[n]);
            }
        }
        barrier();
    }
    float all = sum_of_parts(total);
    [[unroll]] for (uint n = 0u; n < ACROSS; n++) {
        STORE_ROWS(sum[n], square, query0 * (N / 4u), N / 4u);
        subgroupBarrier();
        for (uint i = lane % PARTS; i < N / 4u; i += PARTS)
            if (row < queries && n * N / 4u + i < HEAD)
                store((first + tile.y + row) * p.out_stride + column + n * N / 4u + i,
                      floats_of(square[row * (N / 4u) + i]) / all);
        subgroupBarrier();
    }
    clear_padding(first + tile.y, queries, head);
}
