// Package infer turns logits into text: it owns the path of one token.
//
//  1. Generate feeds the prompt's token ids to the Stepper (prefill, in chunks). The Stepper
//     holds the model and its key/value cache and returns the logits of the last position [V].
//  2. sampler.next picks one id from the logits: the largest at temperature 0, otherwise a draw
//     from softmax(logits/temperature) after top-k, top-p and min-p have cut its tail.
//  3. An end token stops here, unseen. Any other id is kept.
//  4. The Decoder, a tokenizer.Stream, gives the whole characters that the id completes.
//  5. stopper.add looks for a stop text across token borders and hands on what can no longer
//     become part of one; emit receives it.
//  6. Unless the limit is reached, the id alone is fed to the Stepper (one step), and the path
//     begins again at 2.
//
// In: token ids and a Stepper. Out: ids, text and the reason why it ended. The functions stand in
// that order in generate.go, sample.go and stop.go; session.go makes a Stepper of a model.Model.
package infer
