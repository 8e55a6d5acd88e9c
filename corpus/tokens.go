// This file turns documents into tokens: Tokenize, which runs the tokenizer on several processors
// and keeps the order of the documents; then what a Tokens can tell about itself. The file behind
// a large one is in tokenfile.go.

package corpus

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math"
	"runtime"
	"sync"
	"unsafe"
)

// TokenOptions says how to tokenise. Encode, Vocab and one of BOS and EOS are required.
type TokenOptions struct {
	// Encode appends the ids of a text to dst, without marks of beginning or end. It is called by
	// several goroutines at once.
	Encode func(dst []int32, text string) []int32
	Vocab  int
	// BOS begins a document and EOS ends it; -1 where the tokenizer has none. Without BOS, EOS
	// begins documents as well, so that the first token of a text has something before it.
	BOS, EOS int32
	Workers  int // 0: one for each processor
	// Path, if set, is the file that holds the tokens; they are mapped, not loaded. What is there
	// already is taken if its Fingerprint is this one, and replaced if not. Without Path they are in
	// memory, at 2 bytes each for vocabularies up to 65,536, else 4.
	Path string
	// Fingerprint names the documents and the tokenizer.
	Fingerprint [32]byte
}

// Tokens are tokenised documents, read-only. Close it if it came from a file.
type Tokens struct {
	chunks [][]byte // little endian, chunkBytes each but the last
	length int64    // tokens
	width  int      // bytes of a token
	docs   []doc
	strata []Stratum
	start  int32 // the token before a text

	print [32]byte
	close func() error
}

// doc is one document.
type doc struct {
	end     int64 // of its tokens; it begins where the one before ends
	bytes   int32 // of its text
	stratum uint16
}

// Stratum is the documents of one language and source: what a mixture weighs.
type Stratum struct {
	Lang, Source             string
	Documents, Tokens, Bytes int64
}

const (
	jobBytes  = 128 << 10 // of text that a worker takes at once
	maxStrata = 4096      // further pairs of language and source count as one
	// chunkBytes is how tokens in memory grow: one slice that grows by copying would need twice
	// the room.
	chunkBytes = 4 << 20
)

// job is some documents on their way through a worker.
type job struct {
	docs []Document
	ids  []int32
	ends []int // in ids
	err  error
	done chan struct{}
}

// Tokenize encodes docs in their order. With a Path nothing new is left there unless all went well.
func Tokenize(ctx context.Context, docs iter.Seq2[Document, error], opt TokenOptions) (*Tokens, error) {
	start, err := opt.check()
	if err != nil {
		return nil, err
	}
	if opt.Path != "" {
		if t, err := OpenTokens(opt.Path, opt.Vocab, opt.Fingerprint); err == nil {
			return t, nil
		}
	}
	w, err := newTokenWriter(&opt, start)
	if err != nil {
		return nil, err
	}
	defer w.abort()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p := newPipeline(ctx, cancel, w, start)
	err = p.feed(docs)
	if err == nil {
		err = ctx.Err()
	}
	if failed := p.finish(); failed != nil {
		return nil, failed
	}
	if err != nil {
		return nil, err
	}
	return w.finish()
}

// check returns the token before a text.
func (o *TokenOptions) check() (start int32, err error) {
	if o.Encode == nil || o.Vocab <= 0 {
		return 0, fmt.Errorf("corpus: tokenising needs a tokenizer")
	}
	if start = o.BOS; start < 0 {
		start = o.EOS
	}
	if start < 0 {
		return 0, fmt.Errorf("corpus: the tokenizer has neither BOS nor EOS: documents could not be told apart; use a tokenizer with an end-of-text token")
	}
	if int(o.BOS) >= o.Vocab || int(o.EOS) >= o.Vocab {
		return 0, fmt.Errorf("corpus: BOS %d or EOS %d is outside the vocabulary of %d", o.BOS, o.EOS, o.Vocab)
	}
	return start, nil
}

// pipeline is the way of jobs from the reader of documents, which is the caller, through the workers to the
// writer.
type pipeline struct {
	ctx     context.Context
	queue   chan *job // to the workers
	order   chan *job // to the writer, in order; bounds what is under way
	spare   chan *job // finished jobs, for their buffers
	running sync.WaitGroup
	failed  error // the writer's; read when nothing is running
}

// newPipeline starts the workers and the writer to w. cancel ends ctx, which ends feed, when writing fails.
func newPipeline(ctx context.Context, cancel context.CancelFunc, w *tokenWriter, start int32) *pipeline {
	workers := w.opt.Workers
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	p := &pipeline{ctx: ctx, queue: make(chan *job), order: make(chan *job, 2*workers), spare: make(chan *job, 2*workers+2)}
	for range workers {
		p.running.Go(func() {
			for j := range p.queue {
				j.encode(w.opt, start)
				close(j.done)
			}
		})
	}
	p.running.Go(func() {
		for j := range p.order {
			<-j.done
			if p.failed == nil {
				if p.failed = w.write(j); p.failed != nil {
					cancel()
				}
			}
			select {
			case p.spare <- j:
			default:
			}
		}
	})
	return p
}

// feed sends docs on their way. It returns early, without an error, when the context ends.
func (p *pipeline) feed(docs iter.Seq2[Document, error]) error {
	j, size := p.next(), 0
	for d, err := range docs {
		if err != nil {
			return err
		}
		j.docs = append(j.docs, d)
		if size += len(d.Text); size >= jobBytes {
			if !p.send(j) {
				return nil
			}
			j, size = p.next(), 0
		}
	}
	if len(j.docs) > 0 {
		p.send(j)
	}
	return nil
}

func (p *pipeline) send(j *job) bool {
	select {
	case p.order <- j:
		p.queue <- j
		return true
	case <-p.ctx.Done():
		return false
	}
}

// next is an empty job, with the buffers of a finished one if there is any.
func (p *pipeline) next() *job {
	select {
	case j := <-p.spare:
		return &job{docs: j.docs[:0], ids: j.ids[:0], ends: j.ends[:0], done: make(chan struct{})}
	default:
		return &job{done: make(chan struct{})}
	}
}

// finish waits for what is under way and returns the writer's error.
func (p *pipeline) finish() error {
	close(p.queue)
	close(p.order)
	p.running.Wait()
	return p.failed
}

func (j *job) encode(opt *TokenOptions, start int32) {
	for i := range j.docs {
		from := len(j.ids)
		j.ids = append(j.ids, start)
		j.ids = opt.Encode(j.ids, j.docs[i].Text)
		for _, id := range j.ids[from:] {
			if id < 0 || int(id) >= opt.Vocab {
				j.err = fmt.Errorf("corpus: the tokenizer gave id %d, the vocabulary has %d: model and tokenizer do not belong together", id, opt.Vocab)
				return
			}
		}
		if opt.EOS >= 0 && !j.docs[i].Continues {
			j.ids = append(j.ids, opt.EOS)
		}
		j.ends = append(j.ends, len(j.ids))
	}
}

// tokenWriter collects what the workers made.
type tokenWriter struct {
	t     *Tokens
	opt   *TokenOptions
	file  *tokenFile // nil: in memory
	index map[[2]string]uint16
	buf   []byte
}

func newTokenWriter(opt *TokenOptions, start int32) (*tokenWriter, error) {
	w := &tokenWriter{opt: opt, index: map[[2]string]uint16{}}
	w.t = &Tokens{width: 2, start: start, print: opt.Fingerprint, close: func() error { return nil }}
	if opt.Vocab > math.MaxUint16+1 {
		w.t.width = 4
	}
	if opt.Path != "" {
		var err error
		if w.file, err = createTokenFile(opt.Path); err != nil {
			return nil, err
		}
	}
	return w, nil
}

func (w *tokenWriter) write(j *job) error {
	if j.err != nil {
		return j.err
	}
	from := 0
	for i := range j.docs {
		d := &j.docs[i]
		n := int64(j.ends[i] - from)
		from = j.ends[i]
		w.t.length += n
		s := w.stratum(d)
		st := &w.t.strata[s]
		st.Documents++
		st.Tokens += n
		st.Bytes += int64(len(d.Text))
		w.t.docs = append(w.t.docs, doc{end: w.t.length, bytes: int32(len(d.Text)), stratum: s})
	}
	w.buf = w.buf[:0]
	for _, id := range j.ids {
		if w.t.width == 2 {
			w.buf = binary.LittleEndian.AppendUint16(w.buf, uint16(id))
		} else {
			w.buf = binary.LittleEndian.AppendUint32(w.buf, uint32(id))
		}
	}
	if w.file != nil {
		return w.file.write(w.buf)
	}
	for b := w.buf; len(b) > 0; {
		last := len(w.t.chunks) - 1
		if last < 0 || len(w.t.chunks[last]) == chunkBytes {
			w.t.chunks = append(w.t.chunks, make([]byte, 0, chunkBytes))
			last++
		}
		c := w.t.chunks[last]
		n := min(len(b), chunkBytes-len(c))
		w.t.chunks[last] = append(c, b[:n]...)
		b = b[n:]
	}
	return nil
}

func (w *tokenWriter) stratum(d *Document) uint16 {
	key := [2]string{d.Lang, d.Source}
	s, ok := w.index[key]
	if ok {
		return s
	}
	if len(w.t.strata) >= maxStrata {
		key = [2]string{"und", others}
		if s, ok = w.index[key]; ok {
			return s
		}
	}
	s = uint16(len(w.t.strata))
	w.index[key] = s
	w.t.strata = append(w.t.strata, Stratum{Lang: key[0], Source: key[1]})
	return s
}

func (w *tokenWriter) finish() (*Tokens, error) {
	if len(w.t.docs) == 0 {
		return nil, fmt.Errorf("corpus: %w: there are no documents to tokenise", ErrNoText)
	}
	if w.file == nil {
		return w.t, nil
	}
	if err := w.file.commit(w.t); err != nil {
		return nil, err
	}
	return OpenTokens(w.opt.Path, w.opt.Vocab, w.opt.Fingerprint)
}

func (w *tokenWriter) abort() {
	if w.file != nil {
		w.file.abort()
	}
}

// Len returns the number of tokens, marks of beginning and end included.
func (t *Tokens) Len() int64 { return t.length }

// Documents returns the number of documents.
func (t *Tokens) Documents() int { return len(t.docs) }

// Bytes returns the bytes of text.
func (t *Tokens) Bytes() int64 {
	var n int64
	for _, s := range t.strata {
		n += s.Bytes
	}
	return n
}

// Strata returns the languages and sources, in the order in which they first appear. It must not
// be changed.
func (t *Tokens) Strata() []Stratum { return t.strata }

// Close gives back the file, if there is one.
func (t *Tokens) Close() error { return t.close() }

// span returns where document i lies.
func (t *Tokens) span(i int) (from, to int64) {
	if i > 0 {
		from = t.docs[i-1].end
	}
	return from, t.docs[i].end
}

// lost is the error of a page of tokens that is gone, nil where addr is none of theirs.
func (t *Tokens) lost(addr uintptr) error {
	for _, c := range t.chunks {
		if first := uintptr(unsafe.Pointer(unsafe.SliceData(c))); first <= addr && addr < first+uintptr(len(c)) {
			return errors.New("corpus: the file of tokens became shorter while it was read, or its disk failed: begin the run again with --resume")
		}
	}
	return nil
}

// read copies tokens from a position on.
func (t *Tokens) read(dst []int32, from int64) {
	at := from * int64(t.width)
	for len(dst) > 0 {
		b := t.chunks[at/chunkBytes][at%chunkBytes:]
		n := min(len(dst), len(b)/t.width)
		if t.width == 2 {
			for i := range n {
				dst[i] = int32(binary.LittleEndian.Uint16(b[2*i:]))
			}
		} else {
			for i := range n {
				dst[i] = int32(binary.LittleEndian.Uint32(b[4*i:]))
			}
		}
		dst, at = dst[n:], at+int64(n*t.width)
	}
}
