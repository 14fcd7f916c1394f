// Reads the panels of a matrix [n, k] and writes those of its transpose [k, n], or of the same matrix (COPY), in float32
// or float16. Each workgroup moves a block of 32 x 32 elements.
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint LANES = 64u;
layout(constant_id = 1) const uint HOW = 0u; // 1: float16, 2: COPY
const bool HALF = (HOW & 1u) != 0u, COPY = (HOW & 2u) != 0u;

layout(std430, set = 0, binding = 1) readonly buffer X { vec4 x[]; };
layout(std430, set = 0, binding = 2) writeonly buffer Out { vec4 result[]; };
layout(std430, set = 0, binding = 2) writeonly buffer Out2 { uvec2 result2[]; }; // HALF

layout(push_constant) uniform Push {
    uint k;           // width of x
    uint n;           // width of out
    uint first_panel; // of the matrix, where the chunk of x begins; and where that of out begins
    uint first_out;   // COPY: 0
} p;

void store(uint at, vec4 v)
{
    if (HALF)
        result2[at] = half_or_infinite(v);
    else
        result[at] = v;
}

void main()
{
    uint from = (gl_WorkGroupID.x * p.k + (p.first_out + gl_WorkGroupID.y) * PANEL) * 8u;
    uint to = (gl_WorkGroupID.y * p.n + (p.first_panel + gl_WorkGroupID.x) * PANEL) * 8u;
    for (uint i = gl_LocalInvocationID.x; COPY && i < 256u; i += LANES) store(from + i, x[from + i]);
    for (uint i = gl_LocalInvocationID.x; !COPY && i < 64u; i += LANES) {
        uint row = i / 8u, column = i % 8u; // in fours
        uint at = from + 32u * column + row, out_at = to + 32u * row + column;
        mat4 m = transpose(mat4(x[at], x[at + 8u], x[at + 16u], x[at + 24u]));
        for (uint j = 0u; j < 4u; j++) store(out_at + 8u * j, m[j]);
    }
}
