// Package report tells how a run went: report.html, one page with everything in it, and the model
// card README.md. In flow the lines of log.jsonl and what the caller knows about data and model;
// out flow bytes.
//
//	run.go    Run: what the page and the card are made of
//	log.go    log.jsonl to Run
//	page.go   Run to report.html; page.html is its template
//	chart.go  curves as SVG; scale.go their axes; heat.go the maps of expert load
//	timeline.go where the time of a model that runs goes, a page of its own (timeline.html)
//	scores.go what models did on sets of questions, a page of its own (scores.html)
//	card.go   Run to README.md
//
// # Caveats
//
// Everything in a Run is untrusted: samples are what a model wrote, names are what a file said. The
// page escapes by context (html/template), forbids every load and script by its own policy, and
// isolates the direction of each text.
package report
