// The gradient of a LayerNorm by its input x. With h, the normalized x, and g = gamma * dy:
// out = (g - mean(g) - h * mean(g * h)) / deviation. Each workgroup takes one row, and writes the mean of x and
// 1 / deviation to stats, where column_sum.comp reads them.
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint LANES = 64u;

#ifdef TEXEL
layout(set = 0, binding = 1) uniform samplerBuffer x;
layout(set = 0, binding = 2) uniform samplerBuffer dy;
layout(set = 0, binding = 3) uniform samplerBuffer norm; // gamma [stride]
vec4 load_x(uint at) { return texelFetch(x, int(at)); }
vec4 load_dy(uint at) { return texelFetch(dy, int(at)); }
vec4 load_norm(uint at) { return texelFetch(norm, int(at)); }
#else
ALIASED layout(std430, set = 0, binding = 1) readonly buffer X { vec4 x[]; };
ALIASED layout(std430, set = 0, binding = 2) readonly buffer Dy { vec4 dy[]; };
layout(std430, set = 0, binding = 3) readonly buffer Norm { vec4 norm[]; };
vec4 load_x(uint at) { return x[at]; }
vec4 load_dy(uint at) { return dy[at]; }
vec4 load_norm(uint at) { return norm[at]; }
#endif
layout(std430, set = 0, binding = 4) writeonly buffer Stats { vec2 stats[]; };
ALIASED layout(std430, set = 0, binding = 5) writeonly buffer Out { vec4 result[]; };

layout(push_constant) uniform Push {
    uint count;
    uint width;  // floats
    uint stride; // vec4s
    float eps;
} p;

#ifdef SUBGROUP
float sum_over_lanes(vec4 v)
{
    float value = (v.x + v.y) + (v.z + v.w);
    for (uint i = 1u; i < LANES; i *= 2u) value += subgroupShuffleXor(value, i);
    return value;
}
#else
shared float partial[LANES];
float sum_over_lanes(vec4 v)
{
    partial[gl_LocalInvocationID.x] = (v.x + v.y) + (v.z + v.w);
    barrier();
    float sum = 0.0;
    for (uint i = 0u; i < LANES; i++) sum += partial[i];
    barrier();
    return sum;
}
#endif

vec4 inside(vec4 v, uint i)
{
    return mix(v, vec4(0.0), greaterThanEqual(4u * i + uvec4(0u, 1u, 2u, 3u), uvec4(p.width)));
}

void main()
{
    uint lane = gl_LocalInvocationID.x, row = gl_WorkGroupID.x, base = row * p.stride;
    if (row >= counts[p.count]) return;
    float n = float(p.width);
    vec4 sums = vec4(0.0), squares = vec4(0.0), all = vec4(0.0), along = vec4(0.0);
    for (uint i = lane; i < p.stride; i += LANES) sums += load_x(base + i);
    float mean = sum_over_lanes(sums) / n;
    for (uint i = lane; i < p.stride; i += LANES) {
        vec4 d = inside(load_x(base + i) - mean, i), g = load_norm(i) * load_dy(base + i);
        squares += d * d;
        all += g;
        along = fma(g, d, along);
    }
    float scale = inversesqrt(sum_over_lanes(squares) / n + p.eps);
    float shift = sum_over_lanes(all) / n, turn = sum_over_lanes(along) / n * scale * scale;
    if (lane == 0u) stats[row] = vec2(mean, scale);
    for (uint i = lane; i < p.stride; i += LANES) {
        vec4 d = load_x(base + i) - mean, g = load_norm(i) * load_dy(base + i);
        result[base + i] = inside((g - shift - d * turn) * scale, i);
    }
}
