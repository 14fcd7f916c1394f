// Attention in which a workgroup is one subgroup. For the scores a lane holds KEYS / LANES keys, for the result it holds
// columns of V; queries and probabilities are handed round by shuffles with constant indices.
//
// Sums and scores must stay out of memory, where a software driver reads and writes arrays lane by lane: every index into
// them has to be a constant in the end. A loop is only unrolled when it counts by addition and no loop inside it stays, so
// none that stays may lie inside an unrolled one.
const uint HELD_KEYS = KEYS / LANES;
const uint HELD_COLUMNS = (HEAD + LANES - 1u) / LANES;
const uint HELD_QUERIES = (QUERIES + LANES - 1u) / LANES;
const uint FOURS = QUERIES / 4u; // queries, four in a vector: compilers have a quarter of the work

// The same value in every lane: the largest, or the sum in a fixed order.
vec4 largest_of(vec4 x)
{
    [[unroll]] for (uint i = 0u; i < 6u; i++)
        if (1u << i < LANES) x = max(x, subgroupShuffleXor(x, 1u << i));
    return x;
}
vec4 sum_of(vec4 x)
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
    vec4 top[FOURS], total[FOURS]; // total: of this lane's keys
    [[unroll]] for (uint i = 0u; i < QUERIES * HELD_COLUMNS; i++) sum[i] = vec4(0.0);
    [[unroll]] for (uint n = 0u; n < FOURS; n++) {
        top[n] = vec4(-1e30);
        total[n] = vec4(0.0);
    }

    for (uint key0 = 0u; key0 < length; key0 += KEYS) {
        vec4 s[FOURS * HELD_KEYS];
        uint k_at[HELD_KEYS];
        [[unroll]] for (uint i = 0u; i < FOURS * HELD_KEYS; i++) s[i] = vec4(0.0);
        [[unroll]] for (uint i = 0u; i < HELD_KEYS; i++)
            k_at[i] = (first + min(key0 + i * LANES + lane, length - 1u)) * p.stride + p.k_offset + column;
        [[dont_unroll]] for (uint d = 0u; d < HEAD; d++) {
            vec4 q[HELD_QUERIES], k[HELD_KEYS];
            [[unroll]] for (uint i = 0u; i < HELD_QUERIES; i++) q[i] = load(q_at[i] + d) * p.scale;
            [[unroll]] for (uint i = 0u; i < HELD_KEYS; i++) k[i] = load(k_at[i] + d);
            [[unroll]] for (uint n = 0u; n < QUERIES; n += 4u) {
                vec4 held = q[n / LANES];
                mat4 v = transpose(mat4(subgroupShuffle(held, n % LANES), subgroupShuffle(held, n % LANES + 1u),
                                        subgroupShuffle(held, n % LANES + 2u), subgroupShuffle(held, n % LANES + 3u)));
                [[unroll]] for (uint i = 0u; i < HELD_KEYS; i++) {
                    uint at = n / 4u * HELD_KEYS + i;
                    s[at] = fma(v[3], k[i].wwww, fma(v[2], k[i].zzzz, fma(v[1], k[i].yyyy, fma(v[0], k[i].xxxx, s[at]))));
                }
            }
        }
        [[unroll]] for (uint n = 0u; n < FOURS; n++) {
            vec4 largest = top[n];
            [[unroll]] for (uint i = 0u; i < HELD_KEYS; i++) {
                if (key0 + i * LANES + lane >= length) s[n * HELD_KEYS + i] = vec4(-1e30);
                largest = max(largest, s[n * HELD_KEYS + i]);
            }
            largest = largest_of(largest);
            vec4 rescale = exp(top[n] - largest);
            top[n] = largest;
            total[n] *= rescale;
            [[unroll]] for (uint i = 0u; i < HELD_KEYS; i++) {
                vec4 e = exp(s[n * HELD_KEYS + i] - largest);
                s[n * HELD_KEYS + i] = e;
                total[n] += e;
            }
            [[unroll]] for (uint i = 0u; i < 4u * HELD_COLUMNS; i++)
                sum[4u * n * HELD_COLUMNS + i] *= rescale[i / HELD_COLUMNS];
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
                [[unroll]] for (uint n = 0u; n < FOURS; n++) {
                    vec4 e = s[n * HELD_KEYS];
                    vec4 a = subgroupShuffle(e, k), b = subgroupShuffle(e, k + 1u), c = subgroupShuffle(e, k + 2u),
                         d = subgroupShuffle(e, k + 3u);
                    [[unroll]] for (uint m = 0u; m < 4u * HELD_COLUMNS; m++) {
                        uint at = 4u * n * HELD_COLUMNS + m, j = m / HELD_COLUMNS, x = m % HELD_COLUMNS;
                        vec4 y = fma(vec4(b[j]), v[HELD_COLUMNS + x], fma(vec4(a[j]), v[x], sum[at]));
                        sum[at] = fma(vec4(d[j]), v[3u * HELD_COLUMNS + x], fma(vec4(c[j]), v[2u * HELD_COLUMNS + x], y));
                    }
                }
            }
            [[unroll]] for (uint n = 0u; n < FOURS; n++) // the next block comes first
                [[unroll]] for (uint j = 1u; j < HELD_KEYS; j++)
                    s[n * HELD_KEYS + j - 1u] = s[n * HELD_KEYS + j];
        }
    }
    [[dont_unroll]] for (uint n = 0u; n < queries; n += 4u) {
        vec4 all = sum_of(total[0]);
        uint row = (first + tile.y + n) * p.out_stride + column + lane;
        [[unroll]] for (uint i = 0u; i < 4u * HELD_COLUMNS; i++) {
            uint j = i / HELD_COLUMNS, c = i % HELD_COLUMNS * LANES;
            if (n + j < queries && c + lane < HEAD) store(row + j * p.out_stride + c, sum[i] / all[j]);
        }
        [[unroll]] for (uint i = 1u; i < FOURS; i++) total[i - 1u] = total[i]; // the next four come first
        [[unroll]] for (uint i = 4u * HELD_COLUMNS; i < QUERIES * HELD_COLUMNS; i++) sum[i - 4u * HELD_COLUMNS] = sum[i];
    }
    // cleared by the last head: the next matmul reads it
    uint padding = p.out_stride - p.heads * HEAD;
    if (head + 1u == p.heads)
        [[dont_unroll]] for (uint n = 0u; n < queries; n++)
            for (uint i = lane; i < padding; i += LANES)
                store((first + tile.y + n) * p.out_stride + p.heads * HEAD + i, vec4(0.0));
}
