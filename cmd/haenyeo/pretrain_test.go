package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/haenyeo/haenyeo/corpus"
	"github.com/haenyeo/haenyeo/train"
)

// twoLanguages writes n documents, every third of which is Korean, and returns their path.
func twoLanguages(t *testing.T, n int) string {
	t.Helper()
	var b strings.Builder
	for i := range n {
		text, lang := fmt.Sprintf("the sea woman dives %d times and comes up with a whistle", i), "en"
		if i%3 == 0 {
			text, lang = fmt.Sprintf("해녀가 %d 번째로 물에서 올라왔다", i), "ko"
		}
		fmt.Fprintf(&b, "{\"text\":%q,\"lang\":%q,\"source\":%q}\n", text, lang, "shore=north")
	}
	path := filepath.Join(t.TempDir(), "text.jsonl")
	if err := os.WriteFile(path, []byte(b.String()), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestMixIsRefused(t *testing.T) {
	dir, text := testModel(t), twoLanguages(t, 60)
	pretrain := []string{"pretrain", "--model", dir, "--data", text, "--steps", "1", "--seq", "16"}
	recorded := []string{"pretrain", "--model", dir, "--batches", recordBatches(t, 1)}
	plan := []string{"plan", "--data", text, "--steps", "1"}
	for _, c := range []struct {
		args   []string
		mix    string
		status int
		says   string
	}{
		{pretrain, "--mix=xx=2", exitFailed, `"xx", which is neither a language nor a source of the data: it has en, ko, shore=north`},
		{plan, "--mix=xx=2", exitFailed, `"xx"`},
		{pretrain, "--mix=ko=-1", exitUsage, `-1 for "ko"`},
		{plan, "--mix=ko=inf", exitUsage, `+Inf for "ko"`},
		{pretrain, "--mix=ko", exitUsage, "--mix ko: want NAME=X"},
		{pretrain, "--mix=ko=much", exitUsage, `"much" is not a number`},
		{pretrain, "--mix-temperature=0", exitUsage, "more than 0"},
		{plan, "--mix-temperature=1.5", exitUsage, "at most 1"},
		{recorded, "--mix=ko=2", exitUsage, "recorded batches"},
	} {
		status, stdout, says := execute(t, "", append(slices.Clone(c.args), c.mix)...)
		if status != c.status || stdout != "" || !strings.Contains(says, c.says) {
			t.Errorf("%s %s: status %d, stdout %q, stderr %q", c.args[0], c.mix, status, stdout, says)
		}
	}
}

// The tokens of a run lie in its directory until it is finished; a mixture, and text that has changed though not its
// length, belong to another run.
func TestPretrainKeepsItsTokens(t *testing.T) {
	dir, text := testModel(t), twoLanguages(t, 60)
	out := filepath.Join(t.TempDir(), "run")
	tokens := filepath.Join(out, train.TokensName)
	args := []string{"pretrain", "--model", dir, "--data", text, "--steps", "6", "--batch", "2", "--seq", "16", "--checkpoint-every", "1",
		"--mix", "ko=2.5", "--mix", "shore=north=1", "--out", out, "--json"}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var stdout, stderr bytes.Buffer
	status := run(ctx, args, strings.NewReader(""), afterLine{&stdout, `"event":"step"`, cancel}, &stderr)
	if status != exitInterrupted {
		t.Fatalf("status %d, %s", status, stderr.String())
	}
	plan := jsonLines(t, stdout.String())[0]
	if waste, _ := plan["waste"].(float64); plan["mixture"] != "ko 2.5, shore=north 1" || !(waste > 0 && waste < 1) {
		t.Errorf("plan %v", plan)
	}
	if !corpus.IsTokenFile(tokens) {
		t.Error("the tokens of an interrupted run are not kept")
	}
	args = append(args, "--resume")
	if status, _, says := execute(t, "", append(slices.Clone(args), "--mix-temperature", "0.5")...); status != exitFailed || !strings.Contains(says, "data has changed") {
		t.Errorf("another mixture: status %d, %s", status, says)
	}
	old, err := os.ReadFile(text)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range [][]byte{bytes.Replace(old, []byte("dives 1 "), []byte("sinks 1 "), 1), old} {
		if err := os.WriteFile(text, b, 0o666); err != nil {
			t.Fatal(err)
		}
		if status, _, says := execute(t, "", args...); !bytes.Equal(b, old) && (status != exitFailed || !strings.Contains(says, "data has changed")) {
			t.Errorf("other text: status %d, %s", status, says)
		} else if bytes.Equal(b, old) && status != exitDone {
			t.Errorf("resumed: status %d, %s", status, says)
		}
	}
	if _, err := os.Stat(tokens); err == nil {
		t.Error("the tokens of a finished run are kept")
	}
}

// afterLine passes on what is written, and calls then when it has words in it.
type afterLine struct {
	to    *bytes.Buffer
	words string
	then  func()
}

func (a afterLine) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte(a.words)) {
		a.then()
	}
	return a.to.Write(b)
}

// A seed of 0 that was typed is a seed; one that was not typed is that of the run.
func TestResumedCreateComparesSeedZero(t *testing.T) {
	if testing.Short() {
		t.Skip("trains a model of preset nano")
	}
	text, out := testTextFile(t), filepath.Join(t.TempDir(), "made")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var stdout, stderr bytes.Buffer
	begun := []string{"create", "--data", text, "--steps", "3", "--size", "nano", "--seed", "3", "--out", out, "--json"}
	if status := run(ctx, begun, strings.NewReader(""), afterLine{&stdout, `"event":"step"`, cancel}, &stderr); status != exitInterrupted {
		t.Fatalf("status %d, %s", status, stderr.String())
	}
	if status, _, says := execute(t, "", "create", "--resume", "--seed", "0", "--out", out); status != exitFailed || !strings.Contains(says, "seed 3, not 0") {
		t.Errorf("another seed: status %d, %s", status, says)
	}
	if status, _, says := execute(t, "", "create", "--resume", "--size", "nano", "--steps", "3", "--seed", "3", "--out", out); status != exitDone {
		t.Errorf("the same flags: status %d, %s", status, says)
	}
}
