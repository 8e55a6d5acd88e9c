// Package sandbox runs tasks and programs that others wrote: a user's task in a Starlark file, a user's command, code
// that a model wrote.
//
//	open.go      Open: a rung of the ladder, a .star file, or cmd:PROGRAM
//	starlark.go  a task in a Starlark file: generate, demonstrate, verify
//	code.go      unit tests for Starlark code of a model
//	wasm.go      programs for WebAssembly (WASI) under wazero
//	command.go   a task in another process, by lines of JSON
//	meter.go     what Starlark may use: steps, memory, depth; rewrite.go puts the meter into a program
//
// # Bounds
//
// Starlark has no files, network, clock or load. A call ends after [Limits].Steps steps, Memory bytes allocated in all,
// or 256 calls deep, the same on every machine. Before each operation that can take more than one step's worth, the
// program itself is made to ask the meter: `x * y` is compiled as a call that first adds up what the product needs.
//
// WebAssembly has 16 MiB of memory, no files, no network, a clock that stands still, and the time of its context.
//
// A command is a program of the user and is trusted as such; it is bounded in the time and length of its answers, and
// started again when it dies.
package sandbox
