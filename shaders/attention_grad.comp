// For every workgroup size. Scores alone are in shared memory.
const uint SLOTS = (OWN * HEAD + LANES - 1u) / LANES; // vec4s of a result that one invocation owns

shared float s[OWN * OTHER];  // what multiplies V, K, or Q
shared float s2[OWN * OTHER]; // DKV: what multiplies dO
shared float top[OWN], total[OWN];

float product(uint a, uint b)
{
    vec4 sum = vec4(0.0);
    [[dont_unroll]] for (uint d = 0u; d < HEAD; d++) sum = fma(load(a + d), load(b + d), sum);
    return (sum.x + sum.y) + (sum.z + sum.w);
}
float product_dy(uint a, uint at_dy)
{
    vec4 sum = vec4(0.0);
    [[dont_unroll]] for (uint d = 0u; d < HEAD; d++) sum = fma(load(a + d), load_dy(at_dy + d), sum);
    return (sum.x + sum.y) + (sum.z + sum.w);
}

// Write to s[i] (DKV: and to s2[i]) what one pair of a query and a key contributes.
void weigh(uint i, uint first, uint query, uint key, uint head)
{
    uint q = first + query, k = first + key, column = head * HEAD;
    float score = p.scale * product(q * p.stride + column, k * p.stride + p.k_offset + column);
    if (VARIANT == STATS) {
        s[i] = score;
        return;
    }
    vec2 stat = stats[q * p.heads + head];
    float e = exp(score - stat.x), keep = kept_of(first, query, key, head)[query % 4u];
    if (VARIANT == OUT) {
        s[i] = e * keep;
        return;
    }
    float dp = product_dy(k * p.stride + 2u * p.k_offset + column, q * p.k_offset + column);
    s[i] = p.scale * e * (keep * dp - stat.y);
    if (VARIANT == DKV) s2[i] = e * keep;
}

void main()
{
    if (gl_WorkGroupID.x >= counts[3]) return;
    uvec2 tile = tiles[gl_WorkGroupID.x];
    uint lane = gl_LocalInvocationID.x, head = gl_WorkGroupID.y, column = head * HEAD;
    uint first = starts[tile.x], length = starts[tile.x + 1u] - first;
    uint owned = min(OWN, length - tile.y);
    vec4 sum[SLOTS], sum2[SLOTS];
    [[unroll]] for (uint n = 0u; n < SLOTS; n++) sum[n] = sum2[n] = vec4(0.0);
    for (uint row = lane; row < OWN; row += LANES) {
        top[row] = -1e30;
        total[row] = 0.0;
    }
    for (uint other0 = 0u; other0 < length; other0 += OTHER) {
        uint others = min(OTHER, length - other0);
        barrier();
        for (uint i = lane; i < OWN * OTHER; i += LANES) {
            uint own = tile.y + min(i / OTHER, owned - 1u), other = other0 + min(i % OTHER, others - 1u);
            weigh(i, first, VARIANT == DKV ? other : own, VARIANT == DKV ? own : other, head);
        }
        barrier();
        if (VARIANT == STATS) {
            for (uint row = lane; row < OWN; row += LANES) {
                float largest = top[row], sum = 0.0;
                for (uint i = 0u; i < others; i++) largest = max(largest, s[row * OTHER + i]);
                for (uint i = 0u; i < others; i++) sum += exp(s[row * OTHER + i] - largest);
                total[row] = total[row] * exp(top[row] - largest) + sum;
                top[row] = largest;
            }
            continue;
        }
        uint from = (first + other0) * p.stride + column, from_dy = (first + other0) * p.k_offset + column;
        if (VARIANT == OUT) from += 2u * p.k_offset;
        if (VARIANT == DQ) from += p.k_offset;
        for (uint o = 0u; o < others; o++) // the loop below writes none for rows past the end
            [[unroll]] for (uint n = 0u; n < SLOTS; n++) {
                uint i = n * LANES + lane, at = min(i / HEAD, OWN - 1u) * OTHER + o;
                uint c = LANES % HEAD == 0u ? lane % HEAD : i % HEAD;
                sum[n] = fma(vec4(s[at]), load(from + o * p.stride + c), sum[n]);
                if (VARIANT == DKV) sum2[n] = fma(vec4(s2[at]), load_dy(from_dy + o * p.k_offset + c), sum2[n]);
            }
    }
    if (VARIANT == STATS) {
        barrier();
        for (uint row = lane; row < owned; row += LANES) {
            uint at = first + tile.y + row;
            stats[at * p.heads + head] = vec2(top[row] + log(total[row]), delta_of(at, head));
        }
        return;
    }
    [[unroll]] for (uint n = 0u; n < SLOTS; n++) {
        uint i = n * LANES + lane, row = first + tile.y + i / HEAD;
        if (i >= owned * HEAD) continue;
        uint at = row * (VARIANT == OUT ? p.k_offset : p.stride) + column + i % HEAD;
        if (VARIANT == DKV) {
            result[at + p.k_offset] = sum[n];
            result[at + 2u * p.k_offset] = sum2[n];
        } else
            result[at] = sum[n];
    }
    clear_padding(first + tile.y, owned, head);
}
