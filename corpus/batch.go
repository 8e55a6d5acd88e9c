// This file holds Batch, what the data path gives and the model takes; and Stream, what a trainer
// draws batches from.

package corpus

// Batch is B rows of T positions.
type Batch struct {
	B, T    int
	Tokens  []int32 // [B,T+1]
	First   []int32 // [B*T] where the piece of each position begins in its row
	Targets []int32 // [B*T] the token to predict at each position, -1 for none
}

// NewBatch allocates a batch.
func NewBatch(b, t int) *Batch {
	return &Batch{B: b, T: t, Tokens: make([]int32, b*(t+1)), First: make([]int32, b*t), Targets: make([]int32, b*t)}
}

// reshape sets B, growing only.
func (b *Batch) reshape(rows, t int) {
	b.B, b.T = rows, t
	b.Tokens = resize(b.Tokens, rows*(t+1))
	b.First = resize(b.First, rows*t)
	b.Targets = resize(b.Targets, rows*t)
}

// row returns the slices of one row: T+1 tokens, T firsts, T targets.
func (b *Batch) row(i int) (tokens, first, targets []int32) {
	return b.Tokens[i*(b.T+1):][:b.T+1], b.First[i*b.T:][:b.T], b.Targets[i*b.T:][:b.T]
}

// fill writes the row that begins with piece p. It returns the number of targets.
func (t *Tokens) fill(ps []piece, p int32, tokens, first, targets []int32, pad int32) int {
	n, at := 0, 0
	for ; p >= 0; p = ps[p].next {
		size := int(ps[p].n)
		t.read(tokens[at:at+size], ps[p].from)
		for i := at; i < min(at+size, len(first)); i++ {
			first[i] = int32(at)
			if i+1 < at+size {
				targets[i] = tokens[i+1]
				n++
			} else {
				targets[i] = -1
			}
		}
		at += size
	}
	for i := at; i < len(tokens); i++ {
		tokens[i] = pad
		if i < len(first) {
			first[i], targets[i] = int32(i), -1
		}
	}
	return n
}

// State is where a Stream is. It is small and made for JSON.
type State struct {
	Seed  uint64 `json:"seed"`
	Epoch int64  `json:"epoch"`
	Row   int64  `json:"row"`  // of the epoch, the next to give
	Plan  string `json:"plan"` // hash of data, shape and mixture
}

// Stream gives batches in an order that a State names.
type Stream interface {
	// Next fills b. It allocates nothing, except at the beginning of an epoch. io.EOF: no more.
	Next(b *Batch) error
	State() State
	// Restore goes to a State; an error says that it belongs to another stream.
	Restore(State) error
}
