package weights

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/haenyeo/haenyeo/format/safetensors"
	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/model"
)

// A head beside tie_word_embeddings is used where it is another matrix than the embedding, by this package and in
// training.
func TestOwnHeadOfTiedModel(t *testing.T) {
	m, e := small(t)
	dir := t.TempDir()
	if err := m.Save(dir, kernel.F32); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "config.json")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	tied := strings.Replace(string(b), `"tie_word_embeddings": false`, `"tie_word_embeddings": true`, 1)
	if tied == string(b) {
		t.Fatalf("no key to change in %s", b)
	}
	if err := os.WriteFile(path, []byte(tied), 0o666); err != nil {
		t.Fatal(err)
	}
	check := func(want bool) {
		t.Helper()
		s := openModel(t, dir)
		if s.Config().TieWordEmbeddings != want {
			t.Errorf("tied: %v", !want)
		}
		again, err := model.Open(dir, e, model.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if again.Config().TieWordEmbeddings != want {
			t.Errorf("in training, tied: %v", !want)
		}
	}
	check(false)

	r, err := safetensors.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var tensors []safetensors.Tensor
	for _, n := range r.Names() {
		x, _ := r.Tensor(n)
		if n == "lm_head.weight" {
			embed, _ := r.Tensor("model.embed_tokens.weight")
			x.Data = embed.Data
		}
		tensors = append(tensors, x)
	}
	copied := filepath.Join(t.TempDir(), safetensors.FileName)
	writeTensors(t, copied, tensors)
	if err := os.Rename(copied, filepath.Join(dir, safetensors.FileName)); err != nil {
		t.Fatal(err)
	}
	check(true)
}
