package serve

// Embeddings, in the OpenAI and the Ollama API.

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"math"
	"net/http"
	"time"

	"github.com/haenyeo/haenyeo/infer"
	"github.com/haenyeo/haenyeo/tokenizer"
)

// Embedder is an Engine that makes embeddings too: vectors of length 1.
type Embedder interface {
	Embed(ctx context.Context, tokens []int32) ([]float32, error)
}

// maxInputs is how many texts one request may have embedded.
const maxInputs = 256

// embeddingsJSON is the body of embeddings.
type embeddingsJSON struct {
	Model      string          `json:"model"`
	Input      json.RawMessage `json:"input"`
	Encoding   string          `json:"encoding_format"`
	Dimensions *int            `json:"dimensions"`
	User       string          `json:"user"`
}

type embeddingListJSON struct {
	Object string          `json:"object"`
	Data   []embeddingJSON `json:"data"`
	Model  string          `json:"model"`
	Usage  struct {
		Prompt int `json:"prompt_tokens"`
		Total  int `json:"total_tokens"`
	} `json:"usage"`
}

type embeddingJSON struct {
	Object    string `json:"object"`
	Index     int    `json:"index"`
	Embedding any    `json:"embedding"`
}

// inputsOf gives the ids of the input.
func inputsOf(m *Model, raw json.RawMessage) ([][]int32, error) {
	texts, many, err := textsOrIDs(raw, "input")
	if err != nil {
		return nil, err
	}
	bos, hasBOS := m.Tokenizer.BOS()
	for _, t := range texts {
		tokens := m.Tokenizer.EncodeSpans(nil, []tokenizer.Span{{Text: t}})
		if hasBOS && (len(tokens) == 0 || tokens[0] != bos) {
			tokens = append([]int32{bos}, tokens...)
		}
		many = append(many, tokens)
	}
	if len(many) == 0 || len(many) > maxInputs {
		return nil, fail(outOfRange, "input", "%d inputs: must be 1 to %d", len(many), maxInputs)
	}
	for i, tokens := range many {
		if len(tokens) == 0 {
			return nil, fail(outOfRange, "input", "input %d is empty", i)
		}
		if len(tokens) >= m.Context {
			return nil, fail(tooLong, "input", "input %d has %d tokens, and the context of model %q holds %d: shorten it", i, len(tokens), m.Name, m.Context)
		}
		for _, id := range tokens {
			if id < 0 || int(id) >= m.Vocab {
				return nil, fail(outOfRange, "input", "token %d: the model's ids go from 0 to %d", id, m.Vocab-1)
			}
		}
	}
	return many, nil
}

// embed makes the embeddings of texts, one after the other, as one request at the gate.
func (x *exchange) embed(m *Model, raw json.RawMessage, dimensions int) (list [][]float32, tokens int, err error) {
	e, ok := m.Engine.(Embedder)
	if !ok {
		return nil, 0, fail(notImplemented, "model", "model %q makes no embeddings", m.Name)
	}
	inputs, err := inputsOf(m, raw)
	if err != nil {
		return nil, 0, err
	}
	if err := x.spend(); err != nil {
		return nil, 0, err
	}
	ctx, leave, err := x.server.enter(x.request.Context(), m, x.client, x.priority)
	if err != nil {
		return nil, 0, err
	}
	defer leave()
	for _, input := range inputs {
		vector, err := e.Embed(ctx, input)
		if err != nil {
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			} else {
				x.server.log.Error("an embedding failed", "model", m.Name, "why", err)
			}
			return nil, 0, err
		}
		tokens += len(input)
		if dimensions > len(vector) {
			return nil, 0, fail(outOfRange, "dimensions", "dimensions is %d: the embeddings of model %q have %d", dimensions, m.Name, len(vector))
		}
		if dimensions > 0 {
			vector = infer.Normalized(vector[:dimensions])
		}
		list = append(list, vector)
	}
	if x.key != nil {
		x.key.tokens.take(time.Now(), tokens)
	}
	x.count(m.Name, usage{prompt: tokens})
	return list, tokens, nil
}

// embeddings answers POST embeddings.
func (s *Server) embeddings(x *exchange) error {
	var body embeddingsJSON
	if err := x.read(&body); err != nil {
		return err
	}
	m, err := x.use(body.Model)
	if err != nil {
		return err
	}
	dimensions := 0
	if body.Dimensions != nil {
		if dimensions = *body.Dimensions; dimensions < 1 {
			return fail(outOfRange, "dimensions", "dimensions is %d: must be 1 or more", dimensions)
		}
	}
	if body.Encoding != "" && body.Encoding != "float" && body.Encoding != "base64" {
		return fail(outOfRange, "encoding_format", "encoding_format %q is neither float nor base64", body.Encoding)
	}
	vectors, tokens, err := x.embed(m, body.Input, dimensions)
	if err != nil {
		return err
	}
	list := embeddingListJSON{Object: "list", Model: m.Name}
	list.Usage.Prompt, list.Usage.Total = tokens, tokens
	for i, v := range vectors {
		e := embeddingJSON{"embedding", i, v}
		if body.Encoding == "base64" {
			e.Embedding = packed(v)
		}
		list.Data = append(list.Data, e)
	}
	return x.reply(http.StatusOK, list)
}

// packed writes a vector as little-endian float32 in base64.
func packed(v []float32) string {
	b := make([]byte, 0, 4*len(v))
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	return base64.StdEncoding.EncodeToString(b)
}

// ollamaEmbedJSON is the body of /api/embed and, with prompt, of the older /api/embeddings.
type ollamaEmbedJSON struct {
	Model      string          `json:"model"`
	Input      json.RawMessage `json:"input"`
	Prompt     string          `json:"prompt"`
	Dimensions int             `json:"dimensions"`
}

// ollamaEmbed answers POST /api/embed.
func (s *Server) ollamaEmbed(x *exchange) error {
	began := time.Now()
	var body ollamaEmbedJSON
	if err := x.read(&body); err != nil {
		return err
	}
	m, err := x.use(s.untagged(body.Model))
	if err != nil {
		return err
	}
	if body.Dimensions < 0 {
		return fail(outOfRange, "dimensions", "dimensions is %d: must be 1 or more", body.Dimensions)
	}
	vectors, tokens, err := x.embed(m, body.Input, body.Dimensions)
	if err != nil {
		return err
	}
	return x.reply(http.StatusOK, struct {
		Model      string        `json:"model"`
		Embeddings [][]float32   `json:"embeddings"`
		Total      time.Duration `json:"total_duration"`
		Load       time.Duration `json:"load_duration"`
		Tokens     int           `json:"prompt_eval_count"`
	}{m.Name, vectors, time.Since(began), 0, tokens})
}

// ollamaEmbedding answers POST /api/embeddings.
func (s *Server) ollamaEmbedding(x *exchange) error {
	var body ollamaEmbedJSON
	if err := x.read(&body); err != nil {
		return err
	}
	m, err := x.use(s.untagged(body.Model))
	if err != nil {
		return err
	}
	vectors, _, err := x.embed(m, encode(body.Prompt), 0)
	if err != nil {
		return err
	}
	return x.reply(http.StatusOK, struct {
		Embedding []float32 `json:"embedding"`
	}{vectors[0]})
}
