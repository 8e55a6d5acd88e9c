package sandbox

// A task in another process, by lines of JSON: one request, one answer, in turn.
//
//	{"id":1,"op":"generate","seed":7,"n":0}          {"id":1,"item":{"prompt":"…","answer":"…","data":…},"key":"…"}
//	{"id":2,"op":"demonstrate","item":{…}}           {"id":2,"work":"…","answer":"…"}
//	{"id":3,"op":"verify","item":{…},"answer":"…"}   {"id":3,"reward":1,"detail":"…"}
//
// An answer has the id of its request, so that a line too many is not taken for the next answer. It may be
// {"id":4,"error":"…"} instead. "n" counts on while a question of the wrong split comes. A process that is
// late, writes too much, writes nonsense or dies is ended, the call fails, and the next call starts a new one.

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/haenyeo/haenyeo/task"
)

// Command is a task of a command.
type Command struct {
	argv []string
	lim  Limits

	mu    sync.Mutex // one request at a time
	asked uint64     // requests so far
	proc  *process   // nil: to be started
}

// NewCommand makes a task of a program and its arguments. It is started by the first call.
func NewCommand(argv []string, lim Limits) (*Command, error) {
	if len(argv) == 0 {
		return nil, errors.New("sandbox: cmd: no program: write cmd:PROGRAM")
	}
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return nil, fmt.Errorf("sandbox: cmd: %w", err)
	}
	return &Command{argv: append([]string{path}, argv[1:]...), lim: lim.filled()}, nil
}

type request struct {
	ID     uint64     `json:"id"`
	Op     string     `json:"op"`
	Seed   uint64     `json:"seed,omitempty"`
	N      uint64     `json:"n"`
	Item   *task.Item `json:"item,omitempty"`
	Answer *string    `json:"answer,omitempty"`
}

type response struct {
	ID     uint64     `json:"id"`
	Item   *task.Item `json:"item"`
	Key    string     `json:"key"`
	Work   string     `json:"work"`
	Answer string     `json:"answer"`
	Reward *float64   `json:"reward"`
	Detail string     `json:"detail"`
	Error  string     `json:"error"`
}

// Name is the name of the program.
func (c *Command) Name() string { return filepath.Base(c.argv[0]) }

// Item asks for questions until one of the split comes.
func (c *Command) Item(split task.Split, seed, n uint64) (task.Item, error) {
	for i := range uint64(task.Draws) {
		r, err := c.ask(context.Background(), request{Op: "generate", Seed: seed, N: n*task.Draws + i})
		if err != nil {
			return task.Item{}, err
		}
		if r.Item == nil || r.Item.Prompt == "" {
			return task.Item{}, c.errorf("generate gives no item with a prompt")
		}
		if r.Key == "" {
			r.Key = r.Item.Prompt
		}
		if task.SplitOf(c.Name(), r.Key) == split {
			r.Item.ID = task.ItemID(c.Name(), r.Key)
			return *r.Item, nil
		}
	}
	return task.Item{}, c.errorf("none of %d questions is of the %s split: let it make more different ones", task.Draws, split)
}

// Demonstrate asks for scratch work and answer.
func (c *Command) Demonstrate(it task.Item) (string, error) {
	r, err := c.ask(context.Background(), request{Op: "demonstrate", Item: &it})
	if err != nil || r.Answer == "" {
		return "", err
	}
	return task.Compose(r.Work, r.Answer), nil
}

// Verify reads the answer and asks for its reward.
func (c *Command) Verify(ctx context.Context, it task.Item, text string) task.Verdict {
	return task.Score(text, func(answer string) (float64, string, error) {
		r, err := c.ask(ctx, request{Op: "verify", Item: &it, Answer: &answer})
		if err == nil && (r.Reward == nil || !(*r.Reward >= 0 && *r.Reward <= 1)) {
			err = c.errorf("verify gives no reward from 0 to 1")
		}
		if err != nil {
			return 0, "", err
		}
		return *r.Reward, r.Detail, nil
	})
}

func (c *Command) errorf(format string, args ...any) error {
	return fmt.Errorf("sandbox: command %q: %w", c.argv[0], fmt.Errorf(format, args...))
}

// ask sends one line and reads one.
func (c *Command) ask(ctx context.Context, q request) (response, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked++
	q.ID = c.asked
	line, err := json.Marshal(q)
	if err != nil {
		return response{}, c.errorf("%s: %w", q.Op, err)
	}
	if c.proc == nil {
		if c.proc, err = start(c.argv, c.lim); err != nil {
			return response{}, c.errorf("start: %w", err)
		}
	}
	answer, err := c.proc.exchange(ctx, append(line, '\n'), c.lim.Time)
	var r response
	if err == nil {
		r, err = parseResponse(answer)
	}
	if err == nil && r.ID != q.ID {
		err = fmt.Errorf("its answer has the id %d, not %d", r.ID, q.ID)
	}
	if err != nil {
		c.proc.end()
		c.proc = nil
		return response{}, c.errorf("%s: %w", q.Op, err)
	}
	if r.Error != "" {
		return response{}, c.errorf("%s: it says %q", q.Op, r.Error[:min(len(r.Error), 300)])
	}
	return r, nil
}

func parseResponse(line []byte) (response, error) {
	var r response
	d := json.NewDecoder(bytes.NewReader(line))
	if err := d.Decode(&r); err != nil {
		return response{}, fmt.Errorf("its line is not a JSON object as expected: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return response{}, errors.New("its line has more than one JSON object")
	}
	return r, nil
}

// Close ends the process.
func (c *Command) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.proc != nil {
		c.proc.end()
		c.proc = nil
	}
	return nil
}

type process struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	stderr *tail
	lines  chan []byte // closed at the end of output, or when a line is too long
	long   bool        // set before lines is closed
	done   chan struct{}
}

func start(argv []string, lim Limits) (*process, error) {
	p := &process{cmd: exec.Command(argv[0], argv[1:]...), stderr: &tail{}, lines: make(chan []byte), done: make(chan struct{})}
	p.cmd.Stderr = p.stderr
	p.cmd.WaitDelay = time.Second // children of a dead program may hold its output open
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go p.read(out, lim.Output)
	return p, nil
}

// read gives lines one by one until the output or the process ends.
func (p *process) read(out io.Reader, longest int) {
	defer close(p.lines)
	s := bufio.NewScanner(out)
	s.Buffer(make([]byte, 0, 4096), longest)
	for s.Scan() {
		select {
		case p.lines <- bytes.Clone(s.Bytes()):
		case <-p.done:
			return
		}
	}
	p.long = errors.Is(s.Err(), bufio.ErrTooLong)
}

// exchange writes a line and waits for one.
func (p *process) exchange(ctx context.Context, line []byte, within time.Duration) ([]byte, error) {
	timer := time.NewTimer(within)
	defer timer.Stop()
	wrote := make(chan error, 1)
	go func() { // ends when the line is read or the process is ended
		_, err := p.in.Write(line)
		wrote <- err
	}()
	for {
		select {
		case err := <-wrote:
			if err != nil {
				return nil, fmt.Errorf("it does not read: %w%s", err, p.stderr)
			}
			wrote = nil
		case answer, ok := <-p.lines:
			if ok {
				return answer, nil
			}
			if p.long {
				return nil, errors.New("its line is too long")
			}
			return nil, fmt.Errorf("it ended without an answer%s", p.stderr)
		case <-timer.C:
			return nil, fmt.Errorf("no answer within %v", within)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (p *process) end() {
	close(p.done)
	p.in.Close()
	p.cmd.Process.Kill()
	for range p.lines { // until the reader has ended, as Wait asks for
	}
	p.cmd.Wait()
}

// tail keeps the last bytes of what a program says about itself.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if n := len(t.buf); n > 400 {
		t.buf = append(t.buf[:0], t.buf[n-400:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.buf) == 0 {
		return ""
	}
	return "; it said: " + strings.TrimSpace(strings.ToValidUTF8(string(t.buf), ""))
}
