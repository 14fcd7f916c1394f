// Copies or adds whole rows from one buffer to another. Each workgroup takes one row.
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint LANES = 64u;
layout(constant_id = 1) const uint VARIANT = 0u; // rp_rows_variant of runtime/ops/training.h

layout(std430, set = 0, binding = 1) readonly buffer X { vec4 x[]; };
layout(std430, set = 0, binding = 1) readonly buffer XBits { uvec4 x_bits[]; };
layout(std430, set = 0, binding = 2) readonly buffer List { uint list[]; };
layout(std430, set = 0, binding = 3) buffer State { uint state[]; }; // rp_train_state of runtime/ops/training.h
layout(std430, set = 0, binding = 4) buffer Out { vec4 result[]; };
layout(std430, set = 0, binding = 4) buffer OutBits { uvec4 result_bits[]; };

layout(push_constant) uniform Push {
    uint count;
    uint stride; // vec4s
    uint most;   // rows that one layer has room for
    uint by;     // what this dispatch adds to the number of the layer, for the next one
} p;

void main()
{
    uint row = gl_WorkGroupID.x, lane = gl_LocalInvocationID.x;
    if (VARIANT == 2u) {
        if (lane == 0u) state[4] += p.by;
        return;
    }
    if (row >= counts[p.count]) return;
    uint from = row, to = row;
    float factor = 1.0;
    if (VARIANT == 0u) to += state[4] * p.most;
    if (VARIANT == 1u) from += state[4] * p.most;
    if (VARIANT == 4u || VARIANT == 8u) to = list[row];
    if (VARIANT == 7u) from = list[row];
    if (VARIANT >= 7u) {
        for (uint i = lane; i < p.stride; i += LANES)
            result_bits[to * p.stride + i] = x_bits[from * p.stride + i];
        return;
    }
    if (VARIANT >= 5u) {
        from = list[2u * row];
        factor = uintBitsToFloat(list[2u * row + 1u]);
    }
    for (uint i = lane; i < p.stride; i += LANES) {
        vec4 y = factor == 0.0 ? vec4(0.0) : factor * x[from * p.stride + i];
        if (VARIANT >= 3u && VARIANT <= 5u) y += result[to * p.stride + i];
        result[to * p.stride + i] = y;
    }
}
