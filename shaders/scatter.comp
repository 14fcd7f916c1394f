// The gradient of a table of embeddings, which lies in panels. Entry i of the list names a row of the table; this adds
// to that row of the gradient the rows of dy that the entry lists, in their order. Workgroup i takes entry i, and each
// invocation adds up one vec4.
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint LANES = 64u;

layout(std430, set = 0, binding = 1) readonly buffer Dy { vec4 dy[]; };
layout(std430, set = 0, binding = 2) readonly buffer List { uvec4 list[]; };  // row of the table; first place in order; number
layout(std430, set = 0, binding = 3) readonly buffer Order { uint order[]; }; // numbers of rows of dy
layout(std430, set = 0, binding = 4) buffer Out { float table[]; };

layout(push_constant) uniform Push {
    uint count;
    uint k;      // floats of a row of dy and of the table
    uint first;  // the first row of the table that this chunk holds
    uint rows;   // how many it holds
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
