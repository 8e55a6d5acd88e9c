package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestLoad(t *testing.T) {
	var mu sync.Mutex
	prompts := map[string]bool{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q struct{ Messages []struct{ Content string } }
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil || r.URL.Path != "/v1/chat/completions" || r.Header.Get("Authorization") != "Bearer k" {
			http.Error(w, "wrong", 400)
			return
		}
		mu.Lock()
		n := len(prompts)
		prompts[q.Messages[0].Content] = true
		mu.Unlock()
		if n == 5 {
			http.Error(w, "busy", http.StatusTooManyRequests)
			return
		}
		io.WriteString(w, ": keep-alive\n\ndata: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n")
		for range 3 {
			io.WriteString(w, "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n")
		}
		io.WriteString(w, "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3}}\n\ndata: [DONE]\n\n")
	}))
	defer s.Close()
	r, err := Load(context.Background(), Loading{URL: s.URL + "/", Key: "k", Clients: 3, Requests: 4, Words: 5, MaxTokens: 3})
	if err != nil {
		t.Fatal(err)
	}
	if r.Requests != 12 || r.Errors != 1 || !strings.Contains(r.Error, "busy") || r.Tokens != 33 || r.PromptTokens != 77 || r.TokS <= 0 || r.FirstP50 > r.FirstP99 || r.NextP50 > r.NextP99 {
		t.Errorf("%+v", r)
	}
	if len(prompts) != 12 {
		t.Errorf("%d prompts", len(prompts))
	}
}

func TestLoadReads(t *testing.T) {
	for stream, want := range map[string]string{
		"": "without [DONE]", "data: {\n\n": "chunk", "data: {\"error\":{\"message\":\"x\"}}\n\n": "gives up", "data: {\"choices\":[]}\n\ndata: [DONE]\n\n": "",
		"data: " + strings.Repeat("x", maxLine): "too long",
	} {
		err := new(asked).read(strings.NewReader(stream), time.Now())
		if got := fmt.Sprint(err); want == "" && err != nil || !strings.Contains(got, want) {
			t.Errorf("%.20q: %v", stream, err)
		}
	}
}

func TestQuantile(t *testing.T) {
	var times []time.Duration
	for i := 100; i > 0; i-- {
		times = append(times, time.Duration(i)*time.Millisecond)
	}
	if quantile(times, 0.5) != 50 || quantile(times, 0.99) != 99 || quantile(times[:1], 0.99) != 1 || quantile(nil, 0.5) != 0 {
		t.Errorf("%v %v", quantile(times, 0.5), quantile(times, 0.99))
	}
}
