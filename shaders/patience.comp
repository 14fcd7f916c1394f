// Which texts leave behind this layer (PABEE): when the internal classifiers of so many layers in a row have agreed with the
// one before. One workgroup decides for the whole batch; where nobody stays, what else is recorded has no workgroups.
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint LANES = 64u;

layout(std430, set = 0, binding = 1) readonly buffer X { float x[]; };          // [texts, stride]: logits of every layer
layout(std430, set = 0, binding = 2) readonly buffer List { uvec4 list[]; };    // rp_exit_entry of runtime/ops/patience.h
layout(std430, set = 0, binding = 3) buffer State { uint state[]; };            // [places, RP_EXIT_WORDS + labels]
layout(std430, set = 0, binding = 4) writeonly buffer Grids { uint grids[]; };

layout(push_constant) uniform Push {
    uint count;
    uint stride; // of x
    uint labels;
    uint layers;
    uint grid_words;
} p;

shared uint staying;

uint best_of(uint first)
{
    uint best = 0u;
    for (uint i = 1u; i < p.labels; i++)
        if (x[first + i] > x[first + best]) best = i;
    return best;
}

// 1: the text goes on.
uint decide(uint text)
{
    uvec4 entry = list[text]; // place, layers before this tick, patience, number of the tick
    uint at = entry.x * (5u + p.labels);
    if (entry.z == 0u) return 1u;
    bool begins = state[at] != entry.w;
    if (!begins && state[at + 4u] != 0u) return 0u; // it has left
    uint layers = begins ? entry.y + 1u : state[at + 1u] + 1u;
    uint first = text * p.stride + (layers - 1u) * p.labels, best = best_of(first);
    uint agreed = layers > 1u && best == state[at + 2u] ? state[at + 3u] + 1u : 0u;
    bool leaves = agreed >= entry.z || layers >= p.layers;
    state[at] = entry.w;
    state[at + 1u] = layers;
    state[at + 2u] = best;
    state[at + 3u] = agreed;
    state[at + 4u] = leaves ? layers : 0u;
    for (uint i = 0u; leaves && i < p.labels; i++) state[at + 5u + i] = floatBitsToUint(x[first + i]);
    return leaves ? 0u : 1u;
}

void main()
{
    uint lane = gl_LocalInvocationID.x, stay = 0u;
    if (lane == 0u) staying = 0u;
    barrier();
    for (uint text = lane; text < counts[p.count]; text += LANES) stay += decide(text);
    atomicAdd(staying, stay);
    barrier();
    for (uint i = lane; staying == 0u && i < p.grid_words; i += LANES) grids[i] = 0u;
}
