// This file holds what a checkpoint says against its tie_word_embeddings.

package model

import (
	"bytes"

	"github.com/haenyeo/haenyeo/format/safetensors"
)

// Untie sets TieWordEmbeddings to false where head, the lm_head.weight that the files hold nevertheless, is another
// matrix than embed: then the model was trained with it, and transformers too uses it. A copy of embed changes nothing.
func (c *Config) Untie(embed, head safetensors.Tensor) {
	if c.TieWordEmbeddings && (embed.DType != head.DType || !bytes.Equal(embed.Data, head.Data)) {
		c.TieWordEmbeddings = false
	}
}
