// Package forward runs models: the path of tokens through the layers of every generation, over weights
// that stay in the form and the place of their file.
//
// In: a weights.Source and token ids. Out: logits, and caches that hold what was read. Matrices are
// mapped and decoded while they are multiplied (kernel.Stored); a few vectors per layer are copied.
// Activations live in an arena that is used again and again: a step allocates nothing once the
// largest step was seen, but for caches that grow.
//
// # Reading order
//
// net.go what a model is; run.go how steps are run; pass.go one walk through the layers and its arena;
// layer.go what a layer is made of, and the plain block; build.go where its tensors come from; cache.go
// what is kept of the tokens before, rows.go its rows, state.go its bytes; trace.go who is told where time goes. Then
// one file per idea: rope.go; gqa.go; mla.go with mla_expanded.go and mla_absorbed.go; mlp.go, router.go and moe.go; moe_streamed.go,
// residents.go, slots.go and budget.go models larger than memory; mtp.go and mtp_v4.go, draft.go
// for guessing with them; dsa.go the sparse attention of V3.2, with indexer.go and select.go; csa.go the
// attention of V4, with compress.go and recent.go; mhc.go its residual streams; hadamard.go the
// publisher's roundings. A generation puts ideas together: llama.go (Llama, Qwen2, Qwen3), moe16b.go,
// v3.go (V2 and V3), v32.go, v4.go.
//
// # Caveats
//
// A Net, its caches and its Engine serve one goroutine at a time. Letters are those of package
// kernel: n rows of a pass (tokens of one or several sequences), D hidden size, H heads, R latent
// rank, P rope width, E experts, K experts per token, F width, V vocabulary.
//
// The bits of a sequence's logits do not depend on the sequences that are run beside it, nor on the
// number of threads. Steps of at most Short tokens have the bits of tokens read one by one. Longer ones
// depend, within float32 rounding, on how the tokens were cut into steps: products of few rows with large
// matrices are summed in another order than those of many, and latent attention chooses its form by the
// cut. Where the publisher's code rounds to 8 or 4 bits (V3.2, V4) such a difference can be seen: a value
// in the middle may fall to the other side.
package forward
