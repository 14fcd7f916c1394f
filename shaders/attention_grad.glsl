// Attention in a training step: what the way back needs of the way forwards, and the gradients. A workgroup owns OWN rows
// of one sequence and one head, and goes over all rows of the sequence in tiles of OTHER. It computes the probabilities
// again, from the logarithm of each query's sum of exponentials, which STATS wrote: so no scores are stored, and each
// result has one writer.
//
// STATS:  own rows are queries; out: that logarithm, and the sum of dO * O, of each row and head
// OUT:    own rows are queries; out: the context, from the probabilities that dropout keeps
// DQ:     own rows are queries; out: the gradient of Q
// DKV:    own rows are keys; out: the gradients of K and V
#extension GL_EXT_control_flow_attributes : require

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint LANES = 64u;
layout(constant_id = 1) const uint HEAD = 16u; // vec4s of one head, its padding included
layout(constant_id = 2) const uint OWN = 8u;
layout(constant_id = 3) const uint OTHER = 32u;
layout(constant_id = 4) const uint VARIANT = 0u; // rp_attention_grad_variant of runtime/ops/training.h
const uint STATS = 0u, OUT = 1u, DQ = 2u, DKV = 3u;

#ifdef TEXEL
layout(set = 0, binding = 1) uniform samplerBuffer qkv;
layout(set = 0, binding = 4) uniform samplerBuffer dy;
vec4 load(uint at) { return texelFetch(qkv, int(at)); }
vec4 load_dy(uint at) { return texelFetch(dy, int(at)); }
#else
layout(std430, set = 0, binding = 1) readonly buffer Qkv { vec4 qkv[]; }; // [tokens, stride]: Q, K, V
layout(std430, set = 0, binding = 4) readonly buffer Dy { vec4 dy[]; };   // [tokens, k_offset]: the gradient of O
vec4 load(uint at) { return qkv[at]; }
vec4 load_dy(uint at) { return dy[at]; }
#endif
layout(std430, set = 0, binding = 2) readonly buffer Starts { uint starts[]; }; // [sequences + 1]
layout(std430, set = 0, binding = 3) readonly buffer Tiles { uvec2 tiles[]; };  // sequence, first own row
layout(std430, set = 0, binding = 5) buffer Stats { vec2 stats[]; };            // [tokens, heads]
layout(std430, set = 0, binding = 6) buffer Out { vec4 result[]; }; // STATS: O; OUT: O; else [tokens, stride]

// Widths and strides count vec4s.
layout(push_constant) uniform Push {
    uint stride;   // of qkv, three times
    uint k_offset; // where K begins in a row of qkv; also the stride of O
    uint heads;
    float scale;
    uint place;     // of dropout
    uint threshold; // 0: none
    float keep;     // the factor of a probability that dropout keeps
    uint delta;     // STATS: 0: dO is not known yet, and the sum of dO * O is not made
} p;

// The factors of the probabilities of four neighbouring queries, the first of them `query`.
vec4 kept_of(uint first, uint query, uint key, uint head)
{
    if (p.threshold == 0u) return vec4(1.0);
    return kept(uvec4(first, query / 4u, key, head), p.place, p.threshold, p.keep);
}

// The sum of dO * O.
float delta_of(uint row, uint head)
{
    vec4 sum = vec4(0.0);
    uint at = row * p.k_offset + head * HEAD;
    if (p.delta != 0u)
        [[dont_unroll]] for (uint d = 0u; d < HEAD; d++) sum = fma(load_dy(at + d), result[at + d], sum);
    return (sum.x + sum.y) + (sum.z + sum.w);
}

// Zeros behind the last head: the next product reads them.
void clear_padding(uint row0, uint rows, uint head)
{
    uint used = p.heads * HEAD, padding = p.k_offset - used, stride = VARIANT == OUT ? p.k_offset : p.stride;
    if (VARIANT == STATS || head + 1u != p.heads || padding == 0u) return;
    for (uint i = gl_LocalInvocationID.x; i < rows * padding; i += LANES) {
        uint at = (row0 + i / padding) * stride + used + i % padding;
        if (VARIANT == DKV) result[at + 2u * p.k_offset] = vec4(0.0);
        result[at + (VARIANT == DKV ? p.k_offset : 0u)] = vec4(0.0);
    }
}
