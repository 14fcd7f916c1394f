#include "tools/spirv_ids.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* The operands of an instruction, a letter each: r its result, i another id, L a literal, S a string, M what
 * a memory access has behind its pointer. The last letter stands for all that follow, where a * is behind it.
 */
typedef struct layout {
    uint16_t first, last; /* opcodes */
    const char *operands;
} layout;

static const layout layouts[] = {
    {1, 1, "ir"},           /* Undef */
    {10, 10, "L*"},         /* Extension */
    {11, 11, "rL*"},        /* ExtInstImport */
    {12, 12, "iriLi*"},     /* ExtInst */
    {14, 14, "LL"},         /* MemoryModel */
    {15, 15, "LiSi*"},      /* EntryPoint */
    {16, 16, "iL*"},        /* ExecutionMode */
    {17, 17, "L"},          /* Capability */
    {19, 20, "r"},          /* TypeVoid, TypeBool */
    {21, 22, "rL*"},        /* TypeInt, TypeFloat */
    {23, 24, "riL"},        /* TypeVector, TypeMatrix */
    {25, 25, "riL*"},       /* TypeImage */
    {26, 26, "r"},          /* TypeSampler */
    {27, 27, "ri"},         /* TypeSampledImage */
    {28, 30, "ri*"},        /* TypeArray, TypeRuntimeArray, TypeStruct */
    {32, 32, "rLi"},        /* TypePointer */
    {33, 33, "ri*"},        /* TypeFunction */
    {41, 42, "ir"},         /* ConstantTrue, ConstantFalse */
    {43, 43, "irL*"},       /* Constant */
    {44, 44, "iri*"},       /* ConstantComposite */
    {46, 46, "ir"},         /* ConstantNull */
    {48, 49, "ir"},         /* SpecConstantTrue, SpecConstantFalse */
    {50, 50, "irL*"},       /* SpecConstant */
    {51, 51, "iri*"},       /* SpecConstantComposite */
    {52, 52, "irLi*"},      /* SpecConstantOp: see spec_literals */
    {54, 54, "irLi"},       /* Function */
    {55, 55, "ir"},         /* FunctionParameter */
    {56, 56, ""},           /* FunctionEnd */
    {57, 57, "iri*"},       /* FunctionCall */
    {59, 59, "irLi"},       /* Variable */
    {61, 61, "iriM"},       /* Load */
    {62, 62, "iiM"},        /* Store */
    {65, 66, "iri*"},       /* AccessChain, InBoundsAccessChain */
    {68, 68, "iriL"},       /* ArrayLength */
    {71, 72, "iL*"},        /* Decorate, MemberDecorate */
    {77, 78, "iri*"},       /* VectorExtractDynamic, VectorInsertDynamic */
    {79, 79, "iriiL*"},     /* VectorShuffle */
    {80, 80, "iri*"},       /* CompositeConstruct */
    {81, 81, "iriL*"},      /* CompositeExtract */
    {82, 82, "iriiL*"},     /* CompositeInsert */
    {83, 84, "iri"},        /* CopyObject, Transpose */
    {95, 95, "iriiLi*"},    /* ImageFetch */
    {98, 98, "iriiLi*"},    /* ImageRead */
    {99, 99, "iiiLi*"},     /* ImageWrite */
    {100, 100, "iri"},      /* Image */
    {109, 115, "iri"},      /* conversions of numbers */
    {124, 124, "iri"},      /* Bitcast */
    {126, 152, "iri*"},     /* arithmetic */
    {154, 157, "iri*"},     /* Any, All, IsNan, IsInf */
    {164, 191, "iri*"},     /* logic, Select, comparisons */
    {194, 205, "iri*"},     /* bits */
    {224, 224, "iii"},      /* ControlBarrier */
    {225, 225, "ii"},       /* MemoryBarrier */
    {227, 227, "iri*"},     /* AtomicLoad */
    {228, 228, "iiii"},     /* AtomicStore */
    {229, 242, "iri*"},     /* other atomics */
    {245, 245, "iri*"},     /* Phi */
    {246, 246, "iiL*"},     /* LoopMerge */
    {247, 247, "iL"},       /* SelectionMerge */
    {248, 248, "r"},        /* Label */
    {249, 249, "i"},        /* Branch */
    {250, 250, "iiiL*"},    /* BranchConditional */
    {251, 251, "ii"},       /* Switch: pairs of a literal and a label follow */
    {252, 253, ""},         /* Kill, Return */
    {254, 254, "i"},        /* ReturnValue */
    {255, 255, ""},         /* Unreachable */
    {333, 341, "iri*"},     /* GroupNonUniformElect to BallotBitExtract */
    {342, 342, "iriLi"},    /* GroupNonUniformBallotBitCount */
    {343, 348, "iri*"},     /* GroupNonUniformBallotFindLSB to ShuffleDown */
    {349, 364, "iriLi*"},   /* GroupNonUniformIAdd to LogicalXor */
    {365, 366, "iri*"},     /* GroupNonUniformQuadBroadcast, QuadSwap */
    {400, 401, "iri*"},     /* CopyLogical, PtrEqual */
    {4450, 4452, "iriiL"},  /* SDot, UDot, SUDot */
    {4453, 4455, "iriiiL"}, /* the same with a sum that saturates */
    {4456, 4456, "ri*"},    /* TypeCooperativeMatrixKHR */
    {4457, 4457, "iriiiM"}, /* CooperativeMatrixLoadKHR */
    {4458, 4458, "iiiiM"},  /* CooperativeMatrixStoreKHR */
    {4459, 4459, "iriiiL"}, /* CooperativeMatrixMulAddKHR */
    {4460, 4460, "iri"},    /* CooperativeMatrixLengthKHR */
    {5358, 5358, "ri*"},    /* TypeCooperativeMatrixNV */
    {5359, 5359, "iriiiM"}, /* CooperativeMatrixLoadNV */
    {5360, 5360, "iiiiM"},  /* CooperativeMatrixStoreNV */
    {5361, 5361, "iri*"},   /* CooperativeMatrixMulAddNV */
    {5362, 5362, "iri"},    /* CooperativeMatrixLengthNV */
};

enum { HEADER = 5, SPEC_CONSTANT_OP = 52, FUNCTION = 54, SWITCH = 251 };

static const char *find(uint32_t opcode) {
    for (size_t i = 0; i < sizeof layouts / sizeof layouts[0]; i++)
        if (opcode >= layouts[i].first && opcode <= layouts[i].last) return layouts[i].operands;
    return NULL;
}

/* Whether the operation that a specialization constant stands for has literals, which its layout does not. */
static bool spec_literals(uint32_t opcode) {
    const char *operands = find(opcode);
    return !operands || strpbrk(operands, "LMS");
}

/* Write what each operand of an instruction of `length` words is to kinds[1] and on: r, i or L. False where
 * that is not known. */
static bool read_kinds(const uint32_t *at, uint32_t length, char *kinds) {
    uint32_t opcode = *at & 0xffff, alignment = 2;
    const char *letter = find(opcode);
    if (!letter || (opcode == SPEC_CONSTANT_OP && (length < 4 || spec_literals(at[3])))) return false;
    if (opcode == SWITCH) {
        for (uint32_t i = 1; i < length; i++) kinds[i] = i > 2 && i % 2 ? 'L' : 'i';
        return true;
    }
    for (uint32_t i = 1; i < length; i++) {
        if (!*letter) return false;
        kinds[i] = *letter;
        if (*letter == 'M') { // bits, then the alignment where its bit is set, then ids
            kinds[i] = 'L';
            if (at[i] & alignment && i + 1 < length) kinds[++i] = 'L';
            letter = "i*";
        } else if (*letter == 'S') { // it ends with a zero, in the last byte of a word
            kinds[i] = 'L';
            if (!(at[i] >> 24)) letter++;
        } else if (letter[1] != '*')
            letter++;
    }
    return true;
}

/* The new numbers. */
typedef struct order {
    uint32_t *of; /* by the old one; 0: none yet */
    uint32_t bound, next;
} order;

static bool number(order *o, uint32_t id) {
    if (!id || id >= o->bound) return false;
    if (!o->of[id]) o->of[id] = o->next++;
    return true;
}

enum { RESULTS, ALL, WRITE };

/* One way through the module: number the results before the first function, or all ids, or write the numbers.
 * Returns as rp_spirv_order_ids. */
static uint32_t pass(order *o, uint32_t *words, size_t count, char *kinds, int what) {
    for (size_t i = HEADER; i < count; i += words[i] >> 16) {
        uint32_t opcode = words[i] & 0xffff, length = words[i] >> 16;
        if (what == RESULTS && opcode == FUNCTION) return 0;
        if (!read_kinds(words + i, length, kinds)) return opcode;
        for (uint32_t k = 1; k < length; k++) {
            if (kinds[k] == 'L' || (what == RESULTS && kinds[k] != 'r')) continue;
            if (what == WRITE)
                words[i + k] = o->of[words[i + k]];
            else if (!number(o, words[i + k]))
                return UINT32_MAX;
        }
    }
    return 0;
}

uint32_t rp_spirv_order_ids(uint32_t *words, size_t count) {
    order o = {calloc(words[3], sizeof *o.of), words[3], 1};
    char *kinds = malloc(0x10000);
    uint32_t bad = o.of && kinds ? 0 : UINT32_MAX;
    for (int what = RESULTS; !bad && what <= WRITE; what++) bad = pass(&o, words, count, kinds, what);
    if (!bad) words[3] = o.next;
    free(o.of);
    free(kinds);
    return bad;
}
