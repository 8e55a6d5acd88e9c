// Package infer turns logits into text: it owns the path of one token. The caller has made ids of the prompt
// (tokenizer.Encode, after package chat has written a conversation) and hands them over in a Request.
//
//  1. Generate asks the Stepper how much of the prompt its context holds already (Rewind), and prefill feeds it the
//     rest, in parts of prefillChunk ids. The Stepper is a model with its context: a Session over package forward, or
//     FromModel over a model that is being trained.
//  2. Session.Step is one forward.Net.Run: every id becomes a row of the embedding table, the layers turn the rows into
//     states and add what they keep of them to the cache, and the head makes logits [V] of the last state. These are
//     valid until the next step.
//  3. reply.take has sampler.next pick one id from the logits. Rules change them first: biases, ids that are not allowed (a
//     grammar says so through Sampling.Allowed), penalties (rules.go, repeat.go). Then the largest is taken at
//     temperature 0; otherwise one is drawn from what top-k, top-p, min-p and typical-p leave of
//     softmax(logits/temperature), with the next number of the seed (sample.go, select.go).
//  4. An end id stops here, unseen. Any other is kept, with its log-probability where asked for (logprob.go).
//  5. The Decoder, a tokenizer.Stream, gives the whole characters that the id completes; often none.
//  6. Stopper.Add looks for a stop text across the borders of tokens and hands on what can no longer become part of one
//     (stop.go); emit receives it. At the end finish hands on what was held back.
//  7. Unless a limit is reached, decode feeds this one id to the Stepper, and the path begins again at 2. The last id of
//     an answer is not fed: the context holds all but it, and the next Rewind finds them there.
//
// In: token ids and a Stepper. Out: ids, text and the reason why it ended. The functions stand in that order in
// generate.go, reply.go, sample.go and stop.go. session.go is a context that outlives an answer, sessionfile.go keeps
// it on disk, fingerprint.go ties it to its tokenizer. perplexity.go measures a model on a text, alone or against
// another; embed.go makes one vector of a text.
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
