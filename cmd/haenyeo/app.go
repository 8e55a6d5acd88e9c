package main

// What every command is handed: its streams, the way to print, and the engine to compute with.

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/term"

	"github.com/haenyeo/haenyeo/cmd/haenyeo/terminal"
	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/train"
)

// app is the running program as a command sees it.
type app struct {
	globals
	ctx    context.Context // ends at the first Ctrl-C
	stdin  io.Reader       // ends with ctx
	typed  bool            // stdin is a terminal
	stdout *bufio.Writer
	output io.Writer // under stdout
	stderr io.Writer
	log    *slog.Logger
	bar    *progress

	engine *kernel.Engine // made by compute
}

func newApp(ctx context.Context, g globals, stdin io.Reader, stdout, stderr io.Writer) *app {
	level := slog.LevelWarn - slog.Level(4*g.Verbose) // -v Info, -vv Debug
	bar := newProgress(stderr)
	f, _ := stdin.(*os.File)
	results := stdout
	if f, ok := stdout.(*os.File); ok && isTerminal(f) {
		results = terminal.Filter(stdout) // what models say and files hold must not command it; programs get every byte
	}
	return &app{
		globals: g, ctx: ctx, stdin: &patience{ctx: ctx, from: stdin}, typed: isTerminal(f),
		stdout: bufio.NewWriter(results), output: stdout, stderr: stderr, bar: bar,
		log: slog.New(slog.NewTextHandler(bar.writer(), &slog.HandlerOptions{Level: level})),
	}
}

func isTerminal(f *os.File) bool { return f != nil && term.IsTerminal(int(f.Fd())) }

// close ends the progress line, writes out what is buffered and stops the workers.
func (a *app) close() {
	a.bar.clear()
	a.stdout.Flush() // nowhere left to report a failure that print has not seen
	if a.engine != nil {
		a.engine.Close()
	}
}

// print writes a line of plain text to stdout.
func (a *app) print(format string, args ...any) error {
	a.bar.clear()
	fmt.Fprintf(a.stdout, format+"\n", args...)
	return a.stdout.Flush()
}

// emit writes v to stdout as one line of JSON.
func (a *app) emit(v any) error {
	enc := json.NewEncoder(a.stdout)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	return a.stdout.Flush()
}

// say writes a line to stderr: progress and explanations, which are never part of the result.
func (a *app) say(format string, args ...any) {
	a.bar.say(terminal.Clean(fmt.Sprintf(format, args...)))
}

// compute returns the engine, made at the first call.
func (a *app) compute() (*kernel.Engine, error) { return a.computeFor("") }

// computeFor is compute for the continuation of the run in dir, which another set of kernels than
// it was begun with would change.
func (a *app) computeFor(dir string) (*kernel.Engine, error) {
	if a.engine == nil {
		e, err := train.EngineFor(dir, a.Threads, a.CPU)
		if err != nil {
			return nil, err
		}
		a.engine = e
	}
	return a.engine, nil
}

// program is how this program was called, for commands that it suggests.
func program() string {
	if strings.Contains(filepath.ToSlash(os.Args[0]), "/go-build") {
		return "go run ./cmd/haenyeo" // the temporary binary of go run is gone when this one ends
	}
	return os.Args[0]
}
