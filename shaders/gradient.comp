// The gradient of a weight matrix [n, k], which lies in panels: out += dy^T x. One invocation makes 4 * ROWS elements
// along k of each of 4 * COLUMNS rows n. It adds up all tokens itself, in their order, each product by one fma: so an
// element has the same bits whichever kernel is selected.
//
// With TILE some tokens at a time pass through shared memory, each of which all invocations of the workgroup read. Else
// an invocation reads four tokens at once. With SUBGROUP the workgroup is one subgroup: its lanes load ROWS vec4s of x
// side by side and hand them to each other by shuffles with constant indices.
#extension GL_EXT_control_flow_attributes : require

layout(local_size_x_id = 0, local_size_y_id = 1) in;
layout(constant_id = 0) const uint LANES = 8u;
layout(constant_id = 1) const uint BLOCKS = 1u;
layout(constant_id = 2) const uint ROWS = 1u;
layout(constant_id = 3) const uint COLUMNS = 1u;
layout(constant_id = 5) const bool HALVES = false; // x and dy are float16

#ifdef TEXEL
layout(set = 0, binding = 1) uniform samplerBuffer x;
layout(set = 0, binding = 2) uniform samplerBuffer dy;
vec4 load_x(uint at) { return texelFetch(x, int(at)); }
vec4 load_dy(uint at) { return texelFetch(dy, int(at)); }
#else
layout(std430, set = 0, binding = 1) readonly buffer X { vec4 x[]; };
layout(std430, set = 0, binding = 1) readonly buffer X2 { uvec2 x2[]; }; // HALVES
layout(std430, set = 0, binding = 2) readonly buffer Dy { vec4 dy[]; };
layout(std430, set = 0, binding = 2) readonly buffer Dy2 { uvec2 dy2[]; };
vec4 load_x(uint at) { return HALVES ? unpack4(x2[at], FORMAT_F16) : x[at]; }
vec4 load_dy(uint at) { return HALVES ? unpack4(dy2[at], FORMAT_F16) : dy[at]; }
#endif
layout(std430, set = 0, binding = 3) buffer Out { vec4 result[]; };

// Widths, strides and columns count vec4s.
layout(push_constant) uniform Push {
    uint count;        // which of counts[] says how many rows x and dy have
    uint k;            // width of the matrix
    uint columns;      // rows of it in this chunk
    uint first_column; // of dy, where the chunk begins
    uint x_stride;
    uint dy_stride;
} p;

vec4 multiply_add(vec4 v, mat4 w, vec4 sum)
{
    return fma(v.wwww, w[3], fma(v.zzzz, w[2], fma(v.yyyy, w[1], fma(v.xxxx, w[0], sum))));
}

#ifdef TILE
layout(constant_id = 4) const uint DEPTH = 8u; // tokens in a tile
const uint THREADS = LANES * BLOCKS, X_CELLS = ROWS * BLOCKS, DY_CELLS = LANES * COLUMNS; // of one token
const uint X_HELD = (DEPTH * X_CELLS + THREADS - 1u) / THREADS, DY_HELD = (DEPTH * DY_CELLS + THREADS - 1u) / THREADS;
shared vec4 xs[DEPTH * X_CELLS], dys[DEPTH * DY_CELLS];
vec4 held_x[X_HELD], held_dy[DY_HELD];

// Take the tile that begins at token t0: x is zero past the end.
void fetch(uint t0, uint tokens)
{
    [[unroll]] for (uint n = 0u; n < X_HELD; n++) {
        uint i = n * THREADS + gl_LocalInvocationIndex, t = t0 + i / X_CELLS;
        uint k = min(gl_WorkGroupID.x * X_CELLS + i % X_CELLS, p.k - 1u);
        held_x[n] = load_x(min(t, tokens - 1u) * p.x_stride + k);
        if (t >= tokens) held_x[n] = vec4(0.0);
    }
    [[unroll]] for (uint n = 0u; n < DY_HELD; n++) {
        uint i = n * THREADS + gl_LocalInvocationIndex;
        uint column = min(gl_WorkGroupID.y * DY_CELLS + i % DY_CELLS, p.columns - 1u);
        held_dy[n] = load_dy(min(t0 + i / DY_CELLS, tokens - 1u) * p.dy_stride + p.first_column + column);
    }
}

// Lay it down.
void place()
{
    [[unroll]] for (uint n = 0u; n < X_HELD; n++) {
        uint i = n * THREADS + gl_LocalInvocationIndex;
        if (DEPTH * X_CELLS % THREADS == 0u || i < DEPTH * X_CELLS) xs[i] = held_x[n];
    }
    [[unroll]] for (uint n = 0u; n < DY_HELD; n++) {
        uint i = n * THREADS + gl_LocalInvocationIndex;
        if (DEPTH * DY_CELLS % THREADS == 0u || i < DEPTH * DY_CELLS) dys[i] = held_dy[n];
    }
}
#endif

#ifdef SUBGROUP
const uint HELD = 1u; // vec4s of x that an invocation loads
vec4 from_row(vec4 v[HELD], uint row) { return subgroupShuffle(v[0], row); }
uint k_of(uint row) { return gl_WorkGroupID.x * ROWS + row; }
uint k_held(uint i) { return min(k_of(gl_LocalInvocationID.x % ROWS), p.k - 1u); }
#else
const uint HELD = ROWS;
vec4 from_row(vec4 v[HELD], uint row) { return v[row]; }
uint k_of(uint row) { return (gl_WorkGroupID.x * ROWS + row) * BLOCKS + gl_LocalInvocationID.y; }
uint k_held(uint i) { return min(k_of(i), p.k - 1u); }
#endif

void main()
{
    uint tokens = counts[p.count], column0 = gl_WorkGroupID.y * LANES * COLUMNS + gl_LocalInvocationID.x;
    vec4 sum[4u * ROWS * COLUMNS];
    [[unroll]] for (uint i = 0u; i < 4u * ROWS * COLUMNS; i++) sum[i] = vec4(0.0);
#ifdef TILE
    fetch(0u, tokens);
    for (uint t0 = 0u; t0 < tokens; t0 += DEPTH) {
        place();
        barrier();
        if (t0 + DEPTH < tokens) fetch(t0 + DEPTH, tokens);
        [[unroll]] for (uint t = 0u; t < DEPTH; t++) {
            vec4 y[COLUMNS];
            [[unroll]] for (uint c = 0u; c < COLUMNS; c++)
                y[c] = dys[t * DY_CELLS + c * LANES + gl_LocalInvocationID.x];
            [[unroll]] for (uint r = 0u; r < ROWS; r++) {
                vec4 v = xs[t * X_CELLS + r * BLOCKS + gl_LocalInvocationID.y];
                [[unroll]] for (uint i = 0u; i < 4u * COLUMNS; i++) {
                    uint at = 4u * r * COLUMNS + i;
                    sum[at] = fma(vec4(v[i / COLUMNS]), y[i % COLUMNS], sum[at]);
                }
            }
        }
        barrier();
    }
#else
    uint x_at[HELD], dy_at[COLUMNS]; // invocations past the end repeat the last element, and write nothing
    [[unroll]] for (uint i = 0u; i < HELD; i++) x_at[i] = k_held(i);
    [[unroll]] for (uint c = 0u; c < COLUMNS; c++)
        dy_at[c] = p.first_column + min(column0 + c * LANES, p.columns - 1u);
    for (uint t = 0u; t < tokens; t += 4u) {
        vec4 v0[HELD], v1[HELD], v2[HELD], v3[HELD]; // of each of four k's the four tokens
        uint t1 = min(t + 1u, tokens - 1u), t2 = min(t + 2u, tokens - 1u), t3 = min(t + 3u, tokens - 1u);
        vec4 there = vec4(lessThan(uvec4(t) + uvec4(0u, 1u, 2u, 3u), uvec4(tokens)));
        [[unroll]] for (uint i = 0u; i < HELD; i++) {
            mat4 v = transpose(mat4(load_x(x_at[i] + t * p.x_stride), load_x(x_at[i] + t1 * p.x_stride) * there.y,
                                    load_x(x_at[i] + t2 * p.x_stride) * there.z,
                                    load_x(x_at[i] + t3 * p.x_stride) * there.w));
            v0[i] = v[0];
            v1[i] = v[1];
            v2[i] = v[2];
            v3[i] = v[3];
        }
        [[unroll]] for (uint c = 0u; c < COLUMNS; c++) {
            mat4 w = mat4(load_dy(dy_at[c] + t * p.dy_stride), load_dy(dy_at[c] + t1 * p.dy_stride),
                          load_dy(dy_at[c] + t2 * p.dy_stride), load_dy(dy_at[c] + t3 * p.dy_stride));
            [[unroll]] for (uint r = 0u; r < ROWS; r++) {
                uint i = 4u * r * COLUMNS + c;
                sum[i] = multiply_add(from_row(v0, r), w, sum[i]);
                sum[i + COLUMNS] = multiply_add(from_row(v1, r), w, sum[i + COLUMNS]);
                sum[i + 2u * COLUMNS] = multiply_add(from_row(v2, r), w, sum[i + 2u * COLUMNS]);
                sum[i + 3u * COLUMNS] = multiply_add(from_row(v3, r), w, sum[i + 3u * COLUMNS]);
            }
        }
    }
#endif
    // A row at a time, the next moves up: unrolled, this would be most of the shader.
    [[dont_unroll]] for (uint r = 0u; r < ROWS; r++) {
        uint k = k_of(r);
        [[unroll]] for (uint i = 0u; i < 4u * COLUMNS; i++) {
            uint column = column0 + i % COLUMNS * LANES;
            if (k < p.k && column < p.columns)
                result[(column / 8u * 4u * p.k + 4u * k + i / COLUMNS) * 8u + column % 8u] += sum[i];
        }
        [[unroll]] for (uint i = 4u * COLUMNS; i < 4u * ROWS * COLUMNS; i++) sum[i - 4u * COLUMNS] = sum[i];
    }
}
