// Random numbers without a state that advances: each is a function of the seed, the step, the layer, the place in it and
// the element. runtime/ops/training.c computes the same in plain C. The mixing is pcg4d of Jarzynski and Olano, "Hash Functions for GPU Rendering", 2020.
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

// The factors of four neighbouring elements: `scale` where dropout keeps an element, and 0 where it drops it.
vec4 kept(uvec4 element, uint place, uint threshold, float scale)
{
    uvec4 stream = mixed(uvec4(state[0], state[1], state[2], state[4] * 256u + place));
    element.x += state[3]; // rows that earlier micro-batches of the step had
    return scale * vec4(greaterThanEqual(mixed(stream ^ element), uvec4(threshold)));
}
