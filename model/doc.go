// Package model holds the networks: the DeepSeek-V3 block (multi-head latent attention, mixture of
// experts, multi-token prediction) and the dense Llama block, each with forward and backward pass
// side by side.
//
// In: a directory in Hugging Face layout or a Config, and batches of token ids. Out: logits, losses
// and gradients; a directory again. Weights are float32 masters; matrix products run in the DType
// of Options; everything else is float32. There is no tape: the forward pass keeps what the backward
// pass needs in one arena, and the backward pass walks the layers in reverse.
//
// # Reading order
//
// config.go what a model is, of these and of the generations that package forward runs, with its
// checks, sizes and files in configcheck.go, configsize.go, configjson.go, configread.go and
// configwrite.go; model.go the whole: New, Params, Init, Sync; v3.go and llama.go how a generation is
// put together from block.go, mla.go, gqa.go, mlp.go, moe.go and router.go; lora.go the adapters beside
// their matrices; mtp.go the extra prediction layer; loss.go head and cross-entropy; objective.go losses
// of others, and what they need to know of a model; batch.go the path of one training batch; logits.go
// the model read as a whole; load.go and save.go the files.
//
// # Caveats
//
// A Model and its Engine serve one goroutine at a time. Results depend on the kind of processor but
// not on the number of threads. Documents that share a row do not see each other when Batch.First
// says where they begin, but positions run on through the row: rotary embeddings only see
// differences of positions, so nothing changes.
package model
