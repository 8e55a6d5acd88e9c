package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/haenyeo/haenyeo/format/safetensors"
)

// What generate and chat refuse, inspect finds.
func TestInspectFindsWhatWordsLack(t *testing.T) {
	added := func(id int) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			edit(t, filepath.Join(dir, "tokenizer.json"), func(o map[string]any) {
				list, _ := o["added_tokens"].([]any)
				o["added_tokens"] = append(list, map[string]any{"id": id, "content": "<new>", "special": true, "normalized": false,
					"single_word": false, "lstrip": false, "rstrip": false})
			})
		}
	}
	template := func(text string) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			edit(t, filepath.Join(dir, "tokenizer_config.json"), func(o map[string]any) { o["chat_template"] = text })
		}
	}
	for name, c := range map[string]struct {
		spoil func(t *testing.T, dir string)
		want  string
	}{
		"a broken tokenizer.json": {func(t *testing.T, dir string) {
			if err := os.WriteFile(filepath.Join(dir, "tokenizer.json"), []byte("{"), 0o666); err != nil {
				t.Fatal(err)
			}
		}, "tokenizer"},
		"an id beyond the rows":          {added(testVocab), "tokenizer"},
		"a hole in the ids":              {added(testVocab + 5), "tokenizer"},
		"a template that refuses":        {template(`{{ raise_exception("no\u001b[2J") }}`), "no\ufffd[2J"},
		"a template that cannot be read": {template("{% if %}"), "template"},
		"a broken generation_config.json": {func(t *testing.T, dir string) {
			if err := os.WriteFile(filepath.Join(dir, "generation_config.json"), []byte("[]"), 0o666); err != nil {
				t.Fatal(err)
			}
		}, "generation_config"},
	} {
		dir := testModel(t)
		works(t, "", "inspect", dir)
		c.spoil(t, dir)
		status, out, says := execute(t, "", "inspect", dir)
		if status != exitFailed || !strings.Contains(out, "would not run: ") || !strings.Contains(out, c.want) || strings.Contains(out, "\x1b") || says == "" {
			t.Errorf("%s: status %d, %s\n%s", name, status, says, out)
		}
		_, out, _ = execute(t, "", "inspect", dir, "--json")
		if o := jsonLines(t, out)[0]; len(o["problems"].([]any)) != 1 || len(o["tensors"].([]any)) == 0 {
			t.Errorf("%s: problems %v", name, o["problems"])
		}
		// It is right: the model is refused.
		if status, _, says := execute(t, "", "chat", dir, "--prompt", "x", "--max-tokens", "1"); status != exitFailed || strings.Contains(says, "\x1b") {
			t.Errorf("%s: chat has status %d, %q", name, status, says)
		}
	}
}

// edit changes a JSON file.
func edit(t *testing.T, path string, change func(o map[string]any)) {
	t.Helper()
	o := map[string]any{}
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &o)
	}
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	change(o)
	if text, err = json.Marshal(o); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o666); err != nil {
		t.Fatal(err)
	}
}

// Names that a terminal would obey are quoted.
func TestInspectQuotesNames(t *testing.T) {
	dir := t.TempDir()
	name := "\x1b]0;pwn\x07\nfake"
	if err := safetensors.Write(filepath.Join(dir, "model.safetensors"), []safetensors.Source{safetensors.Floats(name, safetensors.F32, []int{1}, []float32{1})}, nil); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(`{"model_type":"\u001b]0;pwn\u0007"}`), 0o666); err != nil {
		t.Fatal(err)
	}
	_, out, says := execute(t, "", "inspect", dir)
	if strings.ContainsAny(out+says, "\x1b\x07") || strings.Contains(out, "\nfake") || !strings.Contains(out, fmt.Sprintf("%q", name)) {
		t.Errorf("%q, %q", out, says)
	}
}
