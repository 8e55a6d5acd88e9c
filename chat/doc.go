// Package chat writes the prompts of every DeepSeek generation and reads what the models answer.
//
// In: a conversation of [Message] and [Options]. Out: [Segment]s, which [Encode] turns into ids. Back: the text of the
// reply, token by token into a [Parser], which gives [Event]s: reasoning, content, calls of tools.
//
// # The path of a turn
//
//	conversation ── detect.go: which format the model was trained with ([Detect], by its template, tokens and model_type)
//	             ── llm.go v3.go v31.go v32.go v4.go: the format writes its frame (control) around the words (text)
//	             ── segment.go: ids; a control token spelled in the words stays words
//	             ── the model answers
//	             ── parser.go: reasoning, content and calls, whole markers only
//	                calls_json.go (V2.5 to V3.1) and calls_dsml.go (V3.2 on) read the calls
//
// Models of others bring a Jinja template; template.go renders it and keeps the same promise about control tokens.
//
// # Decoding for the parser
//
// The markers that a parser looks for are tokens of their own, some of them special. Decode replies with special tokens
// kept (tokenizer.Stream(false)) and push all text, or the parser sees none of its markers. [Format.Stops] says at
// which tokens a reply ends; pushing their text is allowed and ends the reply too.
//
// # Caveats
//
// A marker is found in the text of a reply, whatever tokens spelled it: a model that quotes <｜tool▁calls▁begin｜> in its
// prose makes a call.
//
// No text of a reply is lost. A call that cannot be read comes back as [Malformed] with its text; a call whose arguments
// are not a JSON object, or that the reply breaks off in, ends with an error in its [CallEnd].
package chat
