// Package export turns a model directory into a GGUF file, the single-file format of llama.cpp, and
// such a file back into a model.
//
// In: config.json, safetensors and tokenizer.json of a DeepSeek-V3 model (architecture deepseek2) or
// of the dense Llama line (llama, qwen2, qwen3). Out: one file with weights as F32, F16, BF16 or
// Q8_0, the tokenizer and the chat template. Weights pass through in small pieces: memory does not
// grow with the model.
//
// # Caveats
//
// Multi-token prediction layers are left out: programs that read these files run without them.
//
// Q8_0 needs rows of whole blocks of 32; matrices with other rows are stored as F16. Norms, biases
// and routers are always F32.
//
// llama.cpp uses rms_norm_eps for the norms inside latent attention too, where the published code has
// 1e-6: with another rms_norm_eps its results differ in the last digits.
package export
