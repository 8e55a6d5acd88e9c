package main

// file is one generated file: assembly, or the Go declarations that go with it.
type file struct {
	name string // the suffix _amd64 or _arm64 chooses the architecture
	gen  func(*asm)
}

// files lists what is generated: matrix products and the packers of their operands, the elementwise
// kernels, and products with the weights of files.
var files = []file{
	{"gemm_avx512_amd64.s", gemmAVX512},
	{"pack_avx512_amd64.s", packAVX512},
	{"gemm_amx_amd64.s", gemmAMX},
	{"gemm_avx2_amd64.s", gemmAVX2},
	{"gemm_neon_arm64.s", gemmNEON},
	{"pack_avx2_amd64.s", packAVX2},
	{"vector_avx512_amd64.s", func(a *asm) { vectorFileAMD64(a, true) }},
	{"vector_avx2_amd64.s", func(a *asm) { vectorFileAMD64(a, false) }},
	{"vector_amd64.go", func(a *asm) { vectorFileGo(a, "AVX512", "AVX2") }},
	{"vector_avx512_amd64.go", func(a *asm) { vectorSetGo(a, "AVX512") }},
	{"vector_avx2_amd64.go", func(a *asm) { vectorSetGo(a, "AVX2") }},
	{"quant_avx512_amd64.s", func(a *asm) { quantFile(a, "AVX512") }},
	{"quant_avx2_amd64.s", func(a *asm) { quantFile(a, "AVX2") }},
	{"quant_amd64.go", func(a *asm) { quantFileGo(a, "AVX512", "AVX2") }},
	{"quant_neon_arm64.s", neonQuantFile},
	{"quant_arm64.go", func(a *asm) { quantFileGo(a, "NEON") }},
	{"vector_neon_arm64.s", vectorFileARM64},
	{"vector_arm64.go", func(a *asm) { vectorFileGo(a, "NEON") }},
	{"vector_neon_arm64.go", func(a *asm) { vectorSetGo(a, "NEON") }},
}
