package main

// The grammar of the command line, and the way from arguments to an exit status.

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/haenyeo/haenyeo/chat"
	"github.com/haenyeo/haenyeo/cmd/haenyeo/terminal"
	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/train"
)

// commandLine is all of it.
type commandLine struct {
	globals

	Create    createCmd    `cmd:"" group:"create" help:"Make a model from text."`
	Plan      planCmd      `cmd:"" group:"create" help:"Say what create would do here, before anything is spent."`
	Pretrain  pretrainCmd  `cmd:"" group:"create" help:"Train a model, every hyper-parameter a flag."`
	SFT       sftCmd       `cmd:"" name:"sft" group:"create" help:"Train a model further on conversations."`
	DPO       dpoCmd       `cmd:"" name:"dpo" group:"create" help:"Train a model to prefer answers to others."`
	Tokenizer tokenizerCmd `cmd:"" group:"create" help:"Train a tokenizer, or use one."`
	BPB       bpbCmd       `cmd:"" name:"bpb" group:"create" help:"Measure bits per byte of text."`
	Eval      evalCmd      `cmd:"" group:"create" help:"Measure a model on sets of questions, alone or against another."`

	Chat       chatCmd       `cmd:"" group:"run" help:"Talk with a model."`
	Generate   generateCmd   `cmd:"" group:"run" help:"Continue a text."`
	Logits     logitsCmd     `cmd:"" group:"run" help:"Print the logits after every token."`
	Perplexity perplexityCmd `cmd:"" group:"run" help:"Measure how well a model predicts a text, alone or against another."`
	Inspect    inspectCmd    `cmd:"" group:"run" help:"Say what a model file is."`
	Convert    convertCmd    `cmd:"" group:"run" help:"Convert a model between GGUF and safetensors, or quantise it."`
	Serve      serveCmd      `cmd:"" group:"run" help:"Answer clients of the OpenAI, DeepSeek, Anthropic and Ollama APIs."`
	Pull       pullCmd       `cmd:"" group:"run" help:"Fetch a model from a hub."`

	Doctor  doctorCmd  `cmd:"" group:"know" help:"Say what this machine can do, and which kernels it uses."`
	Bench   benchCmd   `cmd:"" group:"know" help:"Measure speed, with the share of what this machine can do."`
	Version versionCmd `cmd:"" group:"know" help:"Print the version of this program."`
}

// globals are the flags that every command has.
type globals struct {
	JSON    bool   `name:"json" help:"Print JSON on stdout, one object a line, and nothing else there."`
	Threads int    `placeholder:"N" help:"Threads to compute with; 0: all processors this process may use."`
	CPU     string `name:"cpu" placeholder:"TIER" help:"Force a kernel tier instead of the measured choice (doctor lists them)."`
	Verbose int    `short:"v" type:"counter" help:"Say more on stderr; twice for even more."`
}

// Exit statuses.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130
)

// usageError is an error that another command line would not have.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// misuse makes a usageError.
func misuse(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

func main() {
	// A reader that goes away is then an error of writing, not the end of a run that could go on.
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := interruptible(context.Background(), os.Stderr)
	status := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// run executes one command line and returns its exit status.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	var g commandLine
	helped, help := false, &writer{to: stdout}
	parser, err := kong.New(&g,
		kong.Name("haenyeo"),
		kong.Description("Create small language models of the DeepSeek-V3 architecture on your own machine, and run them."),
		kong.Writers(help, stderr),
		pretrainDefaults(),
		kong.Vars{"formats": strings.Join(chat.Names(), ", ")},
		kong.Exit(func(int) { helped = true }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.ExplicitGroups([]kong.Group{
			{Key: "create", Title: "Create:"}, {Key: "run", Title: "Run:"}, {Key: "know", Title: "Know:"},
			{Key: "rules", Title: "More rules of sampling:"},
			{Key: "grammar", Title: "Keep the text in a grammar:"},
		}),
	)
	if err != nil {
		panic(err) // the grammar itself is wrong; any test of this package shows it
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	command, err := parser.Parse(joinNegatives(args))
	if help.err != nil {
		return complain(stderr, help.err)
	}
	if helped {
		return exitDone
	}
	if err == nil {
		err = g.check()
	}
	if err != nil {
		fmt.Fprintf(stderr, "haenyeo: %v (see %s --help)\n", err, commandPath(err))
		return exitUsage
	}
	a := newApp(ctx, g.globals, stdin, stdout, stderr)
	err = command.Run(a)
	a.close()
	return a.status(err)
}

// joinNegatives writes --flag -1 as --flag=-1, so that it is the flag's own check that speaks: the parser takes
// -1 for a flag of its own and advises values that are no better.
func joinNegatives(args []string) []string {
	var joined []string
	for i, arg := range args {
		if arg == "--" {
			return append(joined, args[i:]...)
		}
		if last := len(joined) - 1; last >= 0 && negative.MatchString(arg) && strings.HasPrefix(joined[last], "--") && !strings.Contains(joined[last], "=") {
			joined[last] += "=" + arg
			continue
		}
		joined = append(joined, arg)
	}
	return joined
}

var negative = regexp.MustCompile(`^-(\d|\.\d|inf)`)

// check refuses flags that no command can follow.
func (g *globals) check() error {
	if g.Threads < 0 {
		return fmt.Errorf("--threads %d: give 0 (all) or more", g.Threads)
	}
	if g.Threads > kernel.MaxThreads {
		return fmt.Errorf("--threads %d: give at most %d", g.Threads, kernel.MaxThreads)
	}
	if tiers := kernel.Tiers(); g.CPU != "" && !slices.Contains(tiers, g.CPU) {
		return fmt.Errorf("--cpu %q: this machine has %s", g.CPU, strings.Join(tiers, ", "))
	}
	return nil
}

// commandPath is what to put before --help: the command in which parsing failed.
func commandPath(err error) string {
	var parse *kong.ParseError
	if errors.As(err, &parse) && parse.Context.Selected() != nil {
		return parse.Context.Model.Name + " " + parse.Context.Selected().FullPath()[len(parse.Context.Model.Name)+1:]
	}
	return "haenyeo"
}

// status prints err, if any, as one line and returns the exit status it stands for.
func (a *app) status(err error) int {
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, context.Canceled) && a.ctx.Err() != nil:
		why := "interrupted"
		if run := new(train.Interrupted); errors.As(err, &run) {
			why = run.Error() // says what was kept
		}
		fmt.Fprintf(a.stderr, "haenyeo: %s\n", why)
		return exitInterrupted
	}
	return complain(a.stderr, err)
}

// complain prints err as one line and returns the exit status that it stands for.
func complain(stderr io.Writer, err error) int {
	if errors.Is(err, syscall.EPIPE) {
		return exitFailed // the reader of our output went away; nobody is there to read a complaint
	}
	// The root package names itself too. An error may quote what a file says.
	fmt.Fprintf(stderr, "haenyeo: %s\n", terminal.Clean(strings.TrimPrefix(err.Error(), "haenyeo: ")))
	if errors.As(err, new(usageError)) || errors.As(err, new(train.Misuse)) {
		return exitUsage
	}
	return exitFailed
}

// writer remembers the first error of writing.
type writer struct {
	to  io.Writer
	err error
}

func (w *writer) Write(p []byte) (int, error) {
	n, err := w.to.Write(p)
	if w.err == nil {
		w.err = err
	}
	return n, err
}
