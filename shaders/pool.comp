// out[sequence] = mean or maximum of its rows of x. One workgroup a sequence; a lane adds its columns in token order.
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint LANES = 64u;

layout(std430, set = 0, binding = 1) readonly buffer X { vec4 x[]; };
layout(std430, set = 0, binding = 2) readonly buffer Starts { uint starts[]; }; // [sequences + 1], rows of x
layout(std430, set = 0, binding = 3) writeonly buffer Out { vec4 out4[]; };

layout(push_constant) uniform Push {
    uint count;
    uint stride; // of x and out, vec4s
    uint largest; // 1: maximum, 0: mean
} p;

void main()
{
    uint sequence = gl_WorkGroupID.x;
    if (sequence >= counts[p.count]) return;
    uint first = starts[sequence], last = starts[sequence + 1u];
    for (uint i = gl_LocalInvocationID.x; i < p.stride; i += LANES) {
        vec4 y = x[first * p.stride + i];
        for (uint row = first + 1u; row < last; row++) {
            vec4 v = x[row * p.stride + i];
            y = p.largest != 0u ? max(y, v) : y + v;
        }
        out4[sequence * p.stride + i] = p.largest != 0u ? y : y / float(last - first);
    }
}
