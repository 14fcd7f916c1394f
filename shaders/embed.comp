// out[token] = word[id] + position[pos] + type[t], before its LayerNorm. One workgroup a token.
//
// The tables lie in panels like every matrix, so that the word table can also be the decoder of the language model. A
// table larger than one descriptor is bound in chunks, one dispatch each; a token is written by the dispatch whose chunk
// holds its id.
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint LANES = 64u;
layout(constant_id = 1) const uint WORD_FORMAT = 0u;
layout(constant_id = 2) const uint POSITION_FORMAT = 0u;
layout(constant_id = 3) const uint TYPE_FORMAT = 0u;

layout(std430, set = 0, binding = 1) readonly buffer Tokens { uvec4 tokens[]; }; // id, type, position
layout(std430, set = 0, binding = 2) readonly buffer Word { uint word[]; };
layout(std430, set = 0, binding = 3) readonly buffer Position { uint position[]; };
layout(std430, set = 0, binding = 4) readonly buffer Type { uint type[]; };
layout(std430, set = 0, binding = 5) writeonly buffer Out { float result[]; };

layout(push_constant) uniform Push {
    uint stride;    // padded width of the tables and of out, floats
    uint first_id;  // of this chunk of the word table
    uint ids;       // in it
} p;

// Where element (row, column) of a table lies, in elements.
uint at(uint row, uint column) { return (row / PANEL * p.stride + column) * PANEL + row % PANEL; }

float decode(uint bits, uint half_index, uint format)
{
    if (format == FORMAT_F32) return uintBitsToFloat(bits);
    if (format == FORMAT_F16) return unpackHalf2x16(bits)[half_index];
    return uintBitsToFloat(half_index == 0u ? bits << 16 : bits & 0xffff0000u);
}

uint word_of(uint element, uint format) { return format == FORMAT_F32 ? element : element >> 1; }

void main()
{
    uint token = gl_WorkGroupID.x;
    if (token >= counts[0]) return;
    uvec4 t = tokens[token];
    if (t.x < p.first_id || t.x - p.first_id >= p.ids) return;
    for (uint i = gl_LocalInvocationID.x; i < p.stride; i += LANES) {
        uint a = at(t.x - p.first_id, i), b = at(t.z, i), c = at(t.y, i);
        result[token * p.stride + i] = decode(word[word_of(a, WORD_FORMAT)], a & 1u, WORD_FORMAT) +
                                       decode(position[word_of(b, POSITION_FORMAT)], b & 1u, POSITION_FORMAT) +
                                       decode(type[word_of(c, TYPE_FORMAT)], c & 1u, TYPE_FORMAT);
    }
}
