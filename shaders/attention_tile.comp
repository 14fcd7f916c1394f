// Attention by tiles in shared memory. For the scores an invocation takes some neighbouring queries and two keys, for the
// exponentials part of a query's keys, for the result every LANES-th vec4.
const uint STRIDE = HEAD + 1u, SCORES = KEYS + 1u; // rows do not begin in the same bank
const uint HALF_KEYS = KEYS / 2u, HELD = QUERIES * HALF_KEYS / LANES; // queries of one invocation
const uint PARTS = LANES / QUERIES, PART = KEYS / PARTS;              // invocations that share a query, keys of each
const uint SLOTS = (QUERIES * HEAD + LANES - 1u) / LANES;             // vec4s of out that one invocation owns

shared vec4 qs[QUERIES * STRIDE];
shared vec4 kv[KEYS * STRIDE];
shared float s[QUERIES * SCORES]; // scores, then their exponentials
shared float partial[LANES];
shared float rescale[QUERIES], total_of[QUERIES];

// Rows key0.. of K or V; past the end of the sequence its last one.
void fill(uint first, uint length, uint key0, uint at)
{
    for (uint i = gl_LocalInvocationID.x; i < KEYS * HEAD; i += LANES)
        kv[i / HEAD * STRIDE + i % HEAD] = load((first + min(key0 + i / HEAD, length - 1u)) * p.stride + at + i % HEAD);
}

void main()
{
    if (gl_WorkGroupID.x >= counts[3]) return;
    uvec2 tile = tiles[gl_WorkGroupID.x];
    uint lane = gl_LocalInvocationID.x, head = gl_WorkGroupID.y, column = head * HEAD;
    uint first = starts[tile.x], length = starts[tile.x + 1u] - first;
    uint queries = min(QUERIES, length - tile.y);
    for (uint i = lane; i < QUERIES * HEAD; i += LANES) {
        uint row = first + tile.y + min(i / HEAD, queries - 1u);
        qs[i / HEAD * STRIDE + i % HEAD] = load(row * p.stride + column + i % HEAD) * p.scale;
    }
    uint query0 = lane / HALF_KEYS * HELD, key = lane % HALF_KEYS; // for the scores
    uint row = lane / PARTS, begin = lane % PARTS * PART;          // for the exponentials
    float top = -1e30, total = 0.0;
    vec4 sum[SLOTS];
    [[unroll]] for (uint n = 0u; n < SLOTS; n++) sum[n] = vec4(0.0);

    for (uint key0 = 0u; key0 < length; key0 += KEYS) {
        uint keys = min(KEYS, length - key0);
        fill(first, length, key0, p.k_offset + column);
        barrier();
        vec4 products[2u * HELD];
        [[unroll]] for (uint n = 0u; n < 2u * HELD; n++) products[n] = vec4(0.0);
        for (uint d = 0u; d < HEAD; d++) {
            vec4 a = kv[key * STRIDE + d], b = kv[(key + HALF_KEYS) * STRIDE + d];
            [[unroll]] for (uint n = 0u; n < HELD; n++) {
                vec4 q = qs[(query0 + n) * STRIDE + d];
                products[2u * n] = fma(q, a, products[2u * n]);
                products[2u * n + 1u] = fma(q, b, products[2u * n + 1u]);
            }
        }
        [[unroll]] for (uint n = 0u; n < 2u * HELD; n++) {
            vec4 v = products[n];
            uint at = key + n % 2u * HALF_KEYS;
            s[(query0 + n / 2u) * SCORES + at] = at < keys ? (v.x + v.y) + (v.z + v.w) : -1e30;
        }
        barrier();
        float largest = top;
        [[unroll]] for (uint i = 0u; i < PART; i++) largest = max(largest, s[row * SCORES + begin + i]);
        partial[lane] = largest;
        fill(first, length, key0, 2u * p.k_offset + column); // nobody needs K any more
        barrier();
        [[unroll]] for (uint i = 0u; i < PARTS; i++) largest = max(largest, partial[row * PARTS + i]);
        float added = 0.0;
        [[unroll]] for (uint i = 0u; i < PART; i++) {
            float e = exp(s[row * SCORES + begin + i] - largest);
            s[row * SCORES + begin + i] = e;
            added += e;
        }
        float change = exp(top - largest);
        total = total * change + added; // of this invocation's keys
        top = largest;
        if (begin == 0u) rescale[row] = change;
        barrier();
        [[unroll]] for (uint n = 0u; n < SLOTS; n++) {
            uint i = n * LANES + lane;
            if (i >= QUERIES * HEAD) break;
            vec4 y = sum[n] * rescale[i / HEAD];
            for (uint k = 0u; k < keys; k++) y = fma(vec4(s[i / HEAD * SCORES + k]), kv[k * STRIDE + i % HEAD], y);
            sum[n] = y;
        }
        barrier();
    }
    partial[lane] = total;
    barrier();
    if (begin == 0u) {
        float all = 0.0;
        [[unroll]] for (uint i = 0u; i < PARTS; i++) all += partial[row * PARTS + i];
        total_of[row] = all;
    }
    barrier();
    [[unroll]] for (uint n = 0u; n < SLOTS; n++) {
        uint i = n * LANES + lane;
        if (i < queries * HEAD)
            store((first + tile.y + i / HEAD) * p.out_stride + column + i % HEAD, sum[n] / total_of[i / HEAD]);
    }
    clear_padding(first + tile.y, queries, head);
}
