// Package create owns the way from text to a finished model directory.
//
//  1. request.go  what the user asks for: text, a budget of time or a size
//  2. outdir.go   the output directory is looked at before anything is spent
//  3. measure.go  a few real training steps say how fast this machine is
//  4. plan.go     size, vocabulary, batch, rate and steps follow (preset.go, scaling.go)
//  5. data.go     the text is opened, a tokenizer trained, everything tokenised
//  6. create.go   package train does its work; sample.go lets the model write
//  7. finish.go   weights, configuration, model card and report are written
//
// In: a Request. Out: train.Event values while it runs, and a directory that transformers, llama.cpp
// and this program load.
//
// # Basics
//
// The number of steps is fixed before the first one, from the measured speed: the schedule of the
// learning rate depends on it, and so does every bit of the result. It is kept in run.json with
// everything else that was decided; a resumed run decides nothing anew.
//
// # Caveats
//
// Two runs with the same Request on one machine take a different number of steps, because the
// measured speed differs. Fix Steps for a run that can be repeated exactly.
package create
