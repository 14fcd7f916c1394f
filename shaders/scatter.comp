// Gradients of the rows of a table: row list[i].x += the rows of dy that are listed for it, in their order. One
// invocation makes one vec4 of one row of the table, which lies in panels.
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint LANES = 64u;

layout(std430, set = 0, binding = 1) readonly buffer Dy { vec4 dy[]; };
layout(std430, set = 0, binding = 2) readonly buffer List { uvec4 list[]; };  // row of the table, first, number, unused
layout(std430, set = 0, binding = 3) readonly buffer Order { uint order[]; }; // rows of dy
layout(std430, set = 0, binding = 4) buffer Out { float table[]; };

layout(push_constant) uniform Push {
    uint count;
    uint k;      // floats of a row of dy and of the table
    uint first;  // row of the table in this chunk
    uint rows;   // of the chunk
} p;

void main()
{
    uint i = gl_WorkGroupID.y * LANES + gl_LocalInvocationID.x;
    if (gl_WorkGroupID.x >= counts[p.count] || 4u * i >= p.k) return;
    uvec4 entry = list[gl_WorkGroupID.x];
    uint row = entry.x - p.first;
    if (entry.x < p.first || row >= p.rows) return;
    vec4 sum = vec4(0.0);
    for (uint n = 0u; n < entry.z; n++) sum += dy[order[entry.y + n] * (p.k / 4u) + i];
    uint at = (row / PANEL * p.k + 4u * i) * PANEL + row % PANEL;
    for (uint n = 0u; n < 4u; n++) table[at + n * PANEL] += sum[n];
}
