// out[sequence] = mean or maximum of its rows of x. One lane makes one vec4 of a sequence, in token order: llvmpipe ends
// the loops of an invocation after 65535 iterations in all, which several vec4s of a long sequence would pass.
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint LANES = 64u;
layout(constant_id = 1) const uint HALVES = 0u; // bit 0: x holds float16

layout(std430, set = 0, binding = 1) readonly buffer X { vec4 x[]; };
layout(std430, set = 0, binding = 1) readonly buffer X2 { uvec2 x2[]; };
vec4 load_x(uint at) { return (HALVES & 1u) != 0u ? unpack4(x2[at], FORMAT_F16) : x[at]; }
layout(std430, set = 0, binding = 2) readonly buffer Starts { uint starts[]; }; // [sequences + 1], rows of x
layout(std430, set = 0, binding = 3) writeonly buffer Out { vec4 out4[]; };

layout(push_constant) uniform Push {
    uint count;
    uint stride; // of x and out, vec4s
    uint largest; // 1: maximum, 0: mean
} p;

void main()
{
    uint sequence = gl_WorkGroupID.x, i = gl_WorkGroupID.y * LANES + gl_LocalInvocationID.x;
    if (sequence >= counts[p.count] || i >= p.stride) return;
    uint first = starts[sequence], last = starts[sequence + 1u];
    vec4 y = load_x(first * p.stride + i);
    for (uint row = first + 1u; row < last; row++) {
        vec4 v = load_x(row * p.stride + i);
        y = p.largest != 0u ? max(y, v) : y + v;
    }
    out4[sequence * p.stride + i] = p.largest != 0u ? y : y / float(last - first);
}
