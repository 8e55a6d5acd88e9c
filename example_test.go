package haenyeo_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/haenyeo/haenyeo"
)

// Train a model of your own text, save it, load it and let it write.
func Example() {
	dir, err := os.MkdirTemp("", "haenyeo")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ctx, out := context.Background(), filepath.Join(dir, "model")

	err = haenyeo.Create(ctx, haenyeo.CreateRequest{Data: []string{"testdata/sea.txt"}, Out: out, Size: "nano", Steps: 10})
	if err != nil {
		log.Fatal(err)
	}
	m, err := haenyeo.Open(out, haenyeo.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	r, err := m.Generate(ctx, haenyeo.Request{Prompt: "The sea", MaxTokens: 20}, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(r.Tokens), r.FinishReason)
	// Output: 20 length
}
