package eval

// Questions that are answered by a text of the model, which takes the most probable token each time.
//
//	exact_match           the number behind the first #### is the answer ("strict-match" of lm-eval)
//	exact_match_flexible  the last number of the text is ("flexible-extract")
//
// Commas, dollar signs, a full stop at the end and upper case do not count.

import (
	"context"
	"regexp"
	"strings"
	"sync"

	"github.com/haenyeo/haenyeo/infer"
	"github.com/haenyeo/haenyeo/tokenizer"
)

var (
	behindMark = regexp.MustCompile(`#### (-?[0-9.,]+)`)
	anyNumber  = regexp.MustCompile(`(-?[$0-9.,]{2,})|(-?[0-9]+)`)
	upToMark   = regexp.MustCompile(`(?s).*#### `)
)

const noNumber = "[invalid]"

// strictNumber is the number behind the first ####.
func strictNumber(text string) string {
	if m := behindMark.FindStringSubmatch(text); m != nil {
		return m[1]
	}
	return noNumber
}

// lastNumber is the last number of a text.
func lastNumber(text string) string {
	if all := anyNumber.FindAllString(text, -1); all != nil {
		return strings.TrimSpace(all[len(all)-1])
	}
	return noNumber
}

// bare is an answer without what does not count.
func bare(s string) string {
	s = strings.NewReplacer(",", "", "$", "").Replace(s)
	s = upToMark.ReplaceAllString(s, "")
	return strings.ToLower(strings.TrimSuffix(s, "."))
}

// judgeAnswer says whether a text answers the question.
func (it *Item) judgeAnswer(ctx context.Context, text string) map[string]bool {
	if it.verify != nil {
		right, lenient := it.verify(ctx, text)
		return map[string]bool{"correct": right, "correct_lenient": lenient}
	}
	want := bare(it.Answer)
	return map[string]bool{
		"exact_match":          bare(strictNumber(text)) == want,
		"exact_match_flexible": bare(lastNumber(text)) == want,
	}
}

const together = 16 // answers that are written at a time

// answers writes the answers of items and tells done of each, in any order but one at a time.
func (m *Model) answers(ctx context.Context, prompts [][]int32, stop []string, maxTokens int, done func(i int, text string)) error {
	s, err := infer.NewScheduler(m.Net, infer.SchedulerOptions{Sequences: together, PrefixBytes: 256 << 20})
	if err != nil {
		return err
	}
	defer s.Close(context.Background()) // waits for nothing: every answer has ended
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var (
		all  sync.WaitGroup
		mu   sync.Mutex
		work = make(chan int)
	)
	for range min(together, len(prompts)) {
		all.Go(func() {
			for i := range work {
				r, err := s.Generate(ctx, infer.Request{Tokens: prompts[i], MaxTokens: maxTokens, Window: m.window(),
					Stop: stop, End: m.End, Text: m.Tokenizer.Stream(true)}, 0, nil)
				if err != nil {
					cancel(err)
					continue // the others end too
				}
				mu.Lock()
				done(i, r.Text)
				mu.Unlock()
			}
		})
	}
	for i := range prompts {
		if ctx.Err() != nil {
			break
		}
		select {
		case work <- i:
		case <-ctx.Done():
		}
	}
	close(work)
	all.Wait()
	return context.Cause(ctx)
}

// prompt is what an answer follows, cut from the left to leave room for it.
func (m *Model) prompt(text string, maxTokens int) []int32 {
	ids := m.Tokenizer.Encode(nil, text, tokenizer.EncodeOptions{AddSpecial: true, NoAddedTokens: true})
	if w := m.window(); w > 0 && len(ids) > max(1, w-maxTokens) {
		ids = ids[len(ids)-max(1, w-maxTokens):]
	}
	return ids
}
