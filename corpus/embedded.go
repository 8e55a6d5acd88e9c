// This file opens the corpus inside the program.

package corpus

import (
	"context"
	"fmt"

	"github.com/haenyeo/haenyeo/corpus/embedded"
)

// EmbeddedName stands for a path in the Report of the embedded corpus.
const EmbeddedName = "embedded/corpus.jsonl.zst"

// Embedded opens the corpus inside the program; embedded.Sources is the table of its licences. It
// reads no file.
func Embedded(ctx context.Context, opt Options) (*Corpus, error) {
	in := input{entry: entry{Path: EmbeddedName, Format: JSONL, Compression: "zstd", Source: "embedded"}, data: embedded.JSONL()}
	c, err := survey(ctx, []input{in}, nil, opt)
	if err != nil {
		return nil, fmt.Errorf("corpus: the embedded corpus is damaged, build the program anew: %w", err)
	}
	return c, nil
}
