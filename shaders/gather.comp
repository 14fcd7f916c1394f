// out[i] = x[list[i]], row by row. One workgroup a row.
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint LANES = 64u;
layout(constant_id = 1) const uint HALVES = 0u; // bit 0: x holds float16, which becomes float32

layout(std430, set = 0, binding = 1) readonly buffer X { vec4 x[]; };
layout(std430, set = 0, binding = 1) readonly buffer X2 { uvec2 x2[]; };
layout(std430, set = 0, binding = 2) readonly buffer List { uint list[]; };
layout(std430, set = 0, binding = 3) writeonly buffer Out { vec4 out4[]; };

layout(push_constant) uniform Push {
    uint count;
    uint stride;   // of x and out, vec4s
    uint use_list; // 0: every row, in order
} p;

void main()
{
    uint row = gl_WorkGroupID.x;
    if (row >= counts[p.count]) return;
    uint from = (p.use_list != 0u ? list[row] : row) * p.stride;
    for (uint i = gl_LocalInvocationID.x; i < p.stride; i += LANES)
        out4[row * p.stride + i] = (HALVES & 1u) != 0u ? unpack4(x2[from + i], FORMAT_F16) : x[from + i];
}
