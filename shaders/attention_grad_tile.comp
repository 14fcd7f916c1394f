// Rows of one head pass through shared memory, own and others. For the scores an invocation takes some own rows and
// some others, as far apart as possible; for the results every LANES-th vec4.
const uint STRIDE = HEAD + 1u, SCORES = OTHER + 1u; // rows do not begin in the same bank
const uint ACROSS = 8u, DOWN = LANES / ACROSS;      // invocations side by side, and below each other
const uint HELD_OWN = OWN / DOWN, HELD_OTHER = OTHER / ACROSS;
const uint SLOTS = (OWN * HEAD + LANES - 1u) / LANES; // vec4s of a result that one invocation owns
const uint SECOND = VARIANT == DQ || VARIANT == DKV ? 1u : 0u;

shared vec4 own1[OWN * STRIDE], other1[OTHER * STRIDE]; // Q and K, or K and Q
shared vec4 own2[1u + SECOND * OWN * STRIDE], other2[1u + SECOND * OTHER * STRIDE]; // dO and V, or V and dO
shared float s[OWN * SCORES];                       // what multiplies V, K, or Q
shared float s2[1u + SECOND * OWN * SCORES];        // what dP is made of; then, of DKV, what multiplies dO
shared vec2 stat_of[OWN + OTHER];
shared float top[OWN], total[OWN];

// Where a row has Q, K or V; and dO.
uint q_at(uint row, uint head) { return row * p.stride + head * HEAD; }
uint dy_at(uint row, uint head) { return row * p.k_offset + head * HEAD; }

void fill_own(uint first, uint row0, uint rows, uint head)
{
    for (uint i = gl_LocalInvocationID.x; i < OWN * HEAD; i += LANES) {
        uint row = first + row0 + min(i / HEAD, rows - 1u), to = i / HEAD * STRIDE + i % HEAD;
        uint at = q_at(row, head) + i % HEAD;
        own1[to] = load(at + (VARIANT == DKV ? p.k_offset : 0u));
        if (VARIANT == DQ) own2[to] = load_dy(dy_at(row, head) + i % HEAD);
        if (VARIANT == DKV) own2[to] = load(at + 2u * p.k_offset);
    }
}

void fill_other(uint first, uint row0, uint rows, uint head)
{
    for (uint i = gl_LocalInvocationID.x; i < OTHER * HEAD; i += LANES) {
        uint row = first + row0 + min(i / HEAD, rows - 1u), to = i / HEAD * STRIDE + i % HEAD;
        uint at = q_at(row, head) + i % HEAD;
        other1[to] = load(at + (VARIANT == DKV ? 0u : p.k_offset));
        if (VARIANT == DQ) other2[to] = load(at + 2u * p.k_offset);
        if (VARIANT == DKV) other2[to] = load_dy(dy_at(row, head) + i % HEAD);
    }
    if (VARIANT != DKV) return;
    for (uint i = gl_LocalInvocationID.x; i < OTHER; i += LANES)
        stat_of[OWN + i] = stats[(first + row0 + min(i, rows - 1u)) * p.heads + head];
}

// Products of own rows with others, into s and s2.
void multiply()
{
    uint own = gl_LocalInvocationID.x / ACROSS, other = gl_LocalInvocationID.x % ACROSS;
    [[unroll]] for (uint second = 0u; second <= SECOND; second++) {
        vec4 sum[HELD_OWN * HELD_OTHER];
        [[unroll]] for (uint i = 0u; i < HELD_OWN * HELD_OTHER; i++) sum[i] = vec4(0.0);
        [[dont_unroll]] for (uint d = 0u; d < HEAD; d++) {
            vec4 a[HELD_OWN], b[HELD_OTHER];
            [[unroll]] for (uint i = 0u; i < HELD_OWN; i++) {
                uint at = (own + i * DOWN) * STRIDE + d;
                a[i] = second == 0u ? own1[at] : own2[at];
            }
            [[unroll]] for (uint i = 0u; i < HELD_OTHER; i++) {
                uint at = (other + i * ACROSS) * STRIDE + d;
                b[i] = second == 0u ? other1[at] : other2[at];
            }
            [[unroll]] for (uint i = 0u; i < HELD_OWN * HELD_OTHER; i++)
                sum[i] = fma(a[i / HELD_OTHER], b[i % HELD_OTHER], sum[i]);
        }
        [[unroll]] for (uint i = 0u; i < HELD_OWN * HELD_OTHER; i++) {
            uint at = (own + i / HELD_OTHER * DOWN) * SCORES + other + i % HELD_OTHER * ACROSS;
            float value = (sum[i].x + sum[i].y) + (sum[i].z + sum[i].w);
            if (second == 0u)
                s[at] = value * p.scale;
            else
                s2[at] = value;
        }
    }
}

// Probabilities in place of the scores, of the same pairs.
void weigh(uint first, uint own0, uint owned, uint other0, uint others, uint head)
{
    for (uint i = gl_LocalInvocationID.x; i < OWN * OTHER; i += LANES) {
        uint own = i / OTHER, other = i % OTHER, at = own * SCORES + other;
        uint query = VARIANT == DKV ? other0 + other : own0 + own, key = VARIANT == DKV ? own0 + own : other0 + other;
        vec2 stat = stat_of[VARIANT == DKV ? OWN + other : own];
        float e = own < owned && other < others ? exp(s[at] - stat.x) : 0.0;
        float keep = kept_of(first, query, key, head)[query % 4u];
        s[at] = VARIANT == OUT ? e * keep : p.scale * e * (keep * s2[at] - stat.y);
        if (VARIANT == DKV) s2[at] = e * keep;
    }
}

// The largest score of each query so far, and the sum of exponentials.
void add_scores(uint others)
{
    for (uint row = gl_LocalInvocationID.x; row < OWN; row += LANES) {
        float largest = top[row], sum = 0.0;
        for (uint i = 0u; i < others; i++) largest = max(largest, s[row * SCORES + i]);
        for (uint i = 0u; i < others; i++) sum += exp(s[row * SCORES + i] - largest);
        total[row] = total[row] * exp(top[row] - largest) + sum;
        top[row] = largest;
    }
}

void main()
{
    if (gl_WorkGroupID.x >= counts[3]) return;
    uvec2 tile = tiles[gl_WorkGroupID.x];
    uint lane = gl_LocalInvocationID.x, head = gl_WorkGroupID.y;
    uint first = starts[tile.x], length = starts[tile.x + 1u] - first;
    uint owned = min(OWN, length - tile.y);
    vec4 sum[SLOTS], sum2[SLOTS];
    [[unroll]] for (uint n = 0u; n < SLOTS; n++) sum[n] = sum2[n] = vec4(0.0);
    fill_own(first, tile.y, owned, head);
    for (uint row = lane; row < OWN; row += LANES) {
        top[row] = -1e30;
        total[row] = 0.0;
        if (VARIANT == OUT || VARIANT == DQ)
            stat_of[row] = stats[(first + tile.y + min(row, owned - 1u)) * p.heads + head];
    }
    for (uint other0 = 0u; other0 < length; other0 += OTHER) {
        uint others = min(OTHER, length - other0);
        fill_other(first, other0, others, head);
        barrier();
        multiply();
        barrier();
        if (VARIANT == STATS) {
            add_scores(others);
            barrier();
            continue;
        }
        weigh(first, tile.y, owned, other0, others, head);
        if (VARIANT == OUT)
            for (uint i = lane; i < OTHER * HEAD; i += LANES) // V in the place of K
                other1[i / HEAD * STRIDE + i % HEAD] =
                    load(q_at(first + other0 + min(i / HEAD, others - 1u), head) + 2u * p.k_offset + i % HEAD);
        barrier();
        [[dont_unroll]] for (uint o = 0u; o < others; o++)
            [[unroll]] for (uint n = 0u; n < SLOTS; n++) {
                uint i = n * LANES + lane, own = min(i / HEAD, OWN - 1u);
                uint c = LANES % HEAD == 0u ? lane % HEAD : i % HEAD;
                sum[n] = fma(vec4(s[own * SCORES + o]), other1[o * STRIDE + c], sum[n]);
                if (VARIANT == DKV) sum2[n] = fma(vec4(s2[own * SCORES + o]), other2[o * STRIDE + c], sum2[n]);
            }
        barrier();
    }
    if (VARIANT == STATS) {
        for (uint row = lane; row < owned; row += LANES) {
            uint at = first + tile.y + row;
            stats[at * p.heads + head] = vec2(top[row] + log(total[row]), delta_of(at, head));
        }
        return;
    }
    [[unroll]] for (uint n = 0u; n < SLOTS; n++) {
        uint i = n * LANES + lane, row = first + tile.y + i / HEAD;
        if (i >= owned * HEAD) continue;
        uint at = row * (VARIANT == OUT ? p.k_offset : p.stride) + head * HEAD + i % HEAD;
        if (VARIANT == DKV) {
            result[at + p.k_offset] = sum[n];
            result[at + 2u * p.k_offset] = sum2[n];
        } else
            result[at] = sum[n];
    }
    clear_padding(first + tile.y, owned, head);
}
