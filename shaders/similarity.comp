// Cosines of pairs of rows, and back. Pair i is rows 2i and 2i + 1 of x. A score is one lane's; a row of the gradient a
// workgroup's.
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint LANES = 64u;
layout(constant_id = 1) const uint VARIANT = 0u; // rp_similarity_variant of runtime/ops/training.h
const bool OWN = VARIANT == 1u || VARIANT == 3u;

layout(std430, set = 0, binding = 1) readonly buffer X { vec4 x[]; };
layout(std430, set = 0, binding = 2) buffer Inverse { float inverse[]; }; // of the length of each row; 0: it has none
layout(std430, set = 0, binding = 3) readonly buffer Dy { float dy[]; };
ALIASED layout(std430, set = 0, binding = 4) buffer Out { vec4 out4[]; };
ALIASED layout(std430, set = 0, binding = 4) buffer Scores { float scores[]; };

layout(push_constant) uniform Push {
    uint count;
    uint stride; // of x, vec4s
    uint across; // of the scores, floats
    float scale;
} p;

shared float partial[LANES];
float sum_over_lanes(float value)
{
    partial[gl_LocalInvocationID.x] = value;
    barrier();
    float sum = 0.0;
    for (uint i = 0u; i < LANES; i++) sum += partial[i];
    barrier();
    return sum;
}

float inverse_of(float squares) { return squares > 1e-24 ? 1.0 / sqrt(squares) : 0.0; }

// Row k, column i: the second text of pair k and the first of pair i.
void score(uint pairs)
{
    uint k = gl_WorkGroupID.x, i = gl_WorkGroupID.y * LANES + gl_LocalInvocationID.x;
    if (k >= pairs || i >= p.across) return;
    float value = 0.0;
    if (i < (OWN ? 1u : pairs)) {
        uint first = 2u * (OWN ? k : i), second = 2u * k + 1u;
        vec4 ab = vec4(0.0), aa = vec4(0.0), bb = vec4(0.0);
        for (uint c = 0u; c < p.stride; c++) {
            vec4 a = x[first * p.stride + c], b = x[second * p.stride + c];
            ab += a * b;
            aa += a * a;
            bb += b * b;
        }
        float ia = inverse_of(aa.x + aa.y + aa.z + aa.w), ib = inverse_of(bb.x + bb.y + bb.z + bb.w);
        if (OWN || k == 0u) inverse[first] = ia;
        if (i == 0u) inverse[second] = ib;
        value = p.scale * (ab.x + ab.y + ab.z + ab.w) * ia * ib;
    }
    scores[k * p.across + i] = value;
}

// u is the sum of the other unit vectors, each times the gradient by its score; what lies along the row itself does not
// change its direction.
void gradient(uint pairs)
{
    uint pair = gl_WorkGroupID.x, side = gl_WorkGroupID.y, lane = gl_LocalInvocationID.x;
    if (pair >= pairs) return;
    uint row = 2u * pair + side, first = OWN ? pair : 0u, end = OWN ? pair + 1u : pairs;
    float own = inverse[row], along = 0.0;
    for (uint c = lane; c < p.stride; c += LANES) {
        vec4 u = vec4(0.0);
        for (uint k = first; k < end; k++) {
            uint other = 2u * k + 1u - side;
            uint at = OWN ? k * p.across : side == 0u ? k * p.across + pair : pair * p.across + k;
            u += dy[at] * inverse[other] * x[other * p.stride + c];
        }
        u *= p.scale;
        along += dot(u, x[row * p.stride + c]);
        out4[row * p.stride + c] = u;
    }
    along = sum_over_lanes(along) * own * own;
    for (uint c = lane; c < p.stride; c += LANES) {
        uint at = row * p.stride + c;
        out4[at] = own * (out4[at] - along * x[at]);
    }
}

void main()
{
    if (VARIANT < 2u)
        score(counts[p.count]);
    else
        gradient(counts[p.count]);
}
