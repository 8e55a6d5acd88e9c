// Command haenyeo creates small language models of the DeepSeek-V3 architecture and runs them.
//
// main.go holds the grammar of the command line and the way from arguments to an exit status; app.go is what
// every command is handed. Each command has a file of its own, with its flags and what it prints; the work is
// done by the packages it calls.
package main
