// out[row, n] = activation(sum over k of x[row, k] * w[n, k] + bias[n]) + residual[row, n]
//
// Needs nothing beyond Vulkan 1.1: no shared memory, no subgroups. One invocation makes TILE rows of 4 neighbouring
// columns; 8 invocations side by side make the 32 columns of a panel. The rows of a matrix are its output columns.
#define TILE 4

layout(local_size_x_id = 0, local_size_y_id = 1) in; // x: 8; y: blocks of TILE rows
layout(constant_id = 2) const uint FORMAT = 0u;

layout(std430, set = 0, binding = 1) readonly buffer X { vec4 x[]; };
layout(std430, set = 0, binding = 2) readonly buffer W4 { vec4 w4[]; };  // FORMAT_F32
layout(std430, set = 0, binding = 2) readonly buffer W2 { uvec2 w2[]; }; // 16-bit formats
layout(std430, set = 0, binding = 3) readonly buffer Bias { vec4 bias[]; };
layout(std430, set = 0, binding = 4) readonly buffer Residual { vec4 residual[]; };
layout(std430, set = 0, binding = 5) writeonly buffer Out { vec4 out4[]; };

// Widths and strides count vec4s.
layout(push_constant) uniform Push {
    uint count;           // which of counts[] says how many rows x has
    uint k;               // width of x
    uint x_stride;
    uint out_stride;
    uint out_column;      // first column of out that this dispatch writes
    uint residual_stride; // 0: no residual
    uint bias_column;     // first element of bias, or ~0u: no bias
    uint activation;
} p;

vec4 load_w(uint at)
{
    if (FORMAT == FORMAT_F32) return w4[at];
    return unpack4(w2[at], FORMAT);
}

void main()
{
    uint rows = counts[p.count];
    uint row0 = (gl_WorkGroupID.x * gl_WorkGroupSize.y + gl_LocalInvocationID.y) * TILE;
    if (row0 >= rows) return;
    uint column = gl_WorkGroupID.y * (PANEL / 4u) + gl_LocalInvocationID.x;

    uint at[TILE]; // rows past the end repeat the last one and are not written
    vec4 sum[TILE];
    for (uint r = 0u; r < TILE; r++) {
        at[r] = min(row0 + r, rows - 1u) * p.x_stride;
        sum[r] = vec4(0.0);
    }
    uint w = gl_WorkGroupID.y * p.k * PANEL + gl_LocalInvocationID.x;
    for (uint k = 0u; k < p.k; k++, w += PANEL) {
        vec4 a = load_w(w), b = load_w(w + 8u), c = load_w(w + 16u), d = load_w(w + 24u);
        for (uint r = 0u; r < TILE; r++) {
            vec4 v = x[at[r] + k];
            sum[r] += v.x * a + v.y * b + v.z * c + v.w * d;
        }
    }
    vec4 start = p.bias_column == ~0u ? vec4(0.0) : bias[p.bias_column + column];
    for (uint r = 0u; r < TILE && row0 + r < rows; r++) {
        vec4 y = activate(sum[r] + start, p.activation);
        if (p.residual_stride != 0u) y += residual[(row0 + r) * p.residual_stride + p.out_column + column];
        out4[(row0 + r) * p.out_stride + p.out_column + column] = y;
    }
}
