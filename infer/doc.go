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
// generate.go, reply.go, sample.go and stop.go. session.go is a context that outlives an answer, sessionfile.go keeps
// it on disk, fingerprint.go ties it to its tokenizer. perplexity.go measures a model on a text, alone or against
// another.
//
// # Many answers at once
//
// scheduler.go takes the place of Generate's loop: a Scheduler owns the model and steps the replies of many callers
// together (sequence.go is one of them, admit.go says who comes in, stream.go is what a caller sees). prefix.go keeps
// beginnings of prompts in memory, prefixstore.go on disk. An answer has the same bits alone and among others.
//
// # Several tokens in a step
//
// speculate.go guesses tokens ahead, in Generate and in a Scheduler, and proves that the text stays what it is.
// ngrams.go guesses from the context, mtpdraft.go by the model's own prediction layer; pace.go measures whether it
// pays.
package infer
