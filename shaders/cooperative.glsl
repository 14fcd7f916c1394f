// Cooperative matrices, in the words of GL_KHR_cooperative_matrix, or of GL_NV_cooperative_matrix where the compiler is
// too old for that (COOPERATIVE_NV): sums of M x N, float32, are added to products of A, M x K, and B, K x N, float16.
// M, N and K are the shader's. In shared memory four elements side by side are a cell; places and strides count cells.
#extension GL_KHR_memory_scope_semantics : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#ifdef COOPERATIVE_NV
#extension GL_NV_cooperative_matrix : require
#define MATRIX_A fcoopmatNV<16, gl_ScopeSubgroup, M, K>
#define MATRIX_B fcoopmatNV<16, gl_ScopeSubgroup, K, N>
#define MATRIX_SUM fcoopmatNV<32, gl_ScopeSubgroup, M, N>
#define LOAD_ROWS(matrix, cells, at, stride) coopMatLoadNV(matrix, cells, at, stride, false)
#define LOAD_COLUMNS(matrix, cells, at, stride) coopMatLoadNV(matrix, cells, at, stride, true)
#define STORE_ROWS(matrix, cells, at, stride) coopMatStoreNV(matrix, cells, at, stride, false)
#define MULTIPLY_ADD(a, b, sum) coopMatMulAddNV(a, b, sum)
// There is no product of two sums, element by element.
#define MULTIPLY_EACH(sum, by) [[unroll]] for (uint each = 0u; each < sum.length(); each++) sum[each] *= by[each]

// Loads and stores know vectors of uint alone.
#define CELL uvec2
#define SUM_CELL uvec4
uvec2 half_cell(vec4 v) { return uvec2(packHalf2x16(v.xy), packHalf2x16(v.zw)); }
uvec2 cell_of_halves(uvec2 bits) { return bits; }
uvec4 sum_cell(vec4 v) { return floatBitsToUint(v); }
vec4 floats_of(uvec4 cell) { return uintBitsToFloat(cell); }
#else
#extension GL_KHR_cooperative_matrix : require
#define MATRIX_A coopmat<float16_t, gl_ScopeSubgroup, M, K, gl_MatrixUseA>
#define MATRIX_B coopmat<float16_t, gl_ScopeSubgroup, K, N, gl_MatrixUseB>
#define MATRIX_SUM coopmat<float, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator>
#define LOAD_ROWS(matrix, cells, at, stride) \
    coopMatLoad(matrix, cells, at, stride, gl_CooperativeMatrixLayoutRowMajor)
#define LOAD_COLUMNS(matrix, cells, at, stride) \
    coopMatLoad(matrix, cells, at, stride, gl_CooperativeMatrixLayoutColumnMajor)
#define STORE_ROWS(matrix, cells, at, stride) \
    coopMatStore(matrix, cells, at, stride, gl_CooperativeMatrixLayoutRowMajor)
#define MULTIPLY_ADD(a, b, sum) coopMatMulAdd(a, b, sum)
#define MULTIPLY_EACH(sum, by) sum = sum * by

#define CELL f16vec4
#define SUM_CELL vec4
#define half_cell(v) f16vec4(v)
f16vec4 cell_of_halves(uvec2 bits) { return f16vec4(unpackFloat2x16(bits.x), unpackFloat2x16(bits.y)); }
#define sum_cell(v) (v)
#define floats_of(cell) (cell)
#endif
