// What every shader shares. This text is put before each file, after #version and the defines of its variant.
#ifdef SUBGROUP
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#endif

// Marks a buffer that may share its memory with another buffer of the shader. Without it a compiler may take for granted
// that nothing is written through another name.
#extension GL_EXT_spirv_intrinsics : require
#define ALIASED spirv_decorate(20 /* Aliased */)

// How many rows of each kind this batch has; the indices are rp_count of runtime/ops/op.h.
layout(std430, set = 0, binding = 0) readonly buffer Counts { uint counts[]; };

// A matrix [rows, k] lies in panels: 32 rows side by side, element by element along k: [rows / 32][k][32].
const uint PANEL = 32u;

// Element formats, rp_format of runtime/ops/matrix.h.
const uint FORMAT_F32 = 0u, FORMAT_F16 = 1u, FORMAT_BF16 = 2u, FORMAT_INT8 = 3u, FORMAT_INT4 = 4u;

// Four 16-bit elements as floats.
vec4 unpack4(uvec2 bits, uint format)
{
    if (format == FORMAT_F16) return vec4(unpackHalf2x16(bits.x), unpackHalf2x16(bits.y));
    return uintBitsToFloat(uvec4(bits.x << 16, bits.x & 0xffff0000u, bits.y << 16, bits.y & 0xffff0000u));
}

// Four floats as float16; finite values stay finite.
uvec2 pack_half4(vec4 v)
{
    v = clamp(v, -65504.0, 65504.0);
    return uvec2(packHalf2x16(v.xy), packHalf2x16(v.zw));
}

// The same, but what float16 does not hold becomes infinite, and NaN stays: a training sees by it that its loss scale is
// too large. What a driver makes of such a value by itself may be 65504.
uvec2 half_or_infinite(vec4 v)
{
    uvec4 bits = floatBitsToUint(v), rest = bits & 0x7fffffffu;
    uvec4 over = (bits >> 16u & 0x8000u) | 0x7c00u | (uvec4(greaterThan(rest, uvec4(0x7f800000u))) << 9u);
    bvec4 is_over = greaterThanEqual(rest, uvec4(0x477ff000u));
    uvec2 halves = pack_half4(v);
    uvec4 each = uvec4(halves.x & 0xffffu, halves.x >> 16u, halves.y & 0xffffu, halves.y >> 16u);
    each = uvec4(is_over.x ? over.x : each.x, is_over.y ? over.y : each.y, is_over.z ? over.z : each.z,
                 is_over.w ? over.w : each.w);
    return uvec2(each.x | each.y << 16u, each.z | each.w << 16u);
}

const uint ACTIVATION_NONE = 0u, ACTIVATION_GELU = 1u, ACTIVATION_GELU_TANH = 2u, ACTIVATION_RELU = 3u,
           ACTIVATION_TANH = 4u;

// exp overflows to infinity and leaves exactly +-1: no NaN, whatever the driver's own tanh does with large arguments.
vec4 safe_tanh(vec4 x) { return 1.0 - 2.0 / (exp(2.0 * x) + 1.0); }

// Abramowitz and Stegun 7.1.26: absolute error below 1.5e-7.
vec4 erf(vec4 x)
{
    vec4 a = abs(x);
    vec4 t = 1.0 / (1.0 + 0.3275911 * a);
    vec4 poly = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
    return sign(x) * (1.0 - poly * exp(-a * a));
}

vec4 activate(vec4 x, uint activation)
{
    if (activation == ACTIVATION_GELU) return 0.5 * x * (1.0 + erf(x * 0.70710678118654752));
    if (activation == ACTIVATION_GELU_TANH)
        return 0.5 * x * (1.0 + safe_tanh(0.79788456080286536 * (x + 0.044715 * x * x * x)));
    if (activation == ACTIVATION_RELU) return max(x, vec4(0.0));
    if (activation == ACTIVATION_TANH) return safe_tanh(x);
    return x;
}
