// What the arithmetic of a device can reach: CHAINS sums in each invocation, each one operation after the other, and no
// memory in the loop. Too few chains wait for each other, too many do not fit the registers: the caller tries several.
#extension GL_EXT_control_flow_attributes : require
#ifdef HALF
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#define VALUE f16vec2
#define STEP(sum) fma(sum, a, b)
#define TO_FLOAT(sum) float(sum.x + sum.y)
#elif defined(DOT)
// OpSDot of SPV_KHR_integer_dot_product: four products of packed 8-bit integers.
#extension GL_EXT_spirv_intrinsics : require
spirv_instruction(extensions = ["SPV_KHR_integer_dot_product"], capabilities = [6018, 6019], id = 4450)
int dot4(int a, int b, spirv_literal int format);
#define VALUE int
#define STEP(sum) (sum + dot4(sum, a, 0))
#define TO_FLOAT(sum) float(sum)
#else
#define VALUE float
#define STEP(sum) fma(sum, a, b)
#define TO_FLOAT(sum) sum
#endif

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint LANES = 64u;
layout(constant_id = 1) const uint CHAINS = 8u;
const uint UNROLLED = 8u; // operations of a chain for each step of the loop, whose own cost should not count

layout(std430, set = 0, binding = 1) buffer Values { float values[]; }; // two to begin with, then one a lane

layout(push_constant) uniform Push { uint steps; } p;

void main()
{
    VALUE a = VALUE(values[0]), b = VALUE(values[1]), sum[CHAINS];
    [[unroll]] for (uint i = 0u; i < CHAINS; i++) sum[i] = VALUE(gl_LocalInvocationID.x + i);
    [[dont_unroll]] for (uint step = 0u; step < p.steps; step++)
        [[unroll]] for (uint u = 0u; u < UNROLLED; u++)
            [[unroll]] for (uint i = 0u; i < CHAINS; i++) sum[i] = STEP(sum[i]);
    VALUE all = sum[0];
    [[unroll]] for (uint i = 1u; i < CHAINS; i++) all += sum[i];
    // never true for the values that are there, but the compiler cannot know
    if (TO_FLOAT(all) == values[2]) values[3] = 1.0;
}
