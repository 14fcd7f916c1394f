// One step of an optimizer. Each workgroup takes one block of parameters, which belong to one tensor, and clears their
// gradients for the next step. Where the norm of the whole gradient is not finite it changes nothing else.
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint LANES = 64u;
layout(constant_id = 1) const uint VARIANT = 0u; // rp_update_variant of runtime/ops/training.h
const uint ADAMW = 0u, LAMB_MOMENTS = 1u, LAMB_APPLY = 2u;
const uint DECAYS = 1u, ADAPTS = 2u, NUMBER = 4u; // flags of a block

layout(std430, set = 0, binding = 1) buffer W { vec4 w[]; };
layout(std430, set = 0, binding = 2) buffer G { vec4 gradient[]; };
layout(std430, set = 0, binding = 3) buffer M { vec4 moment[]; };
layout(std430, set = 0, binding = 4) buffer V { vec4 square[]; };
layout(std430, set = 0, binding = 5) readonly buffer Blocks { uvec4 blocks[]; }; // first vec4, number, tensor, flags
layout(std430, set = 0, binding = 6) readonly buffer State { float state[]; };   // rp_train_state of runtime/ops/training.h
// ADAMW and LAMB_MOMENTS read the square of the norm of the whole gradient in [0]. LAMB_MOMENTS writes |w|^2 and |u|^2 of
// block number i to [4 + 2 * i] and the place behind it.
layout(std430, set = 0, binding = 7) buffer Sums { float sums[]; }; // LAMB_APPLY reads |w|^2 and |u|^2 of each tensor

shared vec2 partial[LANES];

bool is_finite(float value) { return (floatBitsToUint(value) & 0x7f800000u) != 0x7f800000u; }

void main()
{
    uint lane = gl_LocalInvocationID.x;
    uvec4 block = blocks[gl_WorkGroupID.x];
    float rate = state[8], beta1 = state[9], beta2 = state[10], eps = state[11];
    float decay = (block.w & DECAYS) != 0u ? state[12] : 0.0;
    float factor = state[16], ratio = 1.0;
    bool go = true;
    if (VARIANT == LAMB_APPLY) {
        float weights = sums[2u * block.z], updates = sums[2u * block.z + 1u];
        go = weights >= 0.0; // else LAMB_MOMENTS found a norm that is not finite
        if ((block.w & ADAPTS) != 0u && weights > 0.0 && updates > 0.0) ratio = sqrt(weights) / sqrt(updates);
    } else {
        float norm = sqrt(sums[0]) * factor;
        go = is_finite(norm);
        if (state[15] > 0.0) factor *= min(1.0, state[15] / (norm + state[17]));
    }
    vec2 norms = vec2(0.0);
    for (uint i = block.x + lane; i < block.x + block.y; i += LANES) {
        vec4 g = gradient[i] * factor, m = moment[i], v = square[i], x = w[i];
        if (VARIANT != LAMB_APPLY) gradient[i] = vec4(0.0);
        if (!go) continue;
        if (VARIANT != LAMB_APPLY) {
            m = beta1 * m + (1.0 - beta1) * g;
            v = beta2 * v + (1.0 - beta2) * g * g;
            moment[i] = m;
            square[i] = v;
        }
        if (VARIANT == ADAMW) {
            w[i] = x * (1.0 - rate * decay) - rate * state[13] * (m / (sqrt(v) * state[14] + eps));
            continue;
        }
        vec4 u = m / (sqrt(v) + eps) + decay * x;
        norms += vec2(dot(x, x), dot(u, u));
        if (VARIANT == LAMB_APPLY) w[i] = x - rate * ratio * u;
    }
    if (VARIANT != LAMB_MOMENTS) return;
    partial[lane] = norms;
    barrier();
    if (lane != 0u) return;
    for (uint i = 1u; i < LANES; i++) norms += partial[i];
    if (!go) norms = vec2(-1.0, 0.0);
    uint at = 4u + 2u * (block.w / NUMBER);
    sums[at] = norms.x;
    sums[at + 1u] = norms.y;
}
