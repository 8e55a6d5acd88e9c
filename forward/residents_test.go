package forward

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/haenyeo/haenyeo/internal/mmap"
	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/model"
	"github.com/haenyeo/haenyeo/weights"
)

// largeModel writes a model of V3's kind whose experts take 150 MB.
func largeModel(t testing.TB) (dir string) {
	m := random(t, &model.Config{ModelType: "deepseek_v3", VocabSize: 300, HiddenSize: 256, IntermediateSize: 256, NumHiddenLayers: 4,
		NumAttentionHeads: 2, KVLoraRank: 32, QKNopeHeadDim: 32, QKRopeHeadDim: 16, VHeadDim: 32, MoEIntermediateSize: 1024,
		NRoutedExperts: 16, NSharedExperts: 1, NumExpertsPerTok: 3, FirstKDenseReplace: 1, NormTopKProb: true}, model.Options{})
	dir = filepath.Join(t.TempDir(), "model")
	if err := m.Save(dir, kernel.F32); err != nil {
		t.Fatal(err)
	}
	return dir
}

// answer reads a text of 100 tokens and goes on for 30, and returns a hash of all logits.
func answer(t testing.TB, dir string, o Options, direct bool) (hash string, reads ExpertReads) {
	o.MaxTokens = 64
	n := open(t, dir, o)
	if direct {
		readDirect(t, n)
	}
	c := newCache(t, n, 200)
	h := fnv.New64a()
	write := func(logits []float32) {
		for _, v := range logits {
			fmt.Fprint(h, math.Float32bits(v), ",")
		}
	}
	write(read(t, n, c, randomTokens(1, 100, n.cfg.VocabSize)))
	for i := range 30 {
		write(last(t, n, c, []int32{int32(i)}))
	}
	return strconv.FormatUint(h.Sum64(), 16), n.ExpertReads()
}

// readDirect has experts read past the page cache, as where memory is scarce.
func readDirect(t testing.TB, n *Net) {
	if n.residents.fixed {
		t.Skip("this file system has no direct reads")
	}
	n.residents.scarce = true
	n.residents.setReads(true)
}

// TestRAMChild and TestRAMDirectChild are the program that TestRAM looks at from outside.
func TestRAMChild(t *testing.T) {
	dir := os.Getenv("HAENYEO_TEST_RAM_MODEL")
	if dir == "" {
		t.Skip("runs as a child of TestRAM")
	}
	ram, _ := strconv.ParseInt(os.Getenv("HAENYEO_TEST_RAM"), 10, 64)
	answerParent(t, dir, ram, false)
}

func TestRAMDirectChild(t *testing.T) {
	dir := os.Getenv("HAENYEO_TEST_RAM_MODEL")
	if dir == "" {
		t.Skip("runs as a child of TestRAM")
	}
	ram, _ := strconv.ParseInt(os.Getenv("HAENYEO_TEST_RAM"), 10, 64)
	answerParent(t, dir, ram, true)
}

func answerParent(t *testing.T, dir string, ram int64, direct bool) {
	hash, reads := answer(t, dir, Options{RAM: ram}, direct)
	fmt.Printf("\nanswer %s %+v\n", hash, reads)
	io.ReadAll(os.Stdin) // until the parent has looked
}

// A model runs within a budget that is smaller than its experts: what the system says of the process stays
// below it, and the logits have the bits of a run without one.
func TestRAM(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("a memory budget is kept on Linux only")
	}
	if testing.Short() {
		t.Skip("writes 150 MB")
	}
	dir := largeModel(t)
	want, _ := answer(t, dir, Options{}, false)
	for _, c := range []struct {
		test string
		ram  int64
	}{{"TestRAMChild", 0}, {"TestRAMChild", 110 << 20}, {"TestRAMChild", 140 << 20}, {"TestRAMDirectChild", 110 << 20}, {"TestRAMDirectChild", 140 << 20}} {
		ram := c.ram
		peak, got := childOf(t, c.test, dir, ram)
		t.Logf("budget %d MB: peak %d MB, %s", ram>>20, peak>>20, got)
		if hash, _, _ := strings.Cut(got, " "); hash != want {
			t.Errorf("budget %d MB: logits differ", ram>>20)
		}
		switch {
		case ram == 0 && peak < 150<<20:
			t.Errorf("without a budget the peak is %d MB: this model is too small to test anything", peak>>20)
		case ram > 0 && peak > ram:
			t.Errorf("budget %d MB: peak %d MB", ram>>20, peak>>20)
		case ram > 0 && peak < ram/2:
			t.Errorf("budget %d MB: peak %d MB: most of it is left unused", ram>>20, peak>>20)
		}
	}
}

// childOf runs a test with the model in dir in another process and returns the most memory that it held, and what it
// says.
func childOf(t testing.TB, test, dir string, ram int64) (peak int64, answer string) {
	c := exec.Command(os.Args[0], "-test.run=^"+test+"$")
	c.Env = append(os.Environ(), "HAENYEO_TEST_RAM_MODEL="+dir, fmt.Sprint("HAENYEO_TEST_RAM=", ram))
	c.Stderr = os.Stderr
	in := must[io.WriteCloser](t)(c.StdinPipe())
	out := must[io.ReadCloser](t)(c.StdoutPipe())
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	lines, all := bufio.NewScanner(out), ""
	for answer == "" && lines.Scan() {
		all += lines.Text() + "\n"
		answer, _ = strings.CutPrefix(lines.Text(), "answer ")
		if answer == lines.Text() {
			answer = ""
		}
	}
	status := string(must[[]byte](t)(os.ReadFile(fmt.Sprintf("/proc/%d/status", c.Process.Pid))))
	in.Close()
	io.Copy(io.Discard, out)
	if err := c.Wait(); err != nil || answer == "" {
		t.Fatalf("child: %v\n%s", err, all)
	}
	hwm := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindStringSubmatch(status)
	if hwm == nil {
		t.Fatalf("no VmHWM in %s", status)
	}
	kb, _ := strconv.ParseInt(hwm[1], 10, 64)
	return kb << 10, answer
}

// Budgets that cannot be kept are refused, with the one that can.
func TestRAMRefuses(t *testing.T) {
	if runtime.GOOS != "linux" {
		_, err := New(weights.FromModel(random(t, shapes["v3"], model.Options{})), newEngine(t, 1), Options{RAM: 1 << 40})
		if err == nil || !strings.Contains(err.Error(), "Linux") {
			t.Errorf("%v", err)
		}
		t.Skip("the rest is for Linux")
	}
	if _, err := New(weights.FromModel(random(t, shapes["v3"], model.Options{})), newEngine(t, 1), Options{RAM: 1 << 40}); err == nil {
		t.Error("a budget for a model in training was accepted")
	}
	for _, name := range []string{"deepseek_v4", "gguf/models/qwen3-q4_1.gguf"} {
		src := must[*weights.Source](t)(weights.Open(goldenPath(t, name)))
		_, err := New(src, newEngine(t, 1), Options{RAM: 1 << 20})
		at := regexp.MustCompile(`at least (\d+) MB`).FindStringSubmatch(fmt.Sprint(err))
		if at == nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		least, _ := strconv.ParseInt(at[1], 10, 64)
		// What the program itself takes differs from moment to moment.
		if _, err := New(src, newEngine(t, 1), Options{RAM: (least + 32) << 20}); err != nil {
			t.Errorf("%s: %d MB, which should do: %v", name, least, err)
		}
		src.Close()
	}
}

// Who gives up gets out, and can go on.
func TestRAMInterrupted(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("a memory budget is kept on Linux only")
	}
	for _, name := range []string{"deepseek_v4", "deepseek_v32"} {
		n := open(t, goldenPath(t, name), Options{RAM: 4 << 30})
		free := open(t, goldenPath(t, name), Options{})
		seq := randomTokens(1, 30, n.cfg.VocabSize)
		c := newCache(t, n, 50)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := n.Run(ctx, []*Step{{Cache: c, Tokens: seq}}); err == nil {
			t.Errorf("%s: a cancelled run went through", name)
		}
		got, want := read(t, n, c, seq), read(t, free, newCache(t, free, 50), seq)
		if d := maxDiff(got, want); d != 0 {
			t.Errorf("%s: logits differ by %.3g", name, d)
		}
		if r := n.ExpertReads(); r.Misses == 0 {
			t.Errorf("%s: %+v", name, r)
		}
		// On a busy machine the first run may have waited for every read: by now all are there.
		read(t, n, newCache(t, n, 50), seq)
		if r := n.ExpertReads(); r.Hits == 0 {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// A disk that errs ends the run with an error that says so, a disk that stalls keeps nobody who gives up: the caches
// stay as they were, other sequences go on, and all of them do when the disk is well again.
func TestRAMBadDisk(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("a memory budget is kept on Linux only")
	}
	for _, direct := range []bool{false, true} {
		path := goldenPath(t, "deepseek_v32")
		n, free := open(t, path, Options{RAM: 4 << 30}), open(t, path, Options{})
		if direct {
			readDirect(t, n)
		}
		r, read := n.residents, n.residents.read
		texts := [][]int32{randomTokens(1, 3, n.cfg.VocabSize), randomTokens(2, 5, n.cfg.VocabSize)}
		var steps []*Step
		for _, text := range texts {
			steps = append(steps, &Step{Cache: newCache(t, n, 50), Tokens: text})
		}
		set := func(f func(mmap.Window, []byte) error) {
			r.mu.Lock()
			r.read = f
			r.mu.Unlock()
		}
		check := func(what string, i int) {
			t.Helper()
			if want := last(t, free, newCache(t, free, 50), texts[i]); !slices.Equal(steps[i].Logits, want) {
				t.Errorf("%s: logits differ by %.3g", what, maxDiff(steps[i].Logits, want))
			}
		}
		ctx := context.Background()
		var failed atomic.Int32
		set(func(w mmap.Window, to []byte) error {
			if failed.Add(1) == 3 { // in the middle of the first token
				return syscall.EIO
			}
			return read(w, to)
		})
		err := n.Run(ctx, steps)
		if !errors.Is(err, syscall.EIO) || !strings.Contains(err.Error(), "disk failed") || !strings.Contains(err.Error(), "safetensors") {
			t.Errorf("a disk that errs: %v", err)
		}
		if steps[0].Cache.Len() != 0 || steps[1].Cache.Len() != 0 {
			t.Errorf("after an error the caches hold %d and %d tokens", steps[0].Cache.Len(), steps[1].Cache.Len())
		}
		if err := n.Run(ctx, steps[1:]); err != nil {
			t.Fatal(err)
		}
		check("after an error", 1)

		stalled, well := make(chan bool), make(chan bool)
		n2 := open(t, path, Options{RAM: 4 << 30})
		if direct {
			readDirect(t, n2)
		}
		var first sync.Once
		n2.residents.read = func(w mmap.Window, to []byte) error {
			first.Do(func() { close(stalled); <-well })
			return read(w, to)
		}
		hurried, cancel := context.WithCancel(ctx)
		go func() {
			<-stalled
			cancel()
		}()
		s := &Step{Cache: newCache(t, n2, 50), Tokens: texts[0]}
		if err := n2.Run(hurried, []*Step{s}); !errors.Is(err, context.Canceled) {
			t.Errorf("a disk that stalls: %v", err)
		}
		close(well)
		if err := n2.Run(ctx, []*Step{s}); err != nil {
			t.Fatal(err)
		}
		steps[0] = s
		check("after a stall", 0)
	}
}
