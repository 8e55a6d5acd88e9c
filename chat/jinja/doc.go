// Package jinja renders chat templates: the part of Jinja2 that the templates of published models use, with the results
// of Python's Jinja2 in the settings of transformers' apply_chat_template.
//
// In: a template, as tokenizer_config.json or a GGUF file holds it, and variables. Out: the text of the prompt.
//
// # The path of a template
//
//	text ── lex.go, lex_expr.go: tokens, white space around tags already dropped
//	     ── parse.go, parse_expr.go: statements and expressions (ast.go)
//	     ── scope.go, bind.go: every name gets its variable, by the rules of Jinja's compiler
//	     ── render.go: limits, state of one rendering
//	     ── exec.go, loop.go: statements; eval.go: expressions
//	     ── text
//
// Values are Python's: value.go and attr.go say which there are and what they hold; compare.go, arith.go, text.go,
// format.go and percent.go how they compare, compute and print. methods.go and strmethods.go have their methods,
// filters*.go and tests.go the filters and tests, json.go tojson and the reader that keeps the order of keys. marks.go
// tells, whatever a template did, which characters of its output are the caller's data.
//
// # Basics
//
//	messages, err := jinja.FromJSON(raw)
//	t, err := jinja.Parse(template)
//	prompt, err := t.Render(ctx, map[string]any{"messages": messages, "add_generation_prompt": true}, jinja.Options{})
//
// The settings are those of transformers: trim_blocks and lstrip_blocks, no escaping for HTML, break and continue,
// {% generation %}, and the functions raise_exception, strftime_now, namespace, range, dict, cycler and joiner. tojson
// writes what json.dumps(x, ensure_ascii=False) does, byte for byte. transformers gives every template the variables
// messages, tools and documents (null if there are none), add_generation_prompt, and the special tokens by name
// (bos_token, ...): a caller who wants its text gives them too.
//
// # Caveats
//
// A template is text from a stranger. It can read nothing but its variables and the clock, cannot change them, and is
// stopped by Options; its output is not trusted either: encode it so that what a user wrote cannot become a control
// token, which Marks tell.
//
// As in the sandbox of Jinja, methods that change a list or dict do not exist: {{ list.append(x) }} is an error, also on
// a list that the template made.
//
// Refused or missing: include, import and extends when they are reached, autoescape, self, lipsum, complex numbers,
// \N{...} escapes, the filters pprint, random, urlize, wordwrap and xmlattr. Objects that Python prints with an address
// print without one. Integers end at 4300 digits.
package jinja
