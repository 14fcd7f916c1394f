// Makes activation(x), or dy * activation'(x), or x with some elements dropped, or x as float16, as VARIANT says. Each
// workgroup takes one row.
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint LANES = 64u;
layout(constant_id = 1) const uint VARIANT = 0u; // rp_pointwise_variant of runtime/ops/training.h
layout(constant_id = 2) const uint ACTIVATION = 0u;

ALIASED layout(std430, set = 0, binding = 1) readonly buffer X { vec4 x[]; };
ALIASED layout(std430, set = 0, binding = 2) readonly buffer Dy { vec4 dy[]; };
ALIASED layout(std430, set = 0, binding = 4) writeonly buffer Out { vec4 result[]; };
ALIASED layout(std430, set = 0, binding = 4) writeonly buffer Out2 { uvec2 result2[]; }; // VARIANT 3

layout(push_constant) uniform Push {
    uint count;
    uint stride; // vec4s
    uint place;
    uint threshold;
    float scale;
} p;

vec4 slope(vec4 x)
{
    const float root = 0.79788456080286536; // sqrt(2 / pi)
    if (ACTIVATION == ACTIVATION_GELU)
        return 0.5 * (1.0 + erf(x * 0.70710678118654752)) + x * 0.5 * root * exp(-0.5 * x * x);
    if (ACTIVATION == ACTIVATION_RELU) return vec4(greaterThan(x, vec4(0.0)));
    if (ACTIVATION == ACTIVATION_NONE) return vec4(1.0);
    vec4 t = safe_tanh(ACTIVATION == ACTIVATION_TANH ? x : root * (x + 0.044715 * x * x * x));
    if (ACTIVATION == ACTIVATION_TANH) return 1.0 - t * t;
    // for a large |x| 1 - t * t is 0 and the polynomial may be infinite: their product would be NaN
    vec4 square = min(x * x, vec4(1e4));
    return 0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * root * (1.0 + 0.134145 * square);
}

void main()
{
    uint row = gl_WorkGroupID.x;
    if (row >= counts[p.count]) return;
    for (uint i = gl_LocalInvocationID.x; i < p.stride; i += LANES) {
        uint at = row * p.stride + i;
        vec4 y = x[at];
        if (VARIANT == 3u) {
            result2[at] = half_or_infinite(y);
            continue;
        }
        if (VARIANT == 0u)
            y = activate(y, ACTIVATION);
        else if (VARIANT == 1u)
            y = dy[at] * slope(y);
        else
            y *= kept(uvec4(row, i, 0u, 0u), p.place, p.threshold, p.scale);
        result[at] = y;
    }
}
