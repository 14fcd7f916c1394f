// out[row] = (x[row] - mean) / sqrt(variance + eps) * gamma + beta, over the first `width` columns. One workgroup a row.
// The columns up to `stride` are padding: gamma and beta are 0 there, and so is what is written.
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint LANES = 64u;

layout(std430, set = 0, binding = 1) readonly buffer X { float x[]; };
layout(std430, set = 0, binding = 2) readonly buffer Norm { float norm[]; }; // gamma [stride], then beta [stride]
layout(std430, set = 0, binding = 3) writeonly buffer Out { float result[]; };

layout(push_constant) uniform Push {
    uint count;
    uint width;
    uint stride; // of x and out, floats
    float eps;
} p;

shared float partial[LANES];

// The same sum in every lane, in an order that does not depend on timing.
float sum_over_lanes(float value)
{
    partial[gl_LocalInvocationID.x] = value;
    barrier();
    float sum = 0.0;
    for (uint i = 0u; i < LANES; i++) sum += partial[i];
    barrier();
    return sum;
}

void main()
{
    uint lane = gl_LocalInvocationID.x, row = gl_WorkGroupID.x;
    if (row >= counts[p.count]) return;
    uint base = row * p.stride;
    float sum = 0.0, squares = 0.0;
    for (uint i = lane; i < p.width; i += LANES) sum += x[base + i];
    float mean = sum_over_lanes(sum) / float(p.width);
    for (uint i = lane; i < p.width; i += LANES) {
        float d = x[base + i] - mean;
        squares += d * d;
    }
    float scale = inversesqrt(sum_over_lanes(squares) / float(p.width) + p.eps);
    for (uint i = lane; i < p.stride; i += LANES)
        result[base + i] = (x[base + i] - mean) * scale * norm[i] + norm[p.stride + i];
}
