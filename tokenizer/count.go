package tokenizer

// Counting the pieces of a text: the first half of training.
//
// One goroutine reads documents; others cut them and count. Counts lie in one table of shards, so that they are held once
// whatever the number of goroutines; each goroutine gathers what it sees often in a small table of its own first.

import (
	"context"
	"hash/maphash"
	"iter"
	"sync"
	"unicode/utf8"
)

const (
	countShards = 64
	roundBytes  = 16 << 20 // of text, between looks at the memory
	batchBytes  = 64 << 10 // of text, given to a goroutine at once
)

// pieceTable counts pieces.
type pieceTable struct {
	seed   maphash.Seed
	shards [countShards]pieceShard
}

type pieceShard struct {
	mu      sync.Mutex
	slots   []uint32 // open addressing: entry+1, 0 where free
	entries []countedPiece
	text    []byte // of the entries, one after the other
}

type countedPiece struct {
	count int64
	hash  uint32
	end   uint32 // in text
}

// countPieces counts the pieces of docs of two bytes and more: a single byte has no pairs.
func countPieces(ctx context.Context, docs iter.Seq2[string, error], opt *TrainOptions) (*pieceTable, error) {
	next, stop := iter.Pull2(docs)
	defer stop()
	table := &pieceTable{seed: maphash.MakeSeed()}
	counters := make([]*counter, opt.Threads)
	for i := range counters {
		counters[i] = &counter{table: table, classes: unicodeClasses(), longest: opt.MaxPieceRunes, lines: make([]counterLine, counterLines)}
	}
	read := int64(0)
	for more := true; more; {
		batches := make(chan []string, opt.Threads)
		var wg sync.WaitGroup
		for _, c := range counters {
			wg.Go(func() {
				for batch := range batches {
					for _, doc := range batch {
						c.document(doc)
					}
				}
				c.flush()
			})
		}
		var err error
		var batch []string
		for round, size := 0, 0; round < roundBytes; {
			doc, docErr, ok := next()
			if more = ok; !ok {
				break
			}
			if err = docErr; err != nil {
				break
			}
			batch = append(batch, doc)
			round, size, read = round+len(doc), size+len(doc), read+int64(len(doc))
			if size >= batchBytes {
				if err = ctx.Err(); err != nil {
					break
				}
				batches <- batch
				batch, size = nil, 0
			}
		}
		if err == nil && len(batch) > 0 {
			batches <- batch
		}
		close(batches)
		wg.Wait()
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, err
		}
		table.bound(opt.MaxMemory)
		opt.Progress(read, 0)
	}
	return table, nil
}

// counter cuts documents into pieces and gathers counts in a direct-mapped table of its own.
type counter struct {
	table   *pieceTable
	classes *classes
	longest int // in code points
	lines   []counterLine
}

type counterLine struct {
	count  uint32
	hash   uint32
	length uint8
	piece  [39]byte
}

const counterLines = 1 << 13

func (c *counter) document(s string) {
	for i := 0; i < len(s); {
		j := c.classes.nextV3(s, i)
		piece := s[i:j]
		i = j
		for len(piece) > c.longest { // no more code points than bytes
			n := c.classes.cut(piece, c.longest)
			if n == len(piece) {
				break
			}
			c.add(piece[:n])
			piece = piece[n:]
		}
		c.add(piece)
	}
}

func (c *counter) add(piece string) {
	if len(piece) < 2 {
		return
	}
	hash := uint32(maphash.String(c.table.seed, piece))
	if len(piece) > len(counterLine{}.piece) {
		c.table.add(piece, hash, 1)
		return
	}
	line := &c.lines[hash%counterLines]
	if line.hash == hash && string(line.piece[:line.length]) == piece && line.count < 1<<31 {
		line.count++
		return
	}
	if line.count > 0 {
		c.table.add(string(line.piece[:line.length]), line.hash, int64(line.count))
	}
	line.count, line.hash, line.length = 1, hash, uint8(len(piece))
	copy(line.piece[:], piece)
}

// flush hands everything over.
func (c *counter) flush() {
	for i := range c.lines {
		if line := &c.lines[i]; line.count > 0 {
			c.table.add(string(line.piece[:line.length]), line.hash, int64(line.count))
			line.count, line.length = 0, 0
		}
	}
}

func (t *pieceTable) add(piece string, hash uint32, count int64) {
	s := &t.shards[hash>>26]
	s.mu.Lock()
	s.add(piece, hash, count)
	s.mu.Unlock()
}

func (s *pieceShard) add(piece string, hash uint32, count int64) {
	if 4*(len(s.entries)+1) > 3*len(s.slots) {
		s.rehash(max(64, 2*len(s.slots)))
	}
	mask := uint32(len(s.slots) - 1)
	i := hash & mask
	for ; s.slots[i] != 0; i = (i + 1) & mask {
		if e := int(s.slots[i] - 1); s.entries[e].hash == hash && string(s.of(e)) == piece {
			s.entries[e].count += count
			return
		}
	}
	s.text = append(s.text, piece...)
	s.entries = append(s.entries, countedPiece{count, hash, uint32(len(s.text))})
	s.slots[i] = uint32(len(s.entries))
}

func (s *pieceShard) of(e int) []byte {
	from := uint32(0)
	if e > 0 {
		from = s.entries[e-1].end
	}
	return s.text[from:s.entries[e].end]
}

func (s *pieceShard) rehash(size int) {
	s.slots = make([]uint32, size)
	mask := uint32(size - 1)
	for e := range s.entries {
		i := s.entries[e].hash & mask
		for s.slots[i] != 0 {
			i = (i + 1) & mask
		}
		s.slots[i] = uint32(e + 1)
	}
}

// memory estimates what counting holds and merging will: 12 bytes for each byte of a piece, 24 for each piece.
func (t *pieceTable) memory() (bytes int64) {
	for i := range t.shards {
		bytes += 12*int64(len(t.shards[i].text)) + 24*int64(len(t.shards[i].entries))
	}
	return bytes
}

// bound forgets the rarest pieces when they take more than limit, until they take less than half.
func (t *pieceTable) bound(limit int64) {
	if t.memory() <= limit {
		return
	}
	for rare := int64(1); t.memory() > limit/2; rare *= 2 {
		for i := range t.shards {
			t.shards[i].forget(rare)
		}
	}
}

// forget drops the pieces that were counted at most so often.
func (s *pieceShard) forget(rare int64) {
	kept, text, from := 0, 0, uint32(0)
	for _, e := range s.entries {
		if e.count > rare {
			text += copy(s.text[text:], s.text[from:e.end])
			s.entries[kept] = countedPiece{e.count, e.hash, uint32(text)}
			kept++
		}
		from = e.end
	}
	s.entries, s.text = s.entries[:kept], s.text[:text]
	s.rehash(len(s.slots))
}

// cut gives where to cut a piece of more than n code points: after n or a little later, where no mark, vowel sign, stacked
// consonant or jamo is torn from what it belongs to; after 2n at the latest.
func (c *classes) cut(piece string, n int) int {
	before, count := rune(0), 0
	for i, r := range piece {
		if count >= 2*n || count >= n && c.mayCut(before, r) {
			return i
		}
		before = r
		count++
	}
	return len(piece)
}

func (c *classes) mayCut(before, after rune) bool {
	switch {
	case c[after]&mark != 0,
		after == 0x200D || before == 0x200D,                         // zero width joiner
		after >= 0x1160 && after <= 0x11FF,                          // Hangul vowels and finals
		after == 0x0E33 || after == 0x0EB3,                          // Thai and Lao AM, letters by category
		before >= 0x0E40 && before <= 0x0E44,                        // Thai vowels written before their consonant
		before >= 0x0EC0 && before <= 0x0EC4,                        // Lao
		before == 0x1039 || before == 0x17D2,                        // Burmese and Khmer signs that stack the next consonant
		before >= 0x0900 && before <= 0x0DFF && before&0x7F == 0x4D, // Indic virama
		before >= 0x0D80 && before == 0x0DCA,                        // Sinhala
		after == utf8.RuneError || before == utf8.RuneError:
		return false
	}
	return true
}
