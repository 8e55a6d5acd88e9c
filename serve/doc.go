// Package serve answers clients of the OpenAI, DeepSeek, Anthropic and Ollama APIs over HTTP.
//
// In: models (Model) and requests. Out: answers in the words of the client's own API, at once or as a stream. The
// dialects are thin: each translates into one Request and back from one list of events.
//
// # The path of a request
//
//	connection ── server.go: limits of time and size, drain at the end
//	           ── guard.go, keys.go: who may ask: Host, Origin, API keys and their limits
//	           ── route.go: the address says which dialect (dialect.go: how it reports errors)
//	           ── openai_*.go, responses_*.go, anthropic_*.go, ollama_*.go: the body becomes a request; shape.go reads
//	              what form of answer it demands
//	           ── shelf.go: the model is opened, if it is not
//	           ── prepare.go: the prompt is written, ids and limits checked; constrain*.go makes a grammar of the demands
//	           ── gate.go: a place, a place in the queue, or 429
//	           ── job.go: an Engine makes tokens, the chat parser reads them (reader.go), events come out
//	           ── stream.go: the whole answer, or the stream of the dialect
//	           ── access.go, metrics.go: one record of what happened, and what it adds up to
//
// # Who waits for whom
//
// The goroutine of a job makes events and never waits for the client: they are kept until the client takes them, and
// there are no more than tokens of the answer. A client that goes away, or takes nothing for Options.Stall, cancels its
// job, which ends within a step of the model.
//
// # Caveats
//
// Nothing that a request names is opened: no file, no address. What the API of a dialect has and this package has not
// is refused with status 501 rather than ignored, where ignoring it would change the answer. openapi.yaml lists what
// there is.
package serve
