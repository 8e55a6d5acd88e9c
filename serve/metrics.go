package serve

// GET /metrics: what the server does, in the text format of Prometheus. What has a name in vLLM stands there under that
// name too, so that dashboards and autoscalers made for it work.

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/haenyeo/haenyeo/infer"
)

// metrics counts what has happened.
type metrics struct {
	mu       sync.Mutex
	requests map[[3]string]int64 // by method, route and status
	ended    map[[2]string]int64 // answers, by model and finish reason
	models   map[string]*modelMetrics
}

// modelMetrics is about the answers of one model.
type modelMetrics struct {
	prompt, reused, answer int64
	first, each, whole     histogram // seconds: until the first token, between tokens, until the end
}

// bounds of histograms, in seconds.
var bounds = []float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300}

type histogram struct {
	counts [16]int64 // the last: above all bounds
	sum    float64
}

func (h *histogram) add(seconds float64, n int64) {
	i, _ := slices.BinarySearch(bounds, seconds)
	h.counts[i] += n
	h.sum += seconds * float64(n)
}

// request counts a request that was answered.
func (m *metrics) request(method, route string, status int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.requests == nil {
		m.requests = map[[3]string]int64{}
	}
	m.requests[[3]string{method, route, strconv.Itoa(status)}]++
}

// answered counts an answer: when it began, its first and its last token came.
func (m *metrics) answered(model string, why finish, u usage, began, first, last time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.models == nil {
		m.models, m.ended = map[string]*modelMetrics{}, map[[2]string]int64{}
	}
	if m.models[model] == nil {
		m.models[model] = &modelMetrics{}
	}
	m.ended[[2]string{model, string(why)}]++
	k := m.models[model]
	k.prompt += int64(u.prompt)
	k.reused += int64(u.reused)
	k.answer += int64(u.answer)
	k.whole.add(time.Since(began).Seconds(), 1)
	if !first.IsZero() {
		k.first.add(first.Sub(began).Seconds(), 1)
		if u.answer > 1 {
			k.each.add(last.Sub(first).Seconds()/float64(u.answer-1), int64(u.answer-1))
		}
	}
}

// page is a text in the making.
type metricsPage struct{ bytes.Buffer }

// head begins a metric.
func (p *metricsPage) head(name, kind, help string) {
	fmt.Fprintf(p, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
}

// value writes a sample; labels are names and values.
func (p *metricsPage) value(name string, v float64, labels ...string) {
	p.WriteString(name)
	for i := 0; i < len(labels); i += 2 {
		p.WriteString(map[bool]string{true: "{", false: ","}[i == 0])
		fmt.Fprintf(p, "%s=%s", labels[i], quoteLabel(labels[i+1]))
	}
	if len(labels) > 0 {
		p.WriteByte('}')
	}
	fmt.Fprintf(p, " %s\n", strconv.FormatFloat(v, 'g', -1, 64))
}

// quoteLabel writes the value of a label: backslash, quotation mark and newline are escaped, nothing else.
func quoteLabel(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(strings.ToValidUTF8(s, "\uFFFD")) + `"`
}

func (p *metricsPage) histogram(name string, h *histogram, labels ...string) {
	var total int64
	for i, n := range h.counts {
		total += n
		le := "+Inf"
		if i < len(bounds) {
			le = strconv.FormatFloat(bounds[i], 'g', -1, 64)
		}
		p.value(name+"_bucket", float64(total), append(slices.Clone(labels), "le", le)...)
	}
	p.value(name+"_sum", h.sum, labels...)
	p.value(name+"_count", float64(total), labels...)
}

// statted is an engine that counts what it does, as Batch.
type statted interface{ Stats() infer.Stats }

// showMetrics answers GET /metrics.
func (s *Server) showMetrics(x *exchange) error {
	var p metricsPage
	s.gauges(&p)
	s.metrics.mu.Lock()
	s.metrics.write(&p)
	s.metrics.mu.Unlock()
	x.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	x.WriteHeader(http.StatusOK)
	_, err := x.Write(p.Bytes())
	return err
}

// gauges writes what is now.
func (s *Server) gauges(p *metricsPage) {
	type gauge struct {
		names []string
		help  string
		of    func(m *Model) float64
	}
	for _, g := range []gauge{
		{[]string{"haenyeo_requests_running", "vllm:num_requests_running"}, "Requests that are worked on.", func(m *Model) float64 { n, _ := m.gate.load(); return float64(n) }},
		{[]string{"haenyeo_requests_waiting", "vllm:num_requests_waiting"}, "Requests in the queue.", func(m *Model) float64 { _, n := m.gate.load(); return float64(n) }},
		{[]string{"haenyeo_cache_bytes"}, "Memory of the contexts of requests that are worked on.", func(m *Model) float64 { return float64(s.statsOf(m).CacheBytes) }},
		{[]string{"haenyeo_prefix_bytes"}, "Memory of kept beginnings of prompts.", func(m *Model) float64 { return float64(s.statsOf(m).PrefixBytes) }},
		{[]string{"haenyeo_cache_usage_ratio", "vllm:kv_cache_usage_perc"}, "Share of the memory for contexts that is in use, 0 to 1.", func(m *Model) float64 {
			if m.CacheBytes <= 0 {
				return 0
			}
			return math.Min(1, float64(s.statsOf(m).CacheBytes)/float64(m.CacheBytes))
		}},
	} {
		for _, name := range g.names {
			p.head(name, "gauge", g.help)
			for _, m := range s.models {
				p.value(name, g.of(m), "model_name", m.Name)
			}
		}
	}
	p.head("haenyeo_model_open", "gauge", "1 for a model that is open.")
	for _, m := range s.models {
		p.value("haenyeo_model_open", map[bool]float64{true: 1}[s.shelf.isOpen(m)], "model_name", m.Name)
	}
	p.head("haenyeo_draining", "gauge", "1 while the server ends.")
	p.value("haenyeo_draining", map[bool]float64{true: 1}[s.draining.Load()])
}

func (s *Server) statsOf(m *Model) infer.Stats {
	if e, ok := s.shelf.engine(m).(statted); ok {
		return e.Stats()
	}
	return infer.Stats{}
}

// write writes what has happened. mu is held.
func (m *metrics) write(p *metricsPage) {
	p.head("haenyeo_http_requests_total", "counter", "Requests that were answered, by status.")
	for _, key := range slices.SortedFunc(maps.Keys(m.requests), func(a, b [3]string) int { return slices.Compare(a[:], b[:]) }) {
		p.value("haenyeo_http_requests_total", float64(m.requests[key]), "method", key[0], "route", key[1], "status", key[2])
	}
	names := slices.Sorted(maps.Keys(m.models))
	for _, c := range []struct {
		names []string
		help  string
		of    func(k *modelMetrics) int64
	}{
		{[]string{"haenyeo_prompt_tokens_total", "vllm:prompt_tokens_total", "vllm:prefix_cache_queries_total"}, "Tokens of prompts.", func(k *modelMetrics) int64 { return k.prompt }},
		{[]string{"haenyeo_reused_tokens_total", "vllm:prefix_cache_hits_total"}, "Tokens of prompts that were not computed again.", func(k *modelMetrics) int64 { return k.reused }},
		{[]string{"haenyeo_generation_tokens_total", "vllm:generation_tokens_total"}, "Tokens of answers.", func(k *modelMetrics) int64 { return k.answer }},
	} {
		for _, name := range c.names {
			p.head(name, "counter", c.help)
			for _, model := range names {
				p.value(name, float64(c.of(m.models[model])), "model_name", model)
			}
		}
	}
	for _, name := range []string{"haenyeo_answers_total", "vllm:request_success_total"} {
		p.head(name, "counter", "Answers that came to their end, by reason.")
		for _, key := range slices.SortedFunc(maps.Keys(m.ended), func(a, b [2]string) int { return slices.Compare(a[:], b[:]) }) {
			p.value(name, float64(m.ended[key]), "model_name", key[0], "finished_reason", key[1])
		}
	}
	for _, h := range []struct {
		names []string
		help  string
		of    func(k *modelMetrics) *histogram
	}{
		{[]string{"haenyeo_time_to_first_token_seconds", "vllm:time_to_first_token_seconds"}, "From the request to the first token.", func(k *modelMetrics) *histogram { return &k.first }},
		{[]string{"haenyeo_inter_token_latency_seconds", "vllm:inter_token_latency_seconds"}, "Between the tokens of an answer, on average.", func(k *modelMetrics) *histogram { return &k.each }},
		{[]string{"haenyeo_request_seconds", "vllm:e2e_request_latency_seconds"}, "From the request to the end of the answer.", func(k *modelMetrics) *histogram { return &k.whole }},
	} {
		for _, name := range h.names {
			p.head(name, "histogram", h.help)
			for _, model := range names {
				p.histogram(name, h.of(m.models[model]), "model_name", model)
			}
		}
	}
}
