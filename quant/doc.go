// Package quant converts between float32 and the narrower number formats that
// weights are stored in: bf16, fp16, the fp8 elements of safetensors files,
// and the block formats of GGUF files.
//
// Packed little-endian bytes flow in and float32 flows out (Decode), or the
// other way (Encode). Type names a format by its ggml number and knows its
// block length and bytes; it does so for every published type, also those
// that Decode does not know yet.
//
// Rows are independent: a tensor is decoded row by row or at once, with the
// same result. Nothing here knows of files, tensors or models.
package quant
