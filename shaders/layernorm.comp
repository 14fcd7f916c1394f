// out[row] = (x[row] - mean) / sqrt(variance + eps) * gamma + beta, over the first `width` columns. One workgroup a row.
// The columns behind `width` are padding: gamma and beta are 0 there, and so is what is written.
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint LANES = 64u;
layout(constant_id = 1) const uint HALVES = 0u; // bit 1: out holds float16

#ifdef TEXEL
layout(set = 0, binding = 1) uniform samplerBuffer x;
layout(set = 0, binding = 2) uniform samplerBuffer norm; // gamma [stride], then beta [stride]
vec4 load_x(uint at) { return texelFetch(x, int(at)); }
vec4 load_norm(uint at) { return texelFetch(norm, int(at)); }
#else
ALIASED layout(std430, set = 0, binding = 1) readonly buffer X { vec4 x[]; };
layout(std430, set = 0, binding = 2) readonly buffer Norm { vec4 norm[]; };
vec4 load_x(uint at) { return x[at]; }
vec4 load_norm(uint at) { return norm[at]; }
#endif
ALIASED layout(std430, set = 0, binding = 3) writeonly buffer Out { vec4 result[]; };
ALIASED layout(std430, set = 0, binding = 3) writeonly buffer Out2 { uvec2 result2[]; };

layout(push_constant) uniform Push {
    uint count;
    uint width;  // floats
    uint stride; // of x and out, vec4s
    float eps;
} p;

// The same sum in every lane, in an order that does not depend on timing.
#ifdef SUBGROUP
float sum_over_lanes(float value)
{
    for (uint i = 1u; i < LANES; i *= 2u) value += subgroupShuffleXor(value, i);
    return value;
}
#else
shared float partial[LANES];
float sum_over_lanes(float value)
{
    partial[gl_LocalInvocationID.x] = value;
    barrier();
    float sum = 0.0;
    for (uint i = 0u; i < LANES; i++) sum += partial[i];
    barrier();
    return sum;
}
#endif

void main()
{
    uint lane = gl_LocalInvocationID.x, row = gl_WorkGroupID.x;
    if (row >= counts[p.count]) return;
    uint base = row * p.stride;
    vec4 sums = vec4(0.0), squares = vec4(0.0);
    for (uint i = lane; i < p.stride; i += LANES) sums += load_x(base + i);
    float mean = sum_over_lanes((sums.x + sums.y) + (sums.z + sums.w)) / float(p.width);
    for (uint i = lane; i < p.stride; i += LANES) {
        vec4 d = load_x(base + i) - mean;
        d = mix(d, vec4(0.0), greaterThanEqual(4u * i + uvec4(0u, 1u, 2u, 3u), uvec4(p.width)));
        squares += d * d;
    }
    float variance = sum_over_lanes((squares.x + squares.y) + (squares.z + squares.w)) / float(p.width);
    float scale = inversesqrt(variance + p.eps);
    for (uint i = lane; i < p.stride; i += LANES) {
        vec4 y = (load_x(base + i) - mean) * scale * load_norm(i) + load_norm(p.stride + i);
        if ((HALVES & 2u) != 0u)
            result2[base + i] = pack_half4(y);
        else
            result[base + i] = y;
    }
}
