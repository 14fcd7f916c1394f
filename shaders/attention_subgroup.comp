// Attention in which a workgroup is one subgroup. For the scores a lane holds KEYS / LANES keys, for the result it holds
// columns of V; queries and probabilities are handed round by shuffles with constant indices.
//
// Sums and scores must stay out of memory, where a software driver reads and writes arrays lane by lane: every index into
// them has to be a constant in the end. A loop is only unrolled when it counts by addition and no loop inside it stays, so
// none that stays may lie inside an unrolled one.
const uint HELD_KEYS = KEYS / LANES;
const uint HELD_COLUMNS = (HEAD + LANES - 1u) / LANES;
const uint HELD_QUERIES = (QUERIES + LANES - 1u) / LANES;

// The same value in every lane: the largest, or the sum in a fixed order.
float largest_of(float x)
{
    [[unroll]] for (uint i = 0u; i < 6u; i++)
        if (1u << i < LANES) x = max(x, subgroupShuffleXor(x, 1u << i));
    return x;
}
float sum_of(float x)
{
    [[unroll]] for (uint i = 0u; i < 6u; i++)
        if (1u << i < LANES) x += subgroupShuffleXor(x, 1u << i);
    return x;
}

void main()
{
    if (gl_WorkGroupID.x >= counts[3]) return;
    uvec2 tile = tiles[gl_WorkGroupID.x];
    uint lane = gl_LocalInvocationID.x, head = gl_WorkGroupID.y, column = head * HEAD;
    uint first = starts[tile.x], length = starts[tile.x + 1u] - first;
    uint queries = min(QUERIES, length - tile.y);

    uint q_at[HELD_QUERIES];
    [[unroll]] for (uint i = 0u; i < HELD_QUERIES; i++)
        q_at[i] = (first + tile.y + min(i * LANES + lane, queries - 1u)) * p.stride + column;
    vec4 sum[QUERIES * HELD_COLUMNS];
    float top[QUERIES], total[QUERIES]; // total: of this lane's keys
    [[unroll]] for (uint i = 0u; i < QUERIES * HELD_COLUMNS; i++) sum[i] = vec4(0.0);
    [[unroll]] for (uint q = 0u; q < QUERIES; q++) {
        top[q] = -1e30;
        total[q] = 0.0;
    }

    for (uint key0 = 0u; key0 < length; key0 += KEYS) {
        float s[QUERIES * HELD_KEYS];
        uint k_at[HELD_KEYS];
        [[unroll]] for (uint i = 0u; i < QUERIES * HELD_KEYS; i++) s[i] = 0.0;
        [[unroll]] for (uint i = 0u; i < HELD_KEYS; i++)
            k_at[i] = (first + min(key0 + i * LANES + lane, length - 1u)) * p.stride + p.k_offset + column;
        [[dont_unroll]] for (uint d = 0u; d < HEAD; d++) {
            vec4 q[HELD_QUERIES], k[HELD_KEYS];
            [[unroll]] for (uint i = 0u; i < HELD_QUERIES; i++) q[i] = load(q_at[i] + d) * p.scale;
            [[unroll]] for (uint i = 0u; i < HELD_KEYS; i++) k[i] = load(k_at[i] + d);
            [[unroll]] for (uint n = 0u; n < QUERIES; n++) {
                vec4 v = subgroupShuffle(q[n / LANES], n % LANES);
                [[unroll]] for (uint i = 0u; i < HELD_KEYS; i++) {
                    uint at = n * HELD_KEYS + i;
                    s[at] = fma(v.w, k[i].w, fma(v.z, k[i].z, fma(v.y, k[i].y, fma(v.x, k[i].x, s[at]))));
                }
            }
        }
        [[unroll]] for (uint n = 0u; n < QUERIES; n++) {
            float largest = top[n];
            [[unroll]] for (uint i = 0u; i < HELD_KEYS; i++) {
                if (key0 + i * LANES + lane >= length) s[n * HELD_KEYS + i] = -1e30;
                largest = max(largest, s[n * HELD_KEYS + i]);
            }
            largest = largest_of(largest);
            float rescale = exp(top[n] - largest);
            top[n] = largest;
            total[n] *= rescale;
            [[unroll]] for (uint i = 0u; i < HELD_KEYS; i++) {
                float e = exp(s[n * HELD_KEYS + i] - largest);
                s[n * HELD_KEYS + i] = e;
                total[n] += e;
            }
            [[unroll]] for (uint c = 0u; c < HELD_COLUMNS; c++) sum[n * HELD_COLUMNS + c] *= rescale;
        }
        uint blocks = min(HELD_KEYS, (length - key0 + LANES - 1u) / LANES); // of LANES keys each
        [[dont_unroll]] for (uint i = 0u; i < blocks; i++) {
            [[unroll]] for (uint k = 0u; k < LANES; k += 4u) {
                vec4 v[4 * HELD_COLUMNS];
                [[unroll]] for (uint j = 0u; j < 4u; j++) {
                    uint key = first + min(key0 + i * LANES + k + j, length - 1u);
                    uint at = key * p.stride + 2u * p.k_offset + column;
                    [[unroll]] for (uint c = 0u; c < HELD_COLUMNS; c++)
                        v[j * HELD_COLUMNS + c] = load(at + min(c * LANES + lane, HEAD - 1u));
                }
                [[unroll]] for (uint n = 0u; n < QUERIES; n++) {
                    float e = s[n * HELD_KEYS];
                    vec4 a = vec4(subgroupShuffle(e, k)), b = vec4(subgroupShuffle(e, k + 1u)),
                         c = vec4(subgroupShuffle(e, k + 2u)), d = vec4(subgroupShuffle(e, k + 3u));
                    [[unroll]] for (uint m = 0u; m < HELD_COLUMNS; m++) {
                        vec4 y = fma(b, v[HELD_COLUMNS + m], fma(a, v[m], sum[n * HELD_COLUMNS + m]));
                        sum[n * HELD_COLUMNS + m] =
                            fma(d, v[3u * HELD_COLUMNS + m], fma(c, v[2u * HELD_COLUMNS + m], y));
                    }
                }
            }
            [[unroll]] for (uint n = 0u; n < QUERIES; n++) // the next block comes first
                [[unroll]] for (uint j = 1u; j < HELD_KEYS; j++)
                    s[n * HELD_KEYS + j - 1u] = s[n * HELD_KEYS + j];
        }
    }
    uint padding = p.out_stride - p.heads * HEAD; // cleared by the last head: the next matmul reads it
    [[unroll]] for (uint n = 0u; n < QUERIES; n++) {
        float all = sum_of(total[n]);
        uint row = (first + tile.y + n) * p.out_stride;
        [[unroll]] for (uint c = 0u; c < HELD_COLUMNS; c++)
            if (n < queries && c * LANES + lane < HEAD)
                store(row + column + c * LANES + lane, sum[n * HELD_COLUMNS + c] / all);
    }
    if (head + 1u == p.heads)
        [[dont_unroll]] for (uint n = 0u; n < queries; n++)
            for (uint i = lane; i < padding; i += LANES)
                store((first + tile.y + n) * p.out_stride + p.heads * HEAD + i, vec4(0.0));
}
