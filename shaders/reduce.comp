// Sums of segments of numbers, or of the squares in blocks of vec4s. Each workgroup makes one sum; its order depends on
// the lengths alone, so that the same numbers give the same bits.
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint LANES = 64u;
layout(constant_id = 1) const uint VARIANT = 0u; // rp_reduce_variant of runtime/ops/training.h

ALIASED layout(std430, set = 0, binding = 1) readonly buffer X { float x[]; };
ALIASED layout(std430, set = 0, binding = 1) readonly buffer X4 { vec4 x4[]; };
layout(std430, set = 0, binding = 2) readonly buffer List { uint list[]; };
layout(std430, set = 0, binding = 3) writeonly buffer Out { float result[]; };

layout(push_constant) uniform Push {
    uint count; // RP_REDUCE_ALL: which of counts[] says how many rows of numbers there are
    uint width; // numbers of a row: each column has a sum of its own
    uint skip;  // floats of x that are passed over before the first row
} p;

shared float partial[LANES];

void main()
{
    uint n = gl_WorkGroupID.x, c = gl_WorkGroupID.y, lane = gl_LocalInvocationID.x;
    float sum = 0.0;
    if (VARIANT == 0u) {
        for (uint i = list[4u * n] + lane; i < list[4u * n] + list[4u * n + 1u]; i += LANES) sum += dot(x4[i], x4[i]);
    } else {
        uint first = VARIANT == 1u ? list[n] : 0u, end = VARIANT == 1u ? list[n + 1u] : counts[p.count];
        for (uint i = first + lane; i < end; i += LANES) sum += x[p.skip + i * p.width + c];
    }
    partial[lane] = sum;
    barrier();
    if (lane != 0u) return;
    for (uint i = 1u; i < LANES; i++) sum += partial[i];
    result[n * p.width + c] = sum;
}
