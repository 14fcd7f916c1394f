// What the kernels of the matmul family share: out = activation(x * w^T + bias) + residual; with NORM, the LayerNorm of
// that.
//
// Every kernel adds the products of one output in the same order, k ascending, each by one fma: whichever
// kernel is selected, and whatever else is in the batch, an output has the same bits. The rows of w are the columns of
// out; all widths, strides and columns count vec4s.
#extension GL_EXT_control_flow_attributes : require

layout(local_size_x_id = 0, local_size_y_id = 1) in;
layout(constant_id = 0) const uint LANES = 8u;
layout(constant_id = 1) const uint BLOCKS = 1u;
layout(constant_id = 2) const uint FORMAT = 0u;
layout(constant_id = 3) const uint ACTIVATION = 0u;
layout(constant_id = 4) const bool BIAS = false;
layout(constant_id = 5) const bool RESIDUAL = false;
layout(constant_id = 6) const uint ROWS = 4u;    // rows of out that one invocation (or subgroup) makes
layout(constant_id = 7) const uint COLUMNS = 1u; // vec4 columns of out that one invocation makes
layout(constant_id = 8) const uint HALVES = 0u;  // bit 0: x holds float16; bit 1: residual and out do
const bool HALF_X = (HALVES & 1u) != 0u, HALF_OUT = (HALVES & 2u) != 0u;

#ifdef TEXEL
layout(set = 0, binding = 1) uniform samplerBuffer x;
vec4 load_x(uint at) { return texelFetch(x, int(at)); }
#ifdef WORDS
layout(set = 0, binding = 2) uniform usamplerBuffer w;
uvec4 load_words(uint at) { return texelFetch(w, int(at)); }
#else
layout(set = 0, binding = 2) uniform samplerBuffer w; // the view's format converts
vec4 load_w(uint at) { return texelFetch(w, int(at)); }
#endif
#else
#define WORDS // as well as the other formats
layout(std430, set = 0, binding = 1) readonly buffer X { vec4 x[]; };
layout(std430, set = 0, binding = 1) readonly buffer X2 { uvec2 x2[]; }; // HALF_X
layout(std430, set = 0, binding = 2) readonly buffer W4 { vec4 w4[]; };  // FORMAT_F32
layout(std430, set = 0, binding = 2) readonly buffer W2 { uvec2 w2[]; }; // 16-bit formats
layout(std430, set = 0, binding = 2) readonly buffer W { uvec4 words[]; }; // integer formats
vec4 load_x(uint at) { return HALF_X ? unpack4(x2[at], FORMAT_F16) : x[at]; }
vec4 load_w(uint at) { return FORMAT == FORMAT_F32 ? w4[at] : unpack4(w2[at], FORMAT); }
uvec4 load_words(uint at) { return words[at]; }
#endif
layout(std430, set = 0, binding = 3) readonly buffer Bias { vec4 bias[]; };
ALIASED layout(std430, set = 0, binding = 4) readonly buffer Residual { vec4 residual[]; }; // may be Out
ALIASED layout(std430, set = 0, binding = 4) readonly buffer Residual2 { uvec2 residual2[]; }; // HALF_OUT
#ifdef NORM
// Buffers that one workgroup writes and another one reads.
#ifdef COOPERATIVE
#define SHARED_BUFFER queuefamilycoherent buffer
#else
#define SHARED_BUFFER coherent buffer
#endif
layout(std430, set = 0, binding = 6) readonly buffer Norm { vec4 norm[]; };           // gamma [stride], beta [stride]
layout(std430, set = 0, binding = 7) SHARED_BUFFER Arrived { uint arrived[]; }; // one for each tile of rows
#else
#define SHARED_BUFFER writeonly buffer
#endif
ALIASED layout(std430, set = 0, binding = 5) SHARED_BUFFER Out { vec4 result[]; };
ALIASED layout(std430, set = 0, binding = 5) SHARED_BUFFER Out2 { uvec2 result2[]; }; // HALF_OUT

layout(push_constant) uniform Push {
    uint count;        // which of counts[] says how many rows x has
    uint k;            // width of x and of w
    uint columns;      // rows of w in this chunk
    uint first_column; // of out, that this chunk makes
    uint stride;       // of out and residual
    uint x_stride;     // of x, whose rows may have room behind them
#ifdef NORM
    uint groups; // workgroups that make one tile of rows, of every chunk
    uint width;  // floats of a row, without the padding
    float eps;
#endif
} p;

// Where column `column` of this chunk begins in w, in vec4s; of the integer formats its panel, in uvec4s.
uint panel_of(uint column)
{
    const uint width = PANEL / 4u;
    if (FORMAT == FORMAT_INT8) return column / width * (p.k + 1u) * 8u;
    if (FORMAT == FORMAT_INT4) return column / width * (p.k / 8u) * 36u;
    return column / width * p.k * PANEL + column % width;
}

#ifdef WORDS
vec4 int_field(uvec4 q, uint first, int bits) { return vec4(bitfieldExtract(ivec4(q), int(first), bits)); }

// INT8 weights as floats. Their scale is left out: it multiplies the sum.
mat4 load_int8(uint panel, uint column, uint k)
{
    uvec4 q = load_words(panel + 8u + k * 8u + column % 8u);
    return mat4(int_field(q, 0u, 8), int_field(q, 8u, 8), int_field(q, 16u, 8), int_field(q, 24u, 8));
}

mat4 load_int4(uint panel, uint column, uint k)
{
    uint group = panel + k / 8u * 36u, lane = column % 8u, shift = k % 2u * 16u;
    uvec4 scales = load_words(group + lane / 2u);
    vec4 s = unpack4(lane % 2u == 0u ? scales.xy : scales.zw, FORMAT_BF16);
    uvec4 q = load_words(group + 4u + k / 2u % 4u * 8u + lane);
    return mat4(s * int_field(q, shift, 4), s * int_field(q, shift + 4u, 4), s * int_field(q, shift + 8u, 4),
                s * int_field(q, shift + 12u, 4));
}
#endif

// Four neighbouring rows of w at 4k to 4k + 3: a vec4 for each of these.
mat4 load_weights(uint from, uint column, uint k)
{
#ifdef WORDS
    if (FORMAT == FORMAT_INT8) return load_int8(from, column, k);
    if (FORMAT == FORMAT_INT4) return load_int4(from, column, k);
#endif
#if !defined(TEXEL) || !defined(WORDS)
    uint at = from + k * PANEL;
    return mat4(load_w(at), load_w(at + 8u), load_w(at + 16u), load_w(at + 24u));
#endif
}

// The scales by which the sums of column `column` are multiplied.
vec4 scale_of(uint column)
{
#ifdef WORDS
    if (FORMAT == FORMAT_INT8) return uintBitsToFloat(load_words(panel_of(column) + column % 8u));
#endif
    return vec4(1.0);
}

vec4 multiply_add(vec4 v, mat4 w, vec4 sum)
{
    return fma(v.wwww, w[3], fma(v.zzzz, w[2], fma(v.yyyy, w[1], fma(v.xxxx, w[0], sum))));
}

void store_result(uint at, vec4 v)
{
    if (HALF_OUT)
        result2[at] = pack_half4(v);
    else
        result[at] = v;
}

void write_result(uint row, uint column, vec4 sum)
{
    uint column_of_out = p.first_column + column, at = row * p.stride + column_of_out;
    if (FORMAT == FORMAT_INT8) sum *= scale_of(column);
    if (BIAS) sum += bias[column_of_out];
    sum = activate(sum, ACTIVATION);
    if (RESIDUAL) sum += HALF_OUT ? unpack4(residual2[at], FORMAT_F16) : residual[at];
    store_result(at, sum);
}

#ifdef NORM
// LANES invocations side by side share a row, BLOCKS rows are worked on at once.
vec4 load_result(uint at) { return HALF_OUT ? unpack4(result2[at], FORMAT_F16) : result[at]; }

#ifdef COOPERATIVE
#define MAKE_VISIBLE memoryBarrier(gl_ScopeQueueFamily, gl_StorageSemanticsBuffer, \
    gl_SemanticsAcquireRelease | gl_SemanticsMakeAvailable | gl_SemanticsMakeVisible)
uint count_arrival(uint tile)
{
    return atomicAdd(arrived[tile], 1u, gl_ScopeQueueFamily, gl_StorageSemanticsBuffer, gl_SemanticsAcquireRelease);
}
#else
#define MAKE_VISIBLE memoryBarrierBuffer()
uint count_arrival(uint tile) { return atomicAdd(arrived[tile], 1u); }
#endif

#if defined(SUBGROUP) && !defined(COOPERATIVE) // the workgroup is one
void wait_for_all()
{
    subgroupMemoryBarrierBuffer();
    subgroupBarrier();
}
uint from_first(uint value)
{
    subgroupBarrier();
    return subgroupShuffle(value, 0u);
}
#else
shared uint shared_value;
void wait_for_all() { barrier(); }
uint from_first(uint value)
{
    if (gl_LocalInvocationIndex == 0u) shared_value = value;
    barrier();
    return shared_value;
}
#endif

#ifdef SUBGROUP
#ifdef COOPERATIVE
uint lane_of_row() { return gl_SubgroupInvocationID; }
uint row_of_lane() { return gl_SubgroupID; }
#else
uint lane_of_row() { return gl_LocalInvocationID.x; }
uint row_of_lane() { return 0u; }
#endif
float sum_over_lanes(float value)
{
    [[unroll]] for (uint i = 1u; i < LANES; i *= 2u) value += subgroupShuffleXor(value, i);
    return value;
}
#else
shared float partial[LANES * BLOCKS];
uint lane_of_row() { return gl_LocalInvocationID.x; }
uint row_of_lane() { return gl_LocalInvocationID.y; }
float sum_over_lanes(float value)
{
    partial[gl_LocalInvocationIndex] = value;
    barrier();
    float sum = 0.0;
    for (uint i = 0u; i < LANES; i++) sum += partial[gl_LocalInvocationID.y * LANES + i];
    barrier();
    return sum;
}
#endif

void normalize_row(uint base, bool there)
{
    vec4 sums = vec4(0.0), squares = vec4(0.0);
    for (uint i = lane_of_row(); i < p.stride; i += LANES) sums += load_result(base + i);
    float mean = sum_over_lanes((sums.x + sums.y) + (sums.z + sums.w)) / float(p.width);
    for (uint i = lane_of_row(); i < p.stride; i += LANES) {
        vec4 d = load_result(base + i) - mean;
        d = mix(d, vec4(0.0), greaterThanEqual(4u * i + uvec4(0u, 1u, 2u, 3u), uvec4(p.width)));
        squares += d * d;
    }
    float variance = sum_over_lanes((squares.x + squares.y) + (squares.z + squares.w)) / float(p.width);
    float scale = inversesqrt(variance + p.eps);
    for (uint i = lane_of_row(); there && i < p.stride; i += LANES)
        store_result(base + i, (load_result(base + i) - mean) * scale * norm[i] + norm[p.stride + i]);
}

// The workgroup that is the last to finish its part of these rows normalizes them; no workgroup waits for another. Every
// invocation of the workgroup calls this.
void normalize_rows(uint first, uint end)
{
    MAKE_VISIBLE;
    wait_for_all(); // all invocations of this workgroup have written their part
    uint before = 0u;
    if (gl_LocalInvocationIndex == 0u) {
        MAKE_VISIBLE; // release what the other invocations wrote, which do not count themselves
        before = count_arrival(gl_WorkGroupID.x);
        MAKE_VISIBLE; // acquire what other workgroups wrote
    }
    before = from_first(before);
    if (before + 1u < p.groups) return;
    MAKE_VISIBLE;
    if (gl_LocalInvocationIndex == 0u) arrived[gl_WorkGroupID.x] = 0u; // for the next replay
    for (uint row = first; row < end; row += BLOCKS) {
        uint mine = row + row_of_lane();
        normalize_row(min(mine, end - 1u) * p.stride, mine < end);
    }
}
#endif
