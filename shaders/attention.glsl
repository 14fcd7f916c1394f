// What the attention kernels share: out[q] = softmax over the keys of q's sequence of (scale * Q[q] . K[key]) times V, for
// one head. A workgroup takes QUERIES queries of one sequence and one head and walks over the sequence's keys in tiles,
// keeping a running maximum and sum for each query (online softmax): no score leaves the workgroup. Tiles are counted
// from the start of the sequence, so a result does not depend on where in the batch the sequence lies.
#extension GL_EXT_control_flow_attributes : require

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint LANES = 64u;
layout(constant_id = 1) const uint HEAD = 16u; // vec4s of one head, its padding included
layout(constant_id = 2) const uint QUERIES = 8u;
layout(constant_id = 3) const uint KEYS = 32u;
layout(constant_id = 4) const uint HALVES = 0u; // bit 0: qkv holds float16; bit 1: out does
const bool HALF_X = (HALVES & 1u) != 0u, HALF_OUT = (HALVES & 2u) != 0u;

#ifdef TEXEL
layout(set = 0, binding = 1) uniform samplerBuffer qkv;
vec4 load(uint at) { return texelFetch(qkv, int(at)); }
#else
layout(std430, set = 0, binding = 1) readonly buffer Qkv { vec4 qkv[]; };    // [tokens, stride]: Q, K, V
layout(std430, set = 0, binding = 1) readonly buffer Qkv2 { uvec2 qkv2[]; }; // HALF_X
vec4 load(uint at) { return HALF_X ? unpack4(qkv2[at], FORMAT_F16) : qkv[at]; }
#endif
layout(std430, set = 0, binding = 2) readonly buffer Starts { uint starts[]; }; // [sequences + 1]
layout(std430, set = 0, binding = 3) readonly buffer Tiles { uvec2 tiles[]; };  // sequence, first query
layout(std430, set = 0, binding = 4) writeonly buffer Out { vec4 result[]; };   // [tokens, out_stride]
layout(std430, set = 0, binding = 4) writeonly buffer Out2 { uvec2 result2[]; }; // HALF_OUT
void store(uint at, vec4 v)
{
    if (HALF_OUT)
        result2[at] = pack_half4(v);
    else
        result[at] = v;
}

// Widths and strides count vec4s.
layout(push_constant) uniform Push {
    uint stride;     // of qkv
    uint k_offset;   // of K in a row of qkv; V is twice as far
    uint out_stride; // its end, behind the last head, is padding
    uint heads;
    float scale;
} p;

// The workgroups of the last head write the zeros behind it: the next product reads them.
void clear_padding(uint row0, uint rows, uint head)
{
    uint used = p.heads * HEAD, padding = p.out_stride - used;
    if (head + 1u == p.heads)
        for (uint i = gl_LocalInvocationID.x; i < rows * padding; i += LANES)
            store((row0 + i / padding) * p.out_stride + used + i % padding, vec4(0.0));
}
