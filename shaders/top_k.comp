// The blocks of 64 scores of a row that hold its largest ones (runtime/ops/top_k.c). PEAKS: a lane is a block. SELECT: a
// workgroup is a row. Loops are short, since llvmpipe ends every loop of an invocation that has made 65,535 turns in all.
#extension GL_EXT_control_flow_attributes : require

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint LANES = 64u;
layout(constant_id = 1) const uint VARIANT = 0u; // rp_top_k_variant

layout(std430, set = 0, binding = 1) readonly buffer X { vec4 x[]; };
ALIASED layout(std430, set = 0, binding = 2) buffer Peaks { float peaks[]; };
ALIASED layout(std430, set = 0, binding = 2) readonly buffer Peaks4 { vec4 peaks4[]; };
layout(std430, set = 0, binding = 3) readonly buffer Wanted { uint wanted[]; };
ALIASED layout(std430, set = 0, binding = 4) writeonly buffer Out { vec4 out4[]; };
ALIASED layout(std430, set = 0, binding = 5) writeonly buffer Numbers { uint numbers[]; };

layout(push_constant) uniform Push {
    uint count;
    uint width;       // scores of a row
    uint stride;      // of x, vec4s
    uint blocks;      // of a row
    uint peak_stride; // floats
    uint room;        // blocks of a row of out
} p;

const uint VECTORS = 16u; // of a block
const uint KEY_BITS = 32u, NUMBER_BITS = 16u;

void find_peak(uint row, uint block)
{
    if (block >= p.peak_stride) return;
    float largest = 0.0;
    if (block < p.blocks) {
        largest = uintBitsToFloat(0xff7fffffu);
        for (uint i = block * VECTORS; i < min((block + 1u) * VECTORS, p.stride); i++) {
            vec4 v = x[row * p.stride + i];
            for (uint c = 0u; c < 4u; c++)
                if (4u * i + c < p.width) largest = max(largest, v[c]);
        }
    }
    peaks[row * p.peak_stride + block] = largest;
}

// A number that is in the order of the floats; both zeros have one.
uint key_of(float value)
{
    uint bits = floatBitsToUint(value);
    if (bits == 0x80000000u) bits = 0u;
    return (bits & 0x80000000u) != 0u ? ~bits : bits | 0x80000000u;
}

shared uint totals[KEY_BITS + NUMBER_BITS];
shared uint chosen[LANES];

// How many blocks have a larger key, or this one and a number below `end`.
uint count_above(uint row, uint key, uint end, uint slot)
{
    uint count = 0u, stride = p.peak_stride / 4u;
    for (uint i = gl_LocalInvocationID.x; 4u * i < p.blocks; i += LANES) {
        vec4 four = peaks4[row * stride + i];
        [[unroll]] for (uint c = 0u; c < 4u; c++) {
            uint own = key_of(four[c]), number = 4u * i + c;
            if (number < p.blocks && (own > key || (own == key && number < end))) count++;
        }
    }
    if (count != 0u) atomicAdd(totals[slot], count);
    barrier();
    return totals[slot];
}

bool is_chosen(uint row, uint i, uint key, uint last)
{
    uint own = key_of(peaks[row * p.peak_stride + i]);
    return own > key || (own == key && i <= last);
}

void select(uint row)
{
    uint lane = gl_LocalInvocationID.x, most = min(min(wanted[0], p.blocks), p.room);
    for (uint i = lane; i < KEY_BITS + NUMBER_BITS; i += LANES) totals[i] = 0u;
    barrier();
    uint key = 0u, last = 0u; // the largest key that so many blocks have or exceed; the last block with it that is one of them
    for (uint i = 0u; i < KEY_BITS; i++) {
        uint larger = key | 0x80000000u >> i;
        if (count_above(row, larger, p.blocks, i) >= most) key = larger;
    }
    for (uint i = 0u; i < NUMBER_BITS; i++) {
        uint larger = last | 0x8000u >> i;
        if (count_above(row, key, larger, KEY_BITS + i) < most) last = larger;
    }
    uint each = (p.blocks + LANES - 1u) / LANES, first = lane * each, end = min(first + each, p.blocks), slot = 0u;
    chosen[lane] = 0u;
    for (uint i = first; i < end; i++)
        if (is_chosen(row, i, key, last)) chosen[lane]++;
    barrier();
    for (uint i = 0u; i < lane; i++) slot += chosen[i];
    for (uint i = first; i < end; i++) {
        if (!is_chosen(row, i, key, last)) continue;
        uint to = row * p.room + slot++;
        numbers[to] = i;
        [[unroll]] for (uint v = 0u; v < VECTORS; v++) {
            uint at = i * VECTORS + v;
            out4[to * VECTORS + v] = at < p.stride ? x[row * p.stride + at] : vec4(0.0);
        }
    }
}

void main()
{
    uint row = gl_WorkGroupID.x;
    if (row >= counts[p.count]) return;
    if (VARIANT == 0u)
        find_peak(row, gl_WorkGroupID.y * LANES + gl_LocalInvocationID.x);
    else
        select(row);
}
