package tune

import (
	"reflect"
	"testing"

	"github.com/haenyeo/haenyeo/model"
)

// An epoch has every learned token once as a target, behind the tokens of its own sequence alone; and a run that goes on from a
// cursor sees what the other would have seen.
func TestSource(t *testing.T) {
	var examples []Example
	next, learned := int32(1), map[int32]int32{} // target to the token before it; every token is unique
	for n := 2; n < 12; n++ {
		var e Example
		for i := range n {
			e.Tokens, e.Answer = append(e.Tokens, next), append(e.Answer, i > 0 && (i+n)%3 != 0)
			if e.Answer[i] {
				learned[next] = next - 1
			}
			next++
		}
		examples = append(examples, e)
	}
	const b, rowLength = 2, 12
	s, err := NewSource(examples, b, rowLength, 7)
	if err != nil {
		t.Fatal(err)
	}
	start := map[int32]int32{} // token to the first of its sequence
	for _, e := range examples {
		for _, id := range e.Tokens {
			start[id] = e.Tokens[0]
		}
	}
	seen := map[int32]int{}
	for range s.Rows() { // b epochs
		var batch model.Batch
		if err := s.Next(&batch); err != nil {
			t.Fatal(err)
		}
		for i, target := range batch.Targets {
			row, at := i/rowLength, i%rowLength
			token, first := batch.Tokens[row*(rowLength+1)+at], batch.Tokens[row*(rowLength+1)+int(batch.First[i])]
			if token != 0 && first != start[token] {
				t.Fatalf("token %d sees from %d on, its sequence begins with %d", token, first, start[token])
			}
			if target >= 0 {
				seen[target]++
				if learned[target] != token || target == 0 {
					t.Fatalf("target %d behind %d", target, token)
				}
			}
		}
	}
	for id := range learned {
		if seen[id] != b {
			t.Errorf("token %d was a target %d times in %d epochs", id, seen[id], b)
		}
	}

	at, err := s.Cursor()
	if err != nil {
		t.Fatal(err)
	}
	again, _ := NewSource(examples, b, rowLength, 7)
	if err := again.Seek(at); err != nil {
		t.Fatal(err)
	}
	for range 2 * s.Rows() {
		var x, y model.Batch
		s.Next(&x)
		again.Next(&y)
		if !reflect.DeepEqual(x, y) {
			t.Fatal("a cursor leads elsewhere")
		}
	}
	for _, bad := range []string{`{`, `{"row":99}`, `{"epoch":-1}`} {
		if again.Seek([]byte(bad)) == nil {
			t.Errorf("cursor %s was taken", bad)
		}
	}
	other, _ := NewSource(examples, b, rowLength, 8)
	if other.Fingerprint() == s.Fingerprint() {
		t.Error("another order has the same fingerprint")
	}
	if _, err := NewSource(examples, b, 5, 7); err == nil {
		t.Error("examples longer than a row were taken")
	}
}
