// Losses and their gradients. An item is a row of logits or, for spans, a column of a segment of rows. Each workgroup
// takes one item, and writes the gradient by its logits, its loss, and 1 where the label has the largest logit (else 0).
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint LANES = 64u;
layout(constant_id = 1) const uint VARIANT = 0u; // rp_loss_variant of runtime/ops/training.h
layout(constant_id = 2) const bool ADD = false;  // this adds the gradient to what stands there; false: it replaces that

ALIASED layout(std430, set = 0, binding = 1) readonly buffer X { float x[]; };
layout(std430, set = 0, binding = 2) readonly buffer Starts { uint starts[]; }; // of segments
layout(std430, set = 0, binding = 3) readonly buffer Wanted { uint wanted[]; };
ALIASED layout(std430, set = 0, binding = 4) buffer Out { float result[]; };
layout(std430, set = 0, binding = 5) buffer Losses { vec2 losses[]; };

layout(push_constant) uniform Push {
    uint count;
    uint width;  // logits of a row; columns of a segment
    uint stride; // floats
    float smoothing;
    uint from; // the first logit of a row
    float factor; // of every weight
} p;

shared float partial[LANES];
float sum_over_lanes(float value)
{
    partial[gl_LocalInvocationID.x] = value;
    barrier();
    float sum = 0.0;
    for (uint i = 0u; i < LANES; i++) sum += partial[i];
    barrier();
    return sum;
}
float largest_over_lanes(float value)
{
    partial[gl_LocalInvocationID.x] = value;
    barrier();
    float most = value;
    for (uint i = 0u; i < LANES; i++) most = max(most, partial[i]);
    barrier();
    return most;
}

void store(uint at, float value)
{
    if (ADD) value += result[at];
    result[at] = value;
}

// Softmax and cross entropy of n logits, `between` floats apart.
vec2 cross_entropy(uint base, uint between, uint n, uint label, float weight)
{
    uint lane = gl_LocalInvocationID.x;
    float most = -3.4e38, total = 0.0, all = 0.0;
    for (uint i = lane; i < n; i += LANES) most = max(most, x[base + i * between]);
    most = largest_over_lanes(most);
    for (uint i = lane; i < n; i += LANES) {
        float above = x[base + i * between] - most;
        total += exp(above);
        all += above;
    }
    total = sum_over_lanes(total);
    all = sum_over_lanes(all);
    bool there = label < n;
    if (!there) weight = 0.0;
    float even = p.smoothing / float(n), chosen = there ? x[base + label * between] - most : 0.0;
    barrier(); // the gradient may replace the logits
    for (uint i = lane; i < n; i += LANES) {
        uint at = base + i * between;
        float target = even + (i == label ? 1.0 - p.smoothing : 0.0);
        store(at, weight == 0.0 ? 0.0 : weight * (exp(x[at] - most) / total - target));
    }
    if (weight == 0.0) return vec2(0.0, there && chosen >= 0.0 ? 1.0 : 0.0);
    return vec2(weight * (log(total) - (1.0 - p.smoothing) * chosen - even * all), chosen >= 0.0 ? 1.0 : 0.0);
}

vec2 squares_or_logistic(uint row, float weight)
{
    float loss = 0.0;
    for (uint i = gl_LocalInvocationID.x; i < p.width; i += LANES) {
        uint at = row * p.stride + p.from + i;
        float v = x[at], y = uintBitsToFloat(wanted[row * (p.width + 1u) + 1u + i]);
        if (VARIANT == 2u) {
            float e = exp(-abs(v));
            loss += max(v, 0.0) - v * y + log(1.0 + e);
            store(at, weight * ((v < 0.0 ? e : 1.0) / (1.0 + e) - y));
        } else {
            loss += (v - y) * (v - y);
            store(at, weight * 2.0 * (v - y));
        }
    }
    return vec2(weight * sum_over_lanes(loss), 0.0);
}

void main()
{
    uint item = gl_WorkGroupID.x, column = gl_WorkGroupID.y, lane = gl_LocalInvocationID.x;
    if (item >= counts[p.count]) return;
    vec2 loss;
    uint at = item, first = item, rows = 1u, between = 1u;
    if (VARIANT == 1u) {
        at = item * p.width + column;
        first = starts[item];
        rows = starts[item + 1u] - first;
        between = p.stride;
    }
    if (VARIANT <= 1u)
        loss = cross_entropy(first * p.stride + p.from + column, between, VARIANT == 1u ? rows : p.width,
                             wanted[2u * at + 1u], p.factor * uintBitsToFloat(wanted[2u * at]));
    else
        loss = squares_or_logistic(item, p.factor * uintBitsToFloat(wanted[item * (p.width + 1u)]));
    uint padding = p.stride - p.width;
    if (column == 0u && !ADD)
        for (uint i = lane; i < rows * padding; i += LANES) {
            uint other = i % padding;
            result[(first + i / padding) * p.stride + other + (other < p.from ? 0u : p.width)] = 0.0;
        }
    if (lane == 0u) losses[at] = ADD ? losses[at] + loss : loss;
}
