package task

// What a task is. The ladder has some (ladder.go); task/sandbox makes one of a user's file or command.

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
)

// Task makes questions and verifies answers. All methods may be called from several goroutines at once.
type Task interface {
	Name() string

	// Item returns the n-th question of a seed. It is a pure function of its arguments, so that a run resumes at any
	// step without replaying the steps before it. Questions may repeat; those of Train and HeldOut are never the same.
	Item(split Split, seed, n uint64) (Item, error)

	// Demonstrate returns a correct answer with its scratch work, in the strict format; "" when the task has none.
	Demonstrate(it Item) (string, error)

	// Verify scores a text that a model wrote. Its time and memory are bounded whatever the text; it never panics.
	Verify(ctx context.Context, it Item, text string) Verdict
}

// Item is one question.
type Item struct {
	ID     string          `json:"id"` // the same for the same question, however it is worded
	Prompt string          `json:"prompt"`
	Answer string          `json:"answer,omitempty"` // a correct answer; there may be others
	Work   string          `json:"work,omitempty"`   // scratch work that leads to Answer
	Lang   string          `json:"lang,omitempty"`   // "en", "ko", ...
	Data   json.RawMessage `json:"data,omitempty"`   // what the verifier needs besides
}

// Verdict is the score of one text.
type Verdict struct {
	Reward  float64 // 0 to 1
	Correct bool    // the answer is right and in the strict format
	Lenient bool    // the answer is right wherever it stands
	Format  bool    // the strict format is met
	Detail  string  // why, for people
	Err     error   // the verifier failed, not the model: crashed, hung, flooded or returned nonsense; Reward is 0
}

// Split tells questions to train on from those to measure with.
type Split uint8

const (
	Train Split = iota
	HeldOut
)

// String is the name in files and messages.
func (s Split) String() string {
	if s == HeldOut {
		return "held-out"
	}
	return "train"
}

// heldOutShare is the share of all questions that is never trained on: one in heldOutShare.
const heldOutShare = 8

// SplitOf says on which side a question stands. key is what is asked, the same for two wordings of one question.
func SplitOf(task, key string) Split {
	if hash(task, key)%heldOutShare == 0 {
		return HeldOut
	}
	return Train
}

// ItemID names a question by its task and key.
func ItemID(task, key string) string { return fmt.Sprintf("%s-%016x", task, hash(task, key)) }

func hash(task, key string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(task))
	h.Write([]byte{0})
	h.Write([]byte(key))
	x := h.Sum64()
	x ^= x >> 32 // the low bits of FNV follow the last letter closely: mix
	x *= 0xd6e8feb86659fd93
	return x ^ x>>32
}

// Draws limits how many questions are drawn to find one of a split, or one that is new.
const Draws = 4096

// Random is the source of everything random in the n-th question of a seed.
func Random(task string, seed, n uint64) *rand.Rand {
	return rand.New(rand.NewPCG(seed^hash(task, ""), n))
}

// HeldOutSet returns n different questions of HeldOut.
func HeldOutSet(t Task, seed uint64, n int) ([]Item, error) {
	var items []Item
	seen := map[string]bool{}
	for i, misses := uint64(0), 0; len(items) < n; i++ {
		it, err := t.Item(HeldOut, seed, i)
		if err != nil {
			return nil, err
		}
		if seen[it.ID] {
			if misses++; misses == Draws {
				return nil, fmt.Errorf("task %q: %d different held-out questions found, %d wanted: ask for fewer, or let the task generate more kinds", t.Name(), len(items), n)
			}
			continue
		}
		misses, seen[it.ID] = 0, true
		items = append(items, it)
	}
	return items, nil
}
