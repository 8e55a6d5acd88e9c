// Package infer turns logits into text: it owns the path of one token.
//
//  1. Generate asks the Stepper what it holds of the prompt already (Rewind) and feeds it the rest, in parts
//     (prefill). The Stepper is a model with its cache: a Session over package forward, or FromModel over a model
//     that is being trained. It returns the logits of the last position [V].
//  2. sampler.next picks one id from the logits. Rules change them first (rules.go, repeat.go); then the largest is
//     taken at temperature 0, otherwise one is drawn from what top-k, top-p, min-p and typical-p leave of
//     softmax(logits/temperature) (sample.go, select.go).
//  3. An end token stops here, unseen. Any other id is kept, with its log-probability where asked for (logprob.go).
//  4. The Decoder, a tokenizer.Stream, gives the whole characters that the id completes.
//  5. stopper.add looks for a stop text across token borders and hands on what can no longer become part of one;
//     emit receives it.
//  6. Unless a limit is reached, the id alone is fed to the Stepper (one step), and the path begins again at 2.
//
// In: token ids and a Stepper. Out: ids, text and the reason why it ended. The functions stand in that order in
// generate.go, sample.go and stop.go. session.go is a context that outlives an answer, sessionfile.go keeps it on
// disk, fingerprint.go ties it to its tokenizer. perplexity.go measures a model on a text, alone or against another.
package infer
