package infer

import (
	"context"
	"math"
	"slices"
	"testing"

	"github.com/haenyeo/haenyeo/forward"
)

// An embedding is the mean of the states that meet the head, whatever the chunks and the neighbours.
func TestEmbed(t *testing.T) {
	for _, name := range goldenNets {
		net := openNet(t, name)
		tokens := prompt(net, 90, 3)
		d := net.Config().HiddenSize

		cache, err := net.NewCache(len(tokens))
		if err != nil {
			t.Fatal(err)
		}
		sum := make([]float64, d)
		for lo := 0; lo < len(tokens); lo += 32 {
			step := forward.Step{Cache: cache, Tokens: tokens[lo:min(lo+32, len(tokens))]}
			step.Hidden = make([]float32, len(step.Tokens)*d)
			if err := net.Run(context.Background(), []*forward.Step{&step}); err != nil {
				t.Fatal(err)
			}
			for i, v := range step.Hidden {
				sum[i%d] += float64(v)
			}
		}
		want := Normalized(sum)

		s := newTestScheduler(t, net, SchedulerOptions{Chunk: 32, PrefixBytes: 1 << 20})
		for range 2 { // nothing is taken from the first
			neighbour, err := s.Submit(context.Background(), Request{Tokens: tokens, MaxTokens: 10}, 0)
			if err != nil {
				t.Fatal(err)
			}
			got, err := s.Embed(context.Background(), tokens)
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("%s: %v\n%v\n%v", name, err, got[:4], want[:4])
			}
			if _, err := neighbour.Result(); err != nil {
				t.Error(err)
			}
		}
		var square float64
		for _, v := range want {
			square += float64(v) * float64(v)
		}
		if math.Abs(square-1) > 1e-5 {
			t.Errorf("%s: length %v", name, math.Sqrt(square))
		}
		if _, err := s.Embed(context.Background(), nil); err == nil {
			t.Error("no tokens are embedded")
		}
		closeScheduler(t, s)
	}
	if got := Normalized([]float32{0, 0}); got[0] != 0 {
		t.Errorf("%v", got)
	}
}
