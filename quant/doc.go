// Package quant converts between float32 and the narrower number formats that
// weights are stored in: bf16, fp16, the fp8 and fp4 elements of safetensors
// files with their scales, and the block formats of GGUF files.
//
// Packed little-endian bytes flow in and float32 flows out (Decode, MatrixFP8,
// MatrixFP4, MatrixNVFP4), or the other way (Encode, EncodeWeighted). Type names
// a format by its ggml number and knows its block length and bytes. Decode knows
// every published type and gives the bits of ggml's reference code. RoundFP8 and
// RoundFP4 are the round trips of activations in published inference code.
//
// Rows are independent: a tensor is decoded or encoded row by row or at once,
// with the same result. Functions share nothing that changes, so callers work on
// rows in parallel. Nothing here knows of files, tensors or models.
//
// # Errors of the encoders
//
// Root mean square error over root mean square, of a real model's matrices
// (ffn_down of layers 0 and 20 of SmolLM2-135M; `go test -v -run PeerEncode`),
// without importance, and with an importance that varies as much as inputs do
// (weighted by it):
//
//	        bits   here     ggml    weighted: here   ggml
//	Q2_K    2.63   0.2659   0.3072            0.1845   0.1954
//	Q3_K    3.44   0.1472   0.1555            0.1172   0.1218
//	IQ4_XS  4.25   0.0716   0.0782            0.0570   0.0621
//	IQ4_NL  4.50   0.0711   0.0775            0.0563   0.0610
//	Q4_0    4.50   0.0898   0.0898            0.0701   0.0717
//	Q4_K    4.50   0.0596   0.0630            0.0449   0.0483
//	Q4_1    5.00   0.0751   0.0751            0.0440   0.0465
//	Q5_0    5.50   0.0448   0.0448            0.0341   0.0360
//	Q5_K    5.50   0.0315   0.0352            0.0243   0.0273
//	Q5_1    6.00   0.0402   0.0402            0.0225   0.0237
//	Q6_K    6.56   0.0159   0.0181            0.0128   0.0145
//
// Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, MXFP4, TQ1_0 and TQ2_0 without importance are
// ggml's bytes. The searching encoders minimise the error over a whole matrix; a
// single block of odd numbers (one number of 3e-4 among zeros, say) may come out
// a little worse than ggml's where fp16 happens to round its scale better.
package quant
