// Adds to out the sum of each column over all rows, in two dispatches. In the first each workgroup adds up `group` rows
// and writes the sums to scratch; in the second (LAST) each invocation adds up what all workgroups wrote for one vec4.
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint LANES = 64u;
layout(constant_id = 1) const bool NORM = false; // two sums: of dy * normalized x, the gradient of gamma; of dy, that of beta
layout(constant_id = 2) const bool LAST = false; // the second step

#ifdef TEXEL
layout(set = 0, binding = 1) uniform samplerBuffer dy; // LAST: the sums of the workgroups
layout(set = 0, binding = 2) uniform samplerBuffer x;
vec4 load_dy(uint at) { return texelFetch(dy, int(at)); }
vec4 load_x(uint at) { return texelFetch(x, int(at)); }
#else
ALIASED layout(std430, set = 0, binding = 1) readonly buffer Dy { vec4 dy[]; };
ALIASED layout(std430, set = 0, binding = 2) readonly buffer X { vec4 x[]; };
vec4 load_dy(uint at) { return dy[at]; }
vec4 load_x(uint at) { return x[at]; }
#endif
layout(std430, set = 0, binding = 3) readonly buffer Stats { vec2 stats[]; }; // of each row of x: mean, 1 / deviation
ALIASED layout(std430, set = 0, binding = 4) buffer Out { vec4 result[]; };

layout(push_constant) uniform Push {
    uint count;
    uint group;  // rows that a workgroup of the first step adds up
    uint stride; // of dy and x, vec4s
} p;

void main()
{
    uint i = gl_WorkGroupID.y * LANES + gl_LocalInvocationID.x, rows = counts[p.count];
    if (i >= p.stride) return;
    uint first = gl_WorkGroupID.x * p.group, end = min(first + p.group, rows);
    if (LAST) end = (rows + p.group - 1u) / p.group;
    vec4 sum = vec4(0.0), scaled = vec4(0.0);
    for (uint row = LAST ? 0u : first; row < end; row++) {
        vec4 y = load_dy(row * p.stride + i);
        if (NORM) scaled = fma((load_x(row * p.stride + i) - stats[row].x) * stats[row].y, y, scaled);
        sum += y;
    }
    if (LAST) {
        result[i] += sum;
    } else if (NORM) {
        result[2u * gl_WorkGroupID.x * p.stride + i] = scaled;
        result[(2u * gl_WorkGroupID.x + 1u) * p.stride + i] = sum;
    } else {
        result[gl_WorkGroupID.x * p.stride + i] = sum;
    }
}
