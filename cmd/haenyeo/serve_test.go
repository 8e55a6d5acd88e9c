package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
)

// A model is served until the context ends, and every request leaves a line of JSON.
func TestServe(t *testing.T) {
	dir := testModel(t)
	ctx, end := context.WithCancel(context.Background())
	defer end()
	complaints, told := io.Pipe()
	var out bytes.Buffer
	status := make(chan int, 1)
	go func() {
		status <- run(ctx, []string{"serve", dir, "--addr=127.0.0.1:0", "--json", "--threads=1", "--format=raw"}, strings.NewReader(""), &out, told)
		told.Close()
	}()
	lines := bufio.NewReader(complaints)
	line := ""
	for !strings.Contains(line, "http://") {
		var err error
		if line, err = lines.ReadString('\n'); err != nil {
			t.Fatalf("it does not say where it is: %v", err)
		}
	}
	go io.Copy(io.Discard, lines)
	_, address, _ := strings.Cut(strings.TrimSpace(line), "http://")
	answer, err := http.Post("http://"+address+"/v1/completions", "application/json", strings.NewReader(`{"prompt":"The sea","max_tokens":3}`))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(answer.Body)
	answer.Body.Close()
	if err != nil || answer.StatusCode != http.StatusOK || !strings.Contains(string(text), `"text_completion"`) {
		t.Errorf("%d %s %v", answer.StatusCode, text, err)
	}
	end()
	if got := <-status; got != exitDone {
		t.Errorf("status %d", got)
	}
	log := jsonLines(t, out.String())
	if len(log) != 1 {
		t.Fatalf("%d lines: %s", len(log), out.String())
	}
	has(t, log[0], "time", "id", "method", "path", "status", "duration", "model", "prompt_tokens", "completion_tokens")
}

func TestServeMisuse(t *testing.T) {
	for _, args := range [][]string{
		{"--addr=8080"}, {"--queue=0"}, {"--parallel=0"}, {"--context=-1"}, {"--max-body=0"}, {"--drain=0s"}, {"--deadline=-1s"}, {"--prefix-bytes=-1"},
	} {
		if status, _, complaint := execute(t, "", append([]string{"serve", "none"}, args...)...); status != exitUsage {
			t.Errorf("%v: status %d, %s", args, status, complaint)
		}
	}
	if status, _, complaint := execute(t, "", "serve", "none", "--api-key-file=none"); status != exitFailed {
		t.Errorf("status %d, %s", status, complaint)
	}
}
