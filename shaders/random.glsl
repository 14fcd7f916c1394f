// Random numbers that are counted, not drawn: of (seed, step, layer, place) and what they are for. The same in plain C
// (runtime/ops/training.c). The mixing is pcg4d of Jarzynski and Olano, "Hash Functions for GPU Rendering", 2020.
layout(std430, set = 0, binding = STATE) readonly buffer State { uint state[]; }; // rp_train_state of runtime/ops/training.h

uvec4 mixed(uvec4 v)
{
    v = v * 1664525u + 1013904223u;
    v.x += v.y * v.w;
    v.y += v.z * v.x;
    v.z += v.x * v.y;
    v.w += v.y * v.z;
    v ^= v >> 16u;
    v.x += v.y * v.w;
    v.y += v.z * v.x;
    v.z += v.x * v.y;
    v.w += v.y * v.z;
    return v;
}

// Of four neighbouring elements: `scale` times 1 where an element stays, and 0 where it is dropped.
vec4 kept(uvec4 element, uint place, uint threshold, float scale)
{
    uvec4 stream = mixed(uvec4(state[0], state[1], state[2], state[4] * 256u + place));
    element.x += state[3]; // rows of the step before this batch
    return scale * vec4(greaterThanEqual(mixed(stream ^ element), uvec4(threshold)));
}
