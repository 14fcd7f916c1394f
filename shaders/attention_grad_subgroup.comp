// A workgroup is one subgroup, as in attention_subgroup.comp. While products are made a lane holds OTHER / LANES of the
// other rows, and while results are added up some of the columns; lanes hand own rows and weights to each other by
// shuffles with constant indices. Once loops are unrolled every index into an array must be a constant, or the compiler
// puts the array into memory.
const uint HELD_OTHER = OTHER / LANES;
const uint HELD_COLUMNS = (HEAD + LANES - 1u) / LANES;
const uint HELD_OWN = (OWN + LANES - 1u) / LANES;
const uint FOURS = OWN / 4u; // own rows, four in a vector

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

// s += the products of all own rows with the other rows of this lane, of one head.
#define MULTIPLY(s, load_own, own_at, load_other, other_at)                                                              \
    [[dont_unroll]] for (uint d = 0u; d < HEAD; d++) {                                                                   \
        vec4 a[HELD_OWN], b[HELD_OTHER];                                                                                 \
        [[unroll]] for (uint i = 0u; i < HELD_OWN; i++) a[i] = load_own(own_at[i] + d);                                  \
        [[unroll]] for (uint i = 0u; i < HELD_OTHER; i++) b[i] = load_other(other_at[i] + d);                            \
        [[unroll]] for (uint n = 0u; n < OWN; n += 4u) {                                                                 \
            vec4 held = a[n / LANES];                                                                                    \
            mat4 v = transpose(mat4(subgroupShuffle(held, n % LANES), subgroupShuffle(held, n % LANES + 1u),             \
                                    subgroupShuffle(held, n % LANES + 2u), subgroupShuffle(held, n % LANES + 3u)));      \
            [[unroll]] for (uint i = 0u; i < HELD_OTHER; i++) {                                                          \
                uint at = n / 4u * HELD_OTHER + i;                                                                       \
                s[at] = fma(v[3], b[i].wwww, fma(v[2], b[i].zzzz, fma(v[1], b[i].yyyy, fma(v[0], b[i].xxxx, s[at]))));   \
            }                                                                                                            \
        }                                                                                                                \
    }

// sum += the weights of the other rows that the four lanes from k on hold, times those rows' values in the columns of
// this lane.
#define ADD_UP(sum, s, load_other, other_at, stride)                                                                     \
    {                                                                                                                    \
        vec4 v[4u * HELD_COLUMNS];                                                                                       \
        [[unroll]] for (uint j = 0u; j < 4u * HELD_COLUMNS; j++)                                                         \
            v[j] = load_other((other_at) + min(other0 + i * LANES + k + j / HELD_COLUMNS, length - 1u) * (stride) +      \
                              min(j % HELD_COLUMNS * LANES + lane, HEAD - 1u));                                          \
        [[unroll]] for (uint n = 0u; n < FOURS; n++) {                                                                   \
            vec4 e = s[n * HELD_OTHER];                                                                                  \
            vec4 a = subgroupShuffle(e, k), b = subgroupShuffle(e, k + 1u), c = subgroupShuffle(e, k + 2u),              \
                 d = subgroupShuffle(e, k + 3u);                                                                         \
            [[unroll]] for (uint m = 0u; m < 4u * HELD_COLUMNS; m++) {                                                   \
                uint at = 4u * n * HELD_COLUMNS + m, j = m / HELD_COLUMNS, x = m % HELD_COLUMNS;                         \
                vec4 y = fma(vec4(b[j]), v[HELD_COLUMNS + x], fma(vec4(a[j]), v[x], sum[at]));                           \
                sum[at] = fma(vec4(d[j]), v[3u * HELD_COLUMNS + x], fma(vec4(c[j]), v[2u * HELD_COLUMNS + x], y));       \
            }                                                                                                            \
        }                                                                                                                \
    }

// The factors of four own rows, from number n on, with other row `other`.
vec4 kept_by(uint first, uint n, uint other, uint head)
{
    if (p.threshold == 0u) return vec4(1.0);
    if (VARIANT != DKV) return kept_of(first, n, other, head);
    vec4 keep;
    [[unroll]] for (uint j = 0u; j < 4u; j++) {
        vec4 all = kept_of(first, other, n + j, head);
        keep[j] = other % 4u < 2u ? (other % 4u == 0u ? all.x : all.y) : (other % 4u == 2u ? all.z : all.w);
    }
    return keep;
}

void main()
{
    if (gl_WorkGroupID.x >= counts[3]) return;
    uvec2 tile = tiles[gl_WorkGroupID.x];
    uint lane = gl_LocalInvocationID.x, head = gl_WorkGroupID.y, column = head * HEAD;
    uint first = starts[tile.x], length = starts[tile.x + 1u] - first;
    uint owned = min(OWN, length - tile.y);

    // where own rows and other rows have Q or K; and dO or V
    uint own_at[HELD_OWN], own2_at[HELD_OWN];
    [[unroll]] for (uint i = 0u; i < HELD_OWN; i++) {
        uint row = first + tile.y + min(i * LANES + lane, owned - 1u);
        own_at[i] = row * p.stride + column + (VARIANT == DKV ? p.k_offset : 0u);
        own2_at[i] = VARIANT == DKV ? own_at[i] + p.k_offset : row * p.k_offset + column;
    }
    vec4 sum[OWN * HELD_COLUMNS], sum2[OWN * HELD_COLUMNS], top[FOURS], total[FOURS], log_sum[FOURS], delta[FOURS];
    [[unroll]] for (uint i = 0u; i < OWN * HELD_COLUMNS; i++) sum[i] = sum2[i] = vec4(0.0);
    [[unroll]] for (uint n = 0u; n < FOURS; n++) {
        top[n] = vec4(-1e30);
        total[n] = log_sum[n] = delta[n] = vec4(0.0);
        if (VARIANT == OUT || VARIANT == DQ)
            [[unroll]] for (uint j = 0u; j < 4u; j++) {
                vec2 stat = stats[(first + tile.y + min(4u * n + j, owned - 1u)) * p.heads + head];
                log_sum[n][j] = stat.x;
                delta[n][j] = stat.y;
            }
    }
    for (uint other0 = 0u; other0 < length; other0 += OTHER) {
        vec4 s[FOURS * HELD_OTHER], s2[FOURS * HELD_OTHER];
        uint other_at[HELD_OTHER], other2_at[HELD_OTHER];
        [[unroll]] for (uint i = 0u; i < FOURS * HELD_OTHER; i++) s[i] = s2[i] = vec4(0.0);
        [[unroll]] for (uint i = 0u; i < HELD_OTHER; i++) {
            uint row = first + min(other0 + i * LANES + lane, length - 1u);
            other_at[i] = row * p.stride + column + (VARIANT == DKV ? 0u : p.k_offset);
            other2_at[i] = VARIANT == DKV ? row * p.k_offset + column : other_at[i] + p.k_offset;
        }
        MULTIPLY(s, load, own_at, load, other_at)
        if (VARIANT == DQ) MULTIPLY(s2, load_dy, own2_at, load, other2_at)
        if (VARIANT == DKV) MULTIPLY(s2, load, own2_at, load_dy, other2_at)
        [[unroll]] for (uint i = 0u; i < HELD_OTHER; i++) {
            uint other = other0 + i * LANES + lane;
            bool there = other < length;
            vec2 stat = vec2(0.0);
            if (VARIANT == DKV) stat = stats[(first + min(other, length - 1u)) * p.heads + head];
            [[unroll]] for (uint n = 0u; n < FOURS; n++) {
                uint at = n * HELD_OTHER + i;
                vec4 score = there ? p.scale * s[at] : vec4(-1e30);
                if (VARIANT == STATS) {
                    vec4 largest = max(top[n], score);
                    total[n] = total[n] * exp(top[n] - largest) + exp(score - largest);
                    top[n] = largest;
                    continue;
                }
                vec4 e = exp(score - (VARIANT == DKV ? vec4(stat.x) : log_sum[n]));
                vec4 keep = kept_by(first, tile.y + 4u * n, other, head);
                s[at] = VARIANT == OUT ? e * keep
                                       : p.scale * e * (keep * s2[at] - (VARIANT == DKV ? vec4(stat.y) : delta[n]));
                s2[at] = e * keep;
            }
        }
        if (VARIANT == STATS) continue;
        uint blocks = min(HELD_OTHER, (length - other0 + LANES - 1u) / LANES); // of LANES other rows each
        uint from = first * p.stride + column, from_dy = first * p.k_offset + column;
        if (VARIANT == OUT) from += 2u * p.k_offset;
        if (VARIANT == DQ) from += p.k_offset;
        [[dont_unroll]] for (uint i = 0u; i < blocks; i++) {
            [[unroll]] for (uint k = 0u; k < LANES; k += 4u) {
                ADD_UP(sum, s, load, from, p.stride)
                if (VARIANT == DKV) ADD_UP(sum2, s2, load_dy, from_dy, p.k_offset)
            }
            [[unroll]] for (uint n = 0u; n < FOURS; n++) // the next block moves to the front
                [[unroll]] for (uint j = 1u; j < HELD_OTHER; j++) {
                    s[n * HELD_OTHER + j - 1u] = s[n * HELD_OTHER + j];
                    s2[n * HELD_OTHER + j - 1u] = s2[n * HELD_OTHER + j];
                }
        }
    }
    if (VARIANT == STATS) {
        [[unroll]] for (uint n = 0u; n < FOURS; n++) {
            vec4 largest = largest_of(top[n]);
            vec4 result_of = largest + log(sum_of(total[n] * exp(top[n] - largest)));
            [[unroll]] for (uint j = 0u; j < 4u; j++)
                if (lane == 0u && 4u * n + j < owned)
                    stats[(first + tile.y + 4u * n + j) * p.heads + head].x = result_of[j];
        }
        for (uint row = first + tile.y + lane; row < first + tile.y + owned; row += LANES)
            stats[row * p.heads + head].y = delta_of(row, head);
        return;
    }
    uint stride = VARIANT == OUT ? p.k_offset : p.stride;
    uint at0 = (first + tile.y) * stride + column + lane + (VARIANT == DKV ? p.k_offset : 0u);
    [[unroll]] for (uint i = 0u; i < OWN * HELD_COLUMNS; i++) {
        uint row = i / HELD_COLUMNS, c = i % HELD_COLUMNS * LANES;
        if (row >= owned || c + lane >= HEAD) continue;
        result[at0 + row * stride + c] = sum[i];
        if (VARIANT == DKV) result[at0 + row * stride + c + p.k_offset] = sum2[i];
    }
    clear_padding(first + tile.y, owned, head);
}
