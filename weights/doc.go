// Package weights gives access to the stored tensors of a model, whatever files they are in: a
// directory in Hugging Face layout (safetensors), a GGUF file, or a split GGUF.
//
// A path flows in (Open); the model's shape (Config) and its tensors under one naming flow out.
// Matrices are views of the mapped files in the form in which they are stored (kernel.Stored); only
// vectors are copied. Names are those under which the checkpoints are published: for V4
// layers.0.attn.wq_a.weight, for all others model.layers.0.self_attn.q_a_proj.weight.
//
// # Reading order
//
// source.go the Source and its opening; tensor.go Matrix, Vector and Ints; stack.go Experts and
// LatentUp; scaled.go fp8 and fp4 with scales in another tensor; safetensors.go and gguf.go the two
// kinds of files and their names; ggufconfig.go, ggufkeys.go and llama3.go a shape from GGUF metadata;
// expected.go which tensors a shape asks for; finite.go a search for what is no number;
// fingerprint.go what names a model; train.go the parameters of a model in training.
//
// # Caveats
//
// What Matrix, Experts and LatentUp return is invalid after Close. A file that is cut short while it
// is in use faults where its lost part is read; FaultError says which file that was.
package weights
