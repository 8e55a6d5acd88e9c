package create

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/haenyeo/haenyeo/corpus"
	"github.com/haenyeo/haenyeo/forward"
	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/model"
	"github.com/haenyeo/haenyeo/tokenizer"
	"github.com/haenyeo/haenyeo/train"
	"github.com/haenyeo/haenyeo/weights"
)

func engine(t testing.TB) *kernel.Engine {
	e, err := kernel.New(2, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

// text writes n small documents in two languages and returns their path.
func text(t *testing.T, n int) string {
	t.Helper()
	var b strings.Builder
	words := strings.Fields("a sea woman dives for abalone and comes up with a long whistle before the wind turns home")
	for i := range n {
		var line []string
		for j := range 25 {
			line = append(line, words[(i*7+j*j+i*j)%len(words)])
		}
		lang := []string{"en", "id"}[i%2]
		fmt.Fprintf(&b, "{\"text\":\"The %s %d. %s\",\"lang\":%q}\n", words[i%len(words)], i, strings.Join(line, " "), lang)
	}
	path := filepath.Join(t.TempDir(), "text.jsonl")
	if err := os.WriteFile(path, []byte(b.String()), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// tiny is a model that trains in no time.
func tiny() *model.Config {
	c := presets[0].forVocab(320)
	c.HiddenSize, c.NumHiddenLayers, c.NumAttentionHeads, c.IntermediateSize = 32, 2, 2, 48
	c.QLoraRank, c.KVLoraRank, c.QKNopeHeadDim, c.QKRopeHeadDim, c.VHeadDim = 16, 16, 16, 16, 16
	c.NRoutedExperts, c.MoEIntermediateSize, c.MaxPositionEmbeddings = 4, 16, 32
	return &c
}

func request(t *testing.T) Request {
	return Request{
		Data: []string{text(t, 400)}, Out: filepath.Join(t.TempDir(), "out"), Config: tiny(), Steps: 24,
		Engine: engine(t), Logger: slog.New(slog.DiscardHandler),
	}
}

func TestPresetsAreSound(t *testing.T) {
	want := map[string][2]float64{"nano": {2.4e6, 1.2e6}, "S": {18.6e6, 6.1e6}, "M": {69e6, 19.4e6}}
	for i := range presets {
		p := &presets[i]
		c := p.forVocab(p.vocab)
		if err := c.Validate(); err != nil {
			t.Error(err)
		}
		total, active := c.Sizes()
		if math.Abs(float64(total)/want[p.name][0]-1) > 0.06 || math.Abs(float64(active)/want[p.name][1]-1) > 0.06 {
			t.Errorf("%s: %d parameters, %d active", p.name, total, active)
		}
		if c.MoEIntermediateSize%32 != 0 || c.MoEIntermediateSize < 96 {
			t.Errorf("%s: expert width %d", p.name, c.MoEIntermediateSize)
		}
		for _, n := range []int{c.HiddenSize, c.IntermediateSize, c.QLoraRank, c.KVLoraRank, c.QKNopeHeadDim, c.QKRopeHeadDim, c.VHeadDim, c.VocabSize} {
			if n%16 != 0 {
				t.Errorf("%s: a size of %d", p.name, n)
			}
		}
	}
}

// TestChoice holds the table of the design notes: a machine of 0.75 TFLOP/s and plenty of text.
func TestChoice(t *testing.T) {
	var r Request
	for _, c := range []struct {
		budget time.Duration
		text   int64
		want   string
	}{
		{time.Minute, 1 << 30, "nano"}, {5 * time.Minute, 1 << 30, "nano"}, {time.Hour, 1 << 30, "S"},
		{10 * time.Hour, 2 << 30, "M"},
	} {
		work := c.budget.Seconds() * 0.75e12 / 6
		if got := choose(r.candidates(c.text), work, float64(c.text)/bytesPerToken); got.Preset != c.want {
			t.Errorf("%v: %s, want %s", c.budget, got.Preset, c.want)
		}
	}
	if worth(10, 20) != 10 || worth(80, 20) > 80 || worth(80, 20) < 70 || worth(1e9, 20) > 20*17 {
		t.Error("worth of repetitions")
	}
}

func TestScheduleFollowsTheBudget(t *testing.T) {
	r := Request{Budget: 100 * time.Second}
	p := r.candidates(1 << 30)[0]
	p.TokS = 40960
	if err := p.schedule(&r, 90, 1e8, 3); err != nil {
		t.Fatal(err)
	}
	if p.Options.Steps < 800 || p.Options.Steps > 900 || p.Seconds > 90 || p.Pace.CheckpointEvery < 300 || p.Capped {
		t.Errorf("%+v", p)
	}
	// More time than the text is good for.
	if err := p.schedule(&r, 90, 1e5, 3); err != nil || !p.Capped || p.Options.Steps != 488 {
		t.Errorf("%v, %d steps", err, p.Options.Steps)
	}
	for _, c := range []struct {
		seconds, unique float64
		want            string
	}{{-1, 1e8, "too small"}, {0.01, 1e8, "too small"}, {90, 1e4, "too little text"}} {
		if err := p.schedule(&r, c.seconds, c.unique, 3); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("want %q, got %v", c.want, err)
		}
	}
	r = Request{Steps: 7}
	if err := p.schedule(&r, -5, 1e4, 3); err != nil || p.Options.Steps != 7 {
		t.Errorf("steps that were asked for: %v", err)
	}
}

func TestVocabularyIsBoundedByText(t *testing.T) {
	for _, c := range []struct {
		most int
		text int64
		want int
	}{{4096, 1 << 30, 4096}, {8192, 1 << 20, 5184}, {4096, 1000, 512}} {
		if got := vocabFor(c.most, c.text); got != c.want {
			t.Errorf("%d of %d bytes: %d, want %d", c.most, c.text, got, c.want)
		}
	}
}

func TestBeginningOfTexts(t *testing.T) {
	for text, want := range map[string]string{
		"# 제목\n\n바다에서 해녀가 긴 숨을 내쉬고 다시 물속으로 들어갔다": "바다에서 해녀가 긴 숨을 내쉬고 다시",
		"- a\n- list\n": "", "short": "", "": "",
		"The quick brown fox jumps over it": "The quick brown fox",
		"ขยายเวลาทุนเรียนดีมนุษยศาสตร์และสังคม": "ขยายเวลาทุนเรียนดีมนุษยศ",
	} {
		if got := beginning(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestRunMakesAModel(t *testing.T) {
	r := request(t)
	var names []string
	var first, last train.Step
	r.Emit = func(e train.Event) {
		names = append(names, e.Name())
		if s, ok := e.(train.Step); ok {
			if first.Step == 0 {
				first = s
			}
			last = s
		}
	}
	done, err := Run(context.Background(), r)
	if err != nil {
		t.Fatal(err)
	}
	if names[0] != "plan" || names[len(names)-1] != "done" || strings.Count(strings.Join(names, " "), "plan") != 1 {
		t.Errorf("events %v", names)
	}
	if !(last.Loss < first.Loss) || done.ValBPB <= 0 || last.Step != 24 {
		t.Errorf("%+v to %+v, %+v", first, last, done)
	}
	for _, f := range []string{"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
		"generation_config.json", "README.md", "report.html", "log.jsonl", "run.json"} {
		if info, err := os.Stat(filepath.Join(r.Out, f)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", f, err)
		}
	}
	if b, err := os.ReadFile(filepath.Join(r.Out, "generation_config.json")); err != nil || !strings.Contains(string(b), "temperature") || strings.Contains(string(b), "max_length") {
		t.Errorf("generation_config.json: %s %v", b, err) // transformers warns of a max_length beside max_new_tokens
	}
	m, err := model.Open(r.Out, r.Engine, model.Options{})
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.Load(r.Out)
	if err != nil || tok.VocabSize() != m.Config().VocabSize {
		t.Fatal(err)
	}
	if bos, ok := tok.BOS(); !ok || int(bos) != m.Config().BOSTokenID {
		t.Errorf("begin token %d, configuration says %d", bos, m.Config().BOSTokenID)
	}
	for _, resume := range []bool{false, true} {
		r.Resume, r.Config, r.Steps = resume, nil, 0
		if _, err := Run(context.Background(), r); err == nil || !strings.Contains(err.Error(), "finished model") {
			t.Errorf("again into a finished directory: %v", err)
		}
	}
}

// What a run shows at its end is what the model that it leaves writes.
func TestSamplesAreOfTheModel(t *testing.T) {
	r := request(t)
	var samples []train.Sample
	r.Emit = func(e train.Event) {
		if s, ok := e.(train.Sample); ok && s.Step == 24 {
			samples = append(samples, s)
		}
	}
	if _, err := Run(context.Background(), r); err != nil {
		t.Fatal(err)
	}
	src, err := weights.Open(r.Out)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	net, err := forward.New(src, r.Engine, forward.Options{})
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.Load(r.Out)
	if err != nil {
		t.Fatal(err)
	}
	if len(samples) == 0 {
		t.Fatal("the run showed no samples at its end")
	}
	for i, s := range samples {
		want, err := (&sampler{tok: tok}).write(context.Background(), net, s.Prompt, r.Seed+24*promptLanguages+uint64(i))
		if err != nil || s.Text != want {
			t.Errorf("%q: the run showed %q, its model writes %q, %v", s.Prompt, s.Text, want, err)
		}
	}
}

func TestInterruptedRunIsResumed(t *testing.T) {
	whole := request(t)
	if _, err := Run(context.Background(), whole); err != nil {
		t.Fatal(err)
	}
	r := request(t)
	t.Chdir(filepath.Dir(whole.Data[0]))
	r.Data = []string{filepath.Base(whole.Data[0])} // a relative path
	for _, stop := range []int{5, 11} {
		ctx, cancel := context.WithCancel(context.Background())
		r.Emit = func(e train.Event) {
			if s, ok := e.(train.Step); ok && s.Step == stop {
				cancel()
			}
		}
		if _, err := Run(ctx, r); !errors.As(err, new(*train.Interrupted)) {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(r.Out, "model.safetensors")); err == nil {
			t.Error("an unfinished directory looks like a model")
		}
		again := request(t)
		again.Out = r.Out
		if _, err := Run(context.Background(), again); err == nil || !strings.Contains(err.Error(), "--resume continues") {
			t.Errorf("into an unfinished directory: %v", err)
		}
		r = Request{Out: r.Out, Resume: true, Engine: r.Engine, Logger: r.Logger} // no other flags
		t.Chdir(t.TempDir())                                                      // from anywhere
	}
	wrong := r
	wrong.Data = []string{text(t, 300)}
	if _, err := Run(context.Background(), wrong); err == nil || !strings.Contains(err.Error(), "is not that") {
		t.Errorf("other text: %v", err)
	}
	r.Emit = nil
	if _, err := Run(context.Background(), r); err != nil {
		t.Fatal(err)
	}
	a, err := os.ReadFile(filepath.Join(whole.Out, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(r.Out, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	if string(a) != string(b) {
		t.Error("the resumed run's model differs from the uninterrupted one's")
	}
}

// monotone writes n documents of so few words that they support no usual vocabulary, and returns
// their path.
func monotone(t *testing.T, n int) string {
	t.Helper()
	var b strings.Builder
	words := []string{"sea", "wind", "turn", "dive", "home", "whistle", "long", "up"}
	for i := range n {
		b.WriteString("{\"text\":\"a")
		for d := range 20 {
			b.WriteString(" " + words[(i>>(3*(d%4))+d)%len(words)])
		}
		b.WriteString("\"}\n")
	}
	path := filepath.Join(t.TempDir(), "text.jsonl")
	if err := os.WriteFile(path, []byte(b.String()), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestSmallerVocabularyThanPlanned: what the plan, the log, the card and a resumed run count is the
// model that is trained, and a run that was killed before its first checkpoint can be resumed.
func TestSmallerVocabularyThanPlanned(t *testing.T) {
	r := request(t)
	r.Data, r.Config, r.Size, r.Steps = []string{monotone(t, 1200)}, nil, "nano", 2
	killed := filepath.Join(t.TempDir(), "killed")
	var said strings.Builder
	r.Logger = slog.New(slog.NewTextHandler(&said, &slog.HandlerOptions{Level: slog.LevelWarn}))
	var plans []train.Plan
	r.Emit = func(e train.Event) {
		switch e := e.(type) {
		case train.Plan:
			plans = append(plans, e)
		case train.Step:
			if e.Step == 1 {
				if err := os.CopyFS(killed, os.DirFS(r.Out)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if _, err := Run(context.Background(), r); err != nil {
		t.Fatal(err)
	}
	m, err := model.Open(r.Out, r.Engine, model.Options{})
	if err != nil {
		t.Fatal(err)
	}
	total, active := m.Config().Sizes()
	if m.Config().VocabSize >= smallestVocab {
		t.Fatalf("a vocabulary of %d: the text of this test has too many words", m.Config().VocabSize)
	}
	if n := len(plans); n != 2 || plans[0].Params <= total || plans[n-1].Params != total || plans[n-1].Active != active {
		t.Errorf("plans %+v of a model of %d parameters", plans, total)
	}
	if !strings.Contains(said.String(), "smaller vocabulary") {
		t.Errorf("said %q", said.String())
	}
	events, err := train.ReadLog(filepath.Join(r.Out, train.LogName))
	if err != nil || len(events) == 0 {
		t.Fatal(err)
	}
	if p, ok := events[0].(train.Plan); !ok || p.Params != total {
		t.Errorf("the log begins with %+v; the model has %d parameters", events[0], total)
	}
	again := Request{Out: killed, Resume: true, Engine: r.Engine, Logger: slog.New(slog.DiscardHandler)}
	if _, err := Run(context.Background(), again); err != nil {
		t.Fatal(err)
	}
	if a, b := modelBytes(t, r.Out), modelBytes(t, killed); a != b {
		t.Error("the resumed run's model differs from the uninterrupted one's")
	}
}

func modelBytes(t *testing.T, dir string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestMixture: what is mixed in is what is trained on, a resumed run mixes as it began, and the text of
// a run under way lies in its directory until it is finished.
func TestMixture(t *testing.T) {
	r := request(t)
	r.Mixture = corpus.Mixture{Weights: map[string]float64{"id": 0}}
	ctx, cancel := context.WithCancel(context.Background())
	r.Emit = func(e train.Event) {
		if s, ok := e.(train.Step); ok && s.Step == 5 {
			cancel()
		}
	}
	if _, err := Run(ctx, r); !errors.As(err, new(*train.Interrupted)) {
		t.Fatal(err)
	}
	tokens := filepath.Join(r.Out, train.TokensName)
	if !corpus.IsTokenFile(tokens) {
		t.Error("the tokens of a run that goes on are not kept")
	}
	again := Request{Out: r.Out, Resume: true, Engine: r.Engine, Logger: r.Logger, Mixture: corpus.Mixture{Weights: map[string]float64{"id": 1}}}
	if _, err := Run(context.Background(), again); err == nil || !strings.Contains(err.Error(), `begun with the mixture "id 0", not "id 1"`) {
		t.Errorf("another mixture: %v", err)
	}
	again.Mixture = corpus.Mixture{}
	if _, err := Run(context.Background(), again); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(tokens); err == nil {
		t.Error("the tokens of a finished run are kept")
	}
	events, err := train.ReadLog(filepath.Join(r.Out, train.LogName))
	if err != nil || len(events) == 0 {
		t.Fatal(err)
	}
	if p, ok := events[0].(train.Plan); !ok || p.Mixture != "id 0" || p.Waste <= 0 || p.Waste > 0.5 {
		t.Errorf("the log begins with %+v", events[0])
	}
	// The same seed and steps on the text as it is, and on that of one language alone.
	as, english := request(t), request(t)
	english.Mixture = corpus.Mixture{Weights: map[string]float64{"id": 0}}
	for _, q := range []Request{as, english} {
		if _, err := Run(context.Background(), q); err != nil {
			t.Fatal(err)
		}
	}
	if modelBytes(t, r.Out) != modelBytes(t, english.Out) {
		t.Error("the resumed run's model differs from the uninterrupted one's")
	}
	if modelBytes(t, r.Out) == modelBytes(t, as.Out) {
		t.Error("the mixture changes nothing")
	}
}

// TestFlagsOfAResumedRun: what is given must be what the run was begun with, chosen or measured.
func TestFlagsOfAResumedRun(t *testing.T) {
	chosen := record{Request: Request{Seed: 3, Budget: 10 * time.Minute}, Plan: plan{Preset: "nano", Vocab: 3264, Options: train.Options{Steps: 70}}}
	chosen.Plan.config.VocabSize = 3000
	counted := record{Request: Request{Steps: 70}, Plan: chosen.Plan}
	for _, c := range []struct {
		rec  record
		r    Request
		want string // "": agrees
	}{
		{chosen, Request{}, ""},
		{chosen, Request{Seed: 3}, ""},
		{chosen, Request{Seed: 9}, "seed 3, not 9"},
		{chosen, Request{SeedGiven: true}, "seed 3, not 0"},
		{chosen, Request{Size: "nano", Vocab: 3264}, ""},
		{chosen, Request{Vocab: 3000}, ""}, // what it became
		{chosen, Request{Vocab: 4096}, "vocabulary of 3000, not 4096"},
		{chosen, Request{Size: "S"}, "size nano, not S"},
		{chosen, Request{Budget: 10 * time.Minute}, ""},
		{chosen, Request{Budget: 5 * time.Minute}, "a budget of 10m0s, not 5m0s"},
		{chosen, Request{Steps: 70}, ""},
		{chosen, Request{Steps: 7}, "steps 70, not 7"},
		{counted, Request{Steps: 70}, ""},
		{counted, Request{SeedGiven: true}, ""},
		{counted, Request{Budget: DefaultBudget}, "a number of steps, 70, not a budget of 5m0s"},
		{counted, Request{Config: tiny()}, "--config"},
	} {
		err := c.rec.agrees(&c.r)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("begun with %+v, resumed with %+v: %v, want %q", c.rec.Request, c.r, err, c.want)
		}
	}
}

// TestOtherShapes trains what --config may ask for: multi-token prediction, and a dense Llama model.
func TestOtherShapes(t *testing.T) {
	mtp := tiny()
	mtp.NumNextnPredictLayers = 1
	llama := &model.Config{ModelType: "llama", VocabSize: 320, HiddenSize: 32, IntermediateSize: 64, NumHiddenLayers: 2,
		NumAttentionHeads: 4, NumKeyValueHeads: 2, MaxPositionEmbeddings: 32, BOSTokenID: -1}
	for _, cfg := range []*model.Config{mtp, llama} {
		r := request(t)
		r.Config, r.Steps = cfg, 6
		var last train.Step
		r.Emit = func(e train.Event) {
			if s, ok := e.(train.Step); ok {
				last = s
			}
		}
		if _, err := Run(context.Background(), r); err != nil {
			t.Fatal(err)
		}
		if (last.MTP > 0) != (cfg == mtp) {
			t.Errorf("%+v", last)
		}
		m, err := model.Open(r.Out, r.Engine, model.Options{MTP: cfg == mtp})
		if err != nil || m.Config().ModelType != cfg.ModelType {
			t.Error(err)
		}
		card, err := os.ReadFile(filepath.Join(r.Out, "README.md"))
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{"DeepSeek-V3 architecture", "deepseek_v3", "mixture-of-experts", "multi-head-latent-attention"} {
			if strings.Contains(string(card), word) != (cfg == mtp) {
				t.Errorf("%s: the card and %q:\n%s", cfg.ModelType, word, card)
			}
		}
		if !strings.Contains(string(card), cfg.ModelType) {
			t.Errorf("the card does not say that it is a %s", cfg.ModelType)
		}
	}
}

// TestLeftoversAreNoObstacle: what a start that was killed leaves is nothing, and goes away.
func TestLeftoversAreNoObstacle(t *testing.T) {
	r := request(t)
	r.Steps = 3
	if err := os.Mkdir(r.Out, 0o777); err != nil {
		t.Fatal(err)
	}
	partial := filepath.Join(r.Out, ".run.json.0123abcd.partial")
	for _, f := range []string{partial, filepath.Join(r.Out, train.LogName)} {
		if err := os.WriteFile(f, nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	again := r
	again.Resume, again.Config, again.Steps = true, nil, 0
	if _, err := Run(context.Background(), again); err == nil || !strings.Contains(err.Error(), "no run to resume") {
		t.Errorf("%v", err)
	}
	binary := filepath.Join(filepath.Dir(r.Data[0]), "x.bin")
	if err := os.WriteFile(binary, []byte{0, 1}, 0o666); err != nil {
		t.Fatal(err)
	}
	r.Data = append(r.Data, binary)
	var said strings.Builder
	r.Logger = slog.New(slog.NewTextHandler(&said, nil))
	if _, err := Run(context.Background(), r); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(partial); err == nil {
		t.Error("a partial file is still there")
	}
	if !strings.Contains(said.String(), "skipped 1 file: 1 binary") {
		t.Errorf("said %q", said.String())
	}
}

func TestRefusals(t *testing.T) {
	e := engine(t)
	data, few := text(t, 400), text(t, 20)
	something := t.TempDir()
	if err := os.WriteFile(filepath.Join(something, "thesis.tex"), []byte("x"), 0o666); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*Request)
		want   string
	}{
		"something else there": {func(r *Request) { r.Out = something }, "something else"},
		"nothing to resume":    {func(r *Request) { r.Resume = true }, "no run to resume"},
		"no such data":         {func(r *Request) { r.Data = []string{"/no/such/file"} }, "no such file"},
		"size":                 {func(r *Request) { r.Config, r.Size = nil, "XL" }, "use nano, S, M or auto"},
		"size and config":      {func(r *Request) { r.Size = "S" }, "give one of them"},
		"steps and budget":     {func(r *Request) { r.Budget = time.Minute }, "give one of them"},
		"small budget":         {func(r *Request) { r.Steps, r.Budget = 0, time.Millisecond }, "too small"},
		"little text":          {func(r *Request) { r.Steps, r.Budget, r.Data = 0, time.Minute, []string{few} }, "too little text"},
		"large vocabulary":     {func(r *Request) { r.Config, r.Size, r.Vocab = nil, "nano", 30000 }, "larger than the text supports"},
		"small vocabulary":     {func(r *Request) { r.Config, r.Size, r.Vocab = nil, "nano", 100 }, "too small"},
		"out inside the data": {func(r *Request) {
			r.Data = []string{filepath.Dir(data)}
			r.Out = filepath.Join(filepath.Dir(data), "model")
		}, "inside the data"},
		"language":     {func(r *Request) { r.Mixture.Weights = map[string]float64{"xx": 2} }, `"xx", which is neither`},
		"temperature":  {func(r *Request) { r.Mixture.Temperature = 2 }, "temperature 2"},
		"nothing left": {func(r *Request) { r.Mixture.Weights = map[string]float64{"en": 0, "id": 0} }, "weighs everything with 0"},
		"no directory": {func(r *Request) { r.Out = "" }, "--out"},
	} {
		t.Run(name, func(t *testing.T) {
			r := Request{Data: []string{data}, Out: filepath.Join(t.TempDir(), "out"), Config: tiny(), Steps: 3, Engine: e,
				Logger: slog.New(slog.DiscardHandler)}
			c.change(&r)
			_, err := Run(context.Background(), r)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("want %q, got %v", c.want, err)
			}
			if _, err := os.Stat(r.Out); err == nil && r.Out != something {
				t.Error("something was written")
			}
		})
	}
	if left, _ := os.ReadDir(something); len(left) != 1 {
		t.Error("the directory of something else was touched")
	}
}
