// out[q] = softmax over the keys of q's sequence of (scale * Q[q] . K[key]) times V, for one head.
//
// One workgroup takes QUERIES queries of one sequence and one head and walks over the sequence's keys in tiles of KEYS,
// keeping a running maximum and sum for each query (online softmax): no score leaves the workgroup. Tiles are counted
// from the start of the sequence, so a result does not depend on where in the batch the sequence lies.
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint LANES = 64u;
layout(constant_id = 1) const uint HEAD_DIM = 64u;
layout(constant_id = 2) const uint QUERIES = 8u;
layout(constant_id = 3) const uint KEYS = 32u;
const uint SLOTS = (QUERIES * HEAD_DIM + LANES - 1u) / LANES; // elements of out that one lane owns

layout(std430, set = 0, binding = 1) readonly buffer Qkv { float qkv[]; };      // [tokens, stride]: Q, K, V
layout(std430, set = 0, binding = 2) readonly buffer Starts { uint starts[]; }; // [sequences + 1]
layout(std430, set = 0, binding = 3) readonly buffer Tiles { uvec2 tiles[]; };  // sequence, first query
layout(std430, set = 0, binding = 4) writeonly buffer Out { float result[]; };  // [tokens, out_stride]

layout(push_constant) uniform Push {
    uint stride;     // of qkv, floats
    uint k_offset;   // of K in a row of qkv; V is twice as far
    uint out_stride; // floats
    uint heads;
    float scale;
} p;

shared float q[QUERIES * HEAD_DIM];
shared float s[QUERIES * KEYS]; // scores, then their exponentials
shared float top[QUERIES], total[QUERIES], rescale[QUERIES];

void main()
{
    uvec2 tile = tiles[gl_WorkGroupID.x];
    if (gl_WorkGroupID.x >= counts[3]) return;
    uint lane = gl_LocalInvocationID.x, head = gl_WorkGroupID.y;
    uint first = starts[tile.x], length = starts[tile.x + 1u] - first;
    uint queries = min(QUERIES, length - tile.y), column = head * HEAD_DIM;
    for (uint i = lane; i < QUERIES * HEAD_DIM; i += LANES) {
        uint row = first + tile.y + min(i / HEAD_DIM, queries - 1u);
        q[i] = qkv[row * p.stride + column + i % HEAD_DIM] * p.scale;
    }
    for (uint row = lane; row < QUERIES; row += LANES) {
        top[row] = -1e30;
        total[row] = 0.0;
    }
    float sum[SLOTS];
    for (uint n = 0u; n < SLOTS; n++) sum[n] = 0.0;
    barrier();

    for (uint key0 = 0u; key0 < length; key0 += KEYS) {
        uint keys = min(KEYS, length - key0);
        for (uint i = lane; i < QUERIES * KEYS; i += LANES) {
            uint row = i / KEYS, key = i % KEYS;
            uint at = (first + key0 + min(key, keys - 1u)) * p.stride + p.k_offset + column;
            float dot_product = 0.0;
            for (uint d = 0u; d < HEAD_DIM; d++) dot_product += q[row * HEAD_DIM + d] * qkv[at + d];
            s[i] = dot_product;
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
        for (uint n = 0u; n < SLOTS; n++) {
            uint i = n * LANES + lane, row = i / HEAD_DIM;
            if (row >= queries) break;
            uint at = (first + key0) * p.stride + 2u * p.k_offset + column + i % HEAD_DIM;
            float y = sum[n] * rescale[row];
            for (uint key = 0u; key < keys; key++) y += s[row * KEYS + key] * qkv[at + key * p.stride];
            sum[n] = y;
        }
        barrier();
    }
    for (uint n = 0u; n < SLOTS; n++) {
        uint i = n * LANES + lane, row = i / HEAD_DIM;
        if (row >= queries) break;
        result[(first + tile.y + row) * p.out_stride + column + i % HEAD_DIM] = sum[n] / total[row];
    }
    // the last head also clears the padding, which the next matmul reads
    uint used = p.heads * HEAD_DIM, padding = p.out_stride - used;
    if (head + 1u == p.heads)
        for (uint i = lane; i < queries * padding; i += LANES)
            result[(first + tile.y + i / padding) * p.out_stride + used + i % padding] = 0.0;
}
