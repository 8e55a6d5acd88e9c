package tune

// This file holds the order of an epoch, which a seed and a cursor name.

import (
	"encoding/json"
	"fmt"
	"math/bits"
	"math/rand/v2"
)

// order gives the numbers below n, every one once an epoch, each epoch in another order. The last batch of an epoch is filled
// from the next.
type order struct {
	n    int
	seed uint64
	at   cursor
	list []int32 // of this epoch
}

type cursor struct {
	Epoch int64 `json:"epoch"`
	Row   int   `json:"row"`
}

func newOrder(n int, seed uint64) *order {
	o := &order{n: n, seed: seed}
	o.shuffle()
	return o
}

func (o *order) shuffle() {
	o.list = make([]int32, o.n)
	r := rand.NewPCG(o.seed, uint64(o.at.Epoch))
	for i := range o.list { // Fisher and Yates, from the inside out
		j, _ := bits.Mul64(r.Uint64(), uint64(i)+1)
		o.list[i] = o.list[j]
		o.list[j] = int32(i)
	}
}

func (o *order) next() int32 {
	if o.at.Row == o.n {
		o.at = cursor{Epoch: o.at.Epoch + 1}
		o.shuffle()
	}
	o.at.Row++
	return o.list[o.at.Row-1]
}

// Cursor is where Next goes on.
func (o *order) Cursor() ([]byte, error) { return json.Marshal(o.at) }

// Seek goes to a Cursor, nil for the beginning.
func (o *order) Seek(at []byte) error {
	var c cursor
	if at != nil {
		if err := json.Unmarshal(at, &c); err != nil {
			return fmt.Errorf("tune: the cursor of the data: %w", err)
		}
	}
	if c.Epoch < 0 || c.Row < 0 || c.Row > o.n {
		return fmt.Errorf("tune: the saved position (epoch %d, row %d) is damaged: there are %d rows", c.Epoch, c.Row, o.n)
	}
	o.at = c
	o.shuffle()
	return nil
}
