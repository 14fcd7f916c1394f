// Attention with shared memory, for any workgroup size.
const uint SLOTS = (QUERIES * HEAD + LANES - 1u) / LANES; // vec4s of out that one lane owns

shared vec4 q[QUERIES * HEAD];
shared float s[QUERIES * KEYS]; // scores, then their exponentials
shared float top[QUERIES], total[QUERIES], rescale[QUERIES];

void main()
{
    if (gl_WorkGroupID.x >= counts[3]) return;
    uvec2 tile = tiles[gl_WorkGroupID.x];
    uint lane = gl_LocalInvocationID.x, head = gl_WorkGroupID.y, column = head * HEAD;
    uint first = starts[tile.x], length = starts[tile.x + 1u] - first;
    uint queries = min(QUERIES, length - tile.y);
    for (uint i = lane; i < QUERIES * HEAD; i += LANES) {
        uint row = first + tile.y + min(i / HEAD, queries - 1u);
        q[i] = load(row * p.stride + column + i % HEAD) * p.scale;
    }
    for (uint row = lane; row < QUERIES; row += LANES) {
        top[row] = -1e30;
        total[row] = 0.0;
    }
    vec4 sum[SLOTS];
    [[unroll]] for (uint n = 0u; n < SLOTS; n++) sum[n] = vec4(0.0);
    barrier();

    for (uint key0 = 0u; key0 < length; key0 += KEYS) {
        uint keys = min(KEYS, length - key0);
        for (uint i = lane; i < QUERIES * KEYS; i += LANES) {
            uint row = i / KEYS;
            uint at = (first + key0 + min(i % KEYS, keys - 1u)) * p.stride + p.k_offset + column;
            vec4 products = vec4(0.0);
            // four loads under way, and no more: compilers that unroll it all run out of registers
            [[dont_unroll]] for (uint d = 0u; d < HEAD; d += 4u)
                [[unroll]] for (uint n = 0u; n < 4u; n++)
                    if (HEAD % 4u == 0u || d + n < HEAD) products = fma(q[row * HEAD + d + n], load(at + d + n), products);
            s[i] = (products.x + products.y) + (products.z + products.w);
        }
        barrier();
        for (uint row = lane; row < QUERIES; row += LANES) {
            float old = top[row], largest = old, added = 0.0;
            for (uint key = 0u; key < keys; key++) largest = max(largest, s[row * KEYS + key]);
            for (uint key = 0u; key < keys; key++) {
                float e = exp(s[row * KEYS + key] - largest);
                s[row * KEYS + key] = e;
                added += e;
            }
            rescale[row] = exp(old - largest);
            total[row] = total[row] * rescale[row] + added;
            top[row] = largest;
        }
        barrier();
        [[unroll]] for (uint n = 0u; n < SLOTS; n++) {
            uint i = n * LANES + lane, row = i / HEAD;
            if (row < queries) {
                uint at = (first + key0) * p.stride + 2u * p.k_offset + column + i % HEAD;
                vec4 y = sum[n] * rescale[row];
                for (uint key = 0u; key < keys; key++) y = fma(vec4(s[row * KEYS + key]), load(at + key * p.stride), y);
                sum[n] = y;
            }
        }
        barrier();
    }
    [[unroll]] for (uint n = 0u; n < SLOTS; n++) {
        uint i = n * LANES + lane, row = i / HEAD;
        if (row < queries) store((first + tile.y + row) * p.out_stride + column + i % HEAD, sum[n] / total[row]);
    }
    clear_padding(first + tile.y, queries, head);
}
