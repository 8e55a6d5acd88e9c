//go:build unix

package main

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A pipe in the place of a file is refused at once: opening it would wait for a writer.
func TestPipesInPlaceOfFiles(t *testing.T) {
	dir := testModel(t)
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o666); err != nil {
		t.Skip("this file system has no pipes: ", err)
	}
	inside := func(name string) string {
		dir := t.TempDir()
		if err := syscall.Mkfifo(filepath.Join(dir, name), 0o666); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	for _, args := range [][]string{
		{"generate", pipe, "--tokens", "1"},
		{"inspect", pipe},
		{"inspect", inside("config.json")},
		{"logits", inside("config.json"), "--tokens", "1"},
		{"tokenizer", "encode", inside("tokenizer.json")},
		{"pretrain", "--config", pipe, "--data", dir, "--steps", "1"},
		{"pretrain", "--config", "/dev/zero", "--data", dir, "--steps", "1"},
		{"pretrain", "--model", dir, "--batches", pipe, "--steps", "1"},
		{"plan", "--config", pipe},
	} {
		if status, _, says := execute(t, "", args...); status == exitDone || !strings.Contains(says, "not a regular file") {
			t.Errorf("%v: status %d, %s", args, status, says)
		}
	}
}
