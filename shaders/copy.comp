// to = from: COUNT vec4s in each invocation, neighbours side by side.
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint LANES = 64u;
layout(constant_id = 1) const uint COUNT = 4u;

layout(std430, set = 0, binding = 1) readonly buffer From { vec4 from[]; };
layout(std430, set = 0, binding = 2) writeonly buffer To { vec4 to[]; };

void main()
{
    uint at = gl_WorkGroupID.x * LANES * COUNT + gl_LocalInvocationID.x;
    for (uint i = 0u; i < COUNT; i++) to[at + i * LANES] = from[at + i * LANES];
}
