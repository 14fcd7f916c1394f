// What cooperative matrices of a device can reach: CHAINS sums of each subgroup, each one product after the other, and no
// memory in the loop.
#extension GL_EXT_control_flow_attributes : require

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint LANES = 32u; // one subgroup
layout(constant_id = 1) const uint CHAINS = 8u;
layout(constant_id = 2) const uint M = 16u;
layout(constant_id = 3) const uint N = 16u;
layout(constant_id = 4) const uint K = 16u;
const uint UNROLLED = 8u; // as in roofline.comp

layout(std430, set = 0, binding = 1) buffer Values { float values[]; };

layout(push_constant) uniform Push { uint steps; } p;

shared SUM_CELL result[M * N / 4u];

void main()
{
    MATRIX_A a = MATRIX_A(float16_t(values[0]));
    MATRIX_B b = MATRIX_B(float16_t(values[1]));
    MATRIX_SUM sum[CHAINS];
    [[unroll]] for (uint i = 0u; i < CHAINS; i++) sum[i] = MATRIX_SUM(float(i));
    [[dont_unroll]] for (uint step = 0u; step < p.steps; step++)
        [[unroll]] for (uint u = 0u; u < UNROLLED; u++)
            [[unroll]] for (uint i = 0u; i < CHAINS; i++) sum[i] = MULTIPLY_ADD(a, b, sum[i]);
    [[unroll]] for (uint i = 1u; i < CHAINS; i++) sum[0] = sum[0] + sum[i];
    STORE_ROWS(sum[0], result, 0u, N / 4u);
    barrier();
    // never true for the values that are there, but the compiler cannot know
    if (floats_of(result[gl_LocalInvocationID.x % (M * N / 4u)]).x == values[2]) values[3] = 1.0;
}
