package main

// What is refused before any work, what ends a command that waits, and what a command says about its input.

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Ctrl-C ends a command that waits for its standard input.
func TestInterruptedWhileReadingStdin(t *testing.T) {
	dir := testModel(t)
	for _, args := range [][]string{{"generate", dir}, {"tokenizer", "encode", dir}, {"tokenizer", "encode", dir, "--lines"}, {"tokenizer", "decode", dir}} {
		ctx, cancel := context.WithCancel(context.Background())
		never, w := io.Pipe()
		time.AfterFunc(50*time.Millisecond, cancel)
		var out, complaints bytes.Buffer
		if status := run(ctx, append(args, "--threads=1"), never, &out, &complaints); status != exitInterrupted {
			t.Errorf("%v: status %d, %s", args, status, complaints.String())
		}
		w.Close()
	}
}

// A command that was interrupted while it measured says so, and not what it has not measured.
func TestInterruptedWhileMeasuring(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, command := range []string{"doctor", "plan"} {
		var out, complaints bytes.Buffer
		if status := run(ctx, []string{command, "--threads=1"}, nil, &out, &complaints); status != exitInterrupted || out.Len() > 0 {
			t.Errorf("%s: status %d, stdout %q", command, status, out.String())
		}
	}
}

func TestPatienceReadsEverything(t *testing.T) {
	want := strings.Repeat("0123456789", 50_000)
	p := &patience{ctx: context.Background(), from: strings.NewReader(want)}
	if got, err := io.ReadAll(p); err != nil || string(got) != want {
		t.Errorf("%d bytes of %d, %v", len(got), len(want), err)
	}
}

// Nothing that is there is written over.
func TestOutputsAreNotOverwritten(t *testing.T) {
	dir, text := testModel(t), testTextFile(t)
	file := filepath.Join(t.TempDir(), "m.gguf")
	if err := os.WriteFile(file, []byte("mine"), 0o666); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(filepath.Join(dir, "tokenizer.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"convert", dir, "--out", file},
		{"tokenizer", "train", "--vocab", "300", "--out", dir, text},
		{"tokenizer", "train", "--vocab", "300", "--out", file, text},
	} {
		if status, _, says := execute(t, "", args...); status != exitFailed || !strings.Contains(says, "--out") {
			t.Errorf("%v: status %d, %s", args, status, says)
		}
	}
	after, _ := os.ReadFile(filepath.Join(dir, "tokenizer.json"))
	if b, _ := os.ReadFile(file); string(b) != "mine" || !bytes.Equal(before, after) {
		t.Error("written over")
	}
	failed := filepath.Join(t.TempDir(), "new")
	if status, _, _ := execute(t, "", "tokenizer", "train", "--vocab", "90000", "--out", failed, text); status == exitDone {
		t.Error("a vocabulary of 90000 was learned")
	}
	if _, err := os.Stat(failed); err == nil {
		t.Error("a training that failed left its directory")
	}
}

func TestIDsAreReadStrictly(t *testing.T) {
	for _, s := range []string{"{}", `{"IDS":[5]}`, `{"ids":null}`, `{"ids":[5],"x":1}`, `{"ids":5}`, "[null]", "[1.0]", "[[1]]", "[1", `["1"]`, "1,x", "99999999999"} {
		if ids, err := readIDs(s); err == nil {
			t.Errorf("%s is %v", s, ids)
		}
	}
	for s, n := range map[string]int{"": 0, "[]": 0, `{"ids":[]}`: 0, ` {"ids": [1, 2]} `: 2, "[1, 2,3]": 3, "1,2\n3": 3} {
		if ids, err := readIDs(s); err != nil || len(ids) != n {
			t.Errorf("%q is %v, %v", s, ids, err)
		}
	}
	status, _, says := execute(t, "1\n{}\n", "tokenizer", "decode", testModel(t), "--lines")
	if status != exitFailed || !strings.Contains(says, "line 2") {
		t.Errorf("an object without ids: status %d, %s", status, says)
	}
}

func TestWrongUseIsToldApart(t *testing.T) {
	dir := testModel(t)
	for _, args := range [][]string{
		{"generate", dir, "--prompt", "x", "--stop", ""},
		{"generate", dir, "--tokens", ""},
		{"logits", dir, "--tokens", ""},
		{"tokenizer", "train", "--vocab", "200", "--out", filepath.Join(t.TempDir(), "x"), dir},
	} {
		if status, out, says := execute(t, "", args...); status != exitUsage || out != "" {
			t.Errorf("%v: status %d, %s", args, status, says)
		}
	}
}

// Files that are left out are told, with how many.
func TestSkippedFilesAreTold(t *testing.T) {
	model, data := testModel(t), t.TempDir()
	for name, text := range map[string]string{"a.txt": testText(), "b.txt": "\x00\x01", "c.txt": "\xff\xfe"} {
		if err := os.WriteFile(filepath.Join(data, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"bpb", model, data}, {"tokenizer", "train", "--vocab", "270", "--out", filepath.Join(t.TempDir(), "x"), data}} {
		if status, _, says := execute(t, "", args...); status != exitDone || !strings.Contains(says, "skipped 2 files") {
			t.Errorf("%v: status %d, %s", args, status, says)
		}
	}
}

func TestConvertWithoutTokenizerWarns(t *testing.T) {
	dir := testModel(t)
	if err := os.Remove(filepath.Join(dir, "tokenizer.json")); err != nil {
		t.Fatal(err)
	}
	if status, _, says := execute(t, "", "convert", dir, "--out", filepath.Join(t.TempDir(), "m.gguf")); status != exitDone || !strings.Contains(says, "tokenizer.json") {
		t.Errorf("status %d, %q", status, says)
	}
}

func TestLongPromptIsRefused(t *testing.T) {
	status, _, says := execute(t, strings.Repeat("a", maxPrompt+1), "generate", testModel(t))
	if status != exitFailed || !strings.Contains(says, "16 MB") {
		t.Errorf("status %d, %s", status, says)
	}
}

// fails is a standard output on which nothing can be written.
type fails struct{ error }

func (f fails) Write([]byte) (int, error) { return 0, f.error }

// Results that could not be written are a failure; a reader that went away is told nothing.
func TestOutputThatFails(t *testing.T) {
	dir := testModel(t)
	for _, c := range []struct {
		err   error
		quiet bool
	}{{syscall.EPIPE, true}, {errors.New("no space left"), false}} {
		for _, args := range [][]string{{"--help"}, {"generate", "--help"}, {"generate", dir, "--prompt", "x"}, {"version"}, {"inspect", dir}} {
			var complaints bytes.Buffer
			status := run(context.Background(), append(args, "--threads=1"), strings.NewReader(""), fails{c.err}, &complaints)
			if status != exitFailed || (complaints.Len() == 0) != c.quiet {
				t.Errorf("%v, %v: status %d, %q", args, c.err, status, complaints.String())
			}
		}
	}
}

func TestHelpOfGroupsHasAnExample(t *testing.T) {
	for _, group := range []string{"tokenizer", "bench"} {
		if out := works(t, "", group, "--help"); !strings.Contains(out, "Example:") || !strings.Contains(out, "haenyeo "+group+" train") {
			t.Errorf("%s --help:\n%s", group, out)
		}
	}
}

func TestInspectOneFile(t *testing.T) {
	o := jsonLines(t, works(t, "", "inspect", filepath.Join(testModel(t), "model.safetensors"), "--json"))[0]
	if o["architecture"] != "unknown" {
		t.Errorf("architecture %v", o["architecture"])
	}
}
