package main

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Every way from one form of a model to another, with what each must say.
func TestConvertEveryWay(t *testing.T) {
	dir, tmp := testModel(t), t.TempDir()
	continued := func(path string) string {
		t.Helper()
		return works(t, "", "generate", path, "--prompt", "바다", "--max-tokens", "9", "--temperature", "0", "--json")
	}
	want := continued(dir)
	at := func(name string) string { return filepath.Join(tmp, name) }
	for _, c := range []struct {
		from, to string
		flags    []string
		typ      string // of most tensors
		exact    bool
		says     string
	}{
		{dir, "copy", nil, "F32", true, ""},
		{dir, "half", []string{"--type", "BF16"}, "BF16", false, ""},
		{at("half"), "half.gguf", nil, "BF16", false, ""},
		{dir, "a.gguf", []string{"--type", "f32"}, "F32", true, ""},
		{at("a.gguf"), "again.gguf", nil, "F32", true, ""},
		{at("a.gguf"), "q8.gguf", []string{"--type", "q8_0"}, "Q8_0", false, ""},
		{at("q8.gguf"), "q4.gguf", []string{"--type", "q4_0"}, "Q4_0", false, "packed before"},
		{at("q8.gguf"), "same.gguf", []string{"--type", "q8_0"}, "Q8_0", false, ""},
		{at("q8.gguf"), "back", []string{"--type", "f16"}, "F16", false, ""},
	} {
		args := append([]string{"convert", c.from, "--out", at(c.to), "--json"}, c.flags...)
		status, out, says := execute(t, "", args...)
		if status != exitDone || (c.says == "") != (says == "") || !strings.Contains(says, c.says) {
			t.Fatalf("%v: status %d, stderr %q", args, status, says)
		}
		o := jsonLines(t, out)[0]
		if types := o["types"].(map[string]any); o["out"] != at(c.to) || types[c.typ] == nil || types[c.typ].(float64) < 10 || o["bytes"].(float64) == 0 {
			t.Errorf("%v: %v", args, o)
		}
		if got := continued(at(c.to)); c.exact && got != want {
			t.Errorf("%v: continues with %s, want %s", args, got, want)
		}
	}
	if status, _, says := execute(t, "", "convert", dir, "--out", at("a.gguf")); status != exitFailed || !strings.Contains(says, "exists already") {
		t.Errorf("over a file: status %d, %s", status, says)
	}
}

func TestConvertWithImportance(t *testing.T) {
	dir, tmp := testModel(t), t.TempDir()
	write := func(name string, inputs int) string {
		le, tensor := binary.LittleEndian, "blk.0.attn_output.weight"
		b := append(le.AppendUint32(le.AppendUint32(nil, 1), uint32(len(tensor))), tensor...)
		b = le.AppendUint32(le.AppendUint32(b, 1), uint32(inputs))
		for i := range inputs {
			b = le.AppendUint32(b, math.Float32bits(float32(i%5)))
		}
		path := filepath.Join(tmp, name)
		if err := os.WriteFile(path, b, 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	out := filepath.Join(tmp, "m.gguf")
	status, _, says := execute(t, "", "convert", dir, "--out", out, "--type", "q4_0", "--imatrix", write("wrong.dat", 3))
	if status != exitFailed || !strings.Contains(says, "another model") {
		t.Errorf("of another model: status %d, %s", status, says)
	}
	// The width of o_proj of the test model: heads times width of a value.
	o := jsonLines(t, works(t, "", "inspect", dir, "--json"))[0]
	width := 0
	for _, x := range o["tensors"].([]any) {
		if x := x.(map[string]any); x["name"] == "model.layers.0.self_attn.o_proj.weight" {
			width = int(x["shape"].([]any)[1].(float64))
		}
	}
	works(t, "", "convert", dir, "--out", out, "--type", "q4_0", "--imatrix", write("right.dat", width))
}
