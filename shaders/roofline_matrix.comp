// What cooperative matrices of a device can reach: CHAINS sums of each subgroup, each one product after the other, and no
// memory in the loop. A software driver takes the products apart and makes equal ones once: it must VARY the operands, an A for
// each chain and a B for each product of it, from shared memory.
#extension GL_EXT_control_flow_attributes : require

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint LANES = 32u; // one subgroup
layout(constant_id = 1) const uint CHAINS = 8u;
layout(constant_id = 2) const uint M = 16u;
layout(constant_id = 3) const uint N = 16u;
layout(constant_id = 4) const uint K = 16u;
layout(constant_id = 5) const uint VARY = 0u; // 1: do
const uint UNROLLED = 8u; // as in roofline.comp
const uint FACTORS = VARY * (CHAINS - 1u) + 1u;
const uint CELLS = VARY * (CHAINS + UNROLLED + K * (M + N) / 4u) + 1u;

layout(std430, set = 0, binding = 1) buffer Values { float values[]; };

layout(push_constant) uniform Push { uint steps; } p;

shared SUM_CELL result[M * N / 4u];
shared CELL operands[CELLS];

void main()
{
    MATRIX_A a[FACTORS];
    MATRIX_B b = MATRIX_B(float16_t(values[1]));
    if (VARY == 0u) a[0] = MATRIX_A(float16_t(values[0]));
    if (VARY != 0u) {
        for (uint i = gl_LocalInvocationID.x; i < CELLS; i += LANES)
            operands[i] = half_cell(values[0] + float(i) * vec4(values[1], values[1] * 2.0, values[0], values[0] * 2.0));
        barrier();
        [[unroll]] for (uint i = 0u; i < FACTORS; i++) LOAD_ROWS(a[i], operands, i, K / 4u);
    }
    MATRIX_SUM sum[CHAINS];
    [[unroll]] for (uint i = 0u; i < CHAINS; i++) sum[i] = MATRIX_SUM(float(i));
    [[dont_unroll]] for (uint step = 0u; step < p.steps; step++)
        [[unroll]] for (uint u = 0u; u < UNROLLED; u++) {
            if (VARY != 0u) LOAD_ROWS(b, operands, (step + u) % UNROLLED, N / 4u);
            [[unroll]] for (uint i = 0u; i < CHAINS; i++) sum[i] = MULTIPLY_ADD(a[i * VARY], b, sum[i]);
        }
    [[unroll]] for (uint i = 1u; i < CHAINS; i++) sum[0] = sum[0] + sum[i];
    STORE_ROWS(sum[0], result, 0u, N / 4u);
    barrier();
    // never true for the values that are there, but the compiler cannot know
    if (floats_of(result[gl_LocalInvocationID.x % (M * N / 4u)]).x == values[2]) values[3] = 1.0;
}
