package main

// The serve command: models behind HTTP.

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/haenyeo/haenyeo"
	"github.com/haenyeo/haenyeo/format/safetensors"
	"github.com/haenyeo/haenyeo/infer"
	"github.com/haenyeo/haenyeo/internal/regular"
	"github.com/haenyeo/haenyeo/serve"
)

type serveCmd struct {
	Models      []string      `arg:"" name:"model" help:"Model directory, .gguf file, or the name of a model that was pulled; the first answers who names none."`
	Addr        string        `default:"127.0.0.1:8080" placeholder:"HOST:PORT" help:"Where to listen. Default: ${default}."`
	APIKeyFile  string        `name:"api-key-file" placeholder:"FILE" help:"Let in who sends one of these keys: one a line, as it is or as sha256:HEX; name=NAME, priority=N, requests=N and tokens=N (a minute) may follow. Without it, everybody on this machine; a key is made where --addr is not this machine alone."`
	Host        []string      `placeholder:"NAME" help:"A name of this server, where browsers on other machines ask it without a key."`
	Origin      []string      `placeholder:"URL" help:"Let pages of this server ask, such as https://example.org."`
	Context     int           `placeholder:"N" help:"Tokens that prompt and answer may have together. Default: the model's window, or what of it fits into memory."`
	Format      string        `placeholder:"NAME" help:"How conversations are written for the models: ${formats}. Default: as they were trained."`
	Parallel    int           `default:"8" placeholder:"N" help:"Requests that a model works on at a time. Default: ${default}."`
	PrefixBytes int64         `default:"536870912" placeholder:"BYTES" help:"Memory of a model for beginnings of prompts that may come again. Default: ${default}."`
	PrefixDir   string        `name:"prefix-dir" placeholder:"DIR" help:"Keep beginnings of prompts in this directory too, for the next start and for other servers. What people wrote can be told from it: guard it as such."`
	PrefixDisk  int64         `name:"prefix-disk" default:"10737418240" placeholder:"BYTES" help:"Most that --prefix-dir takes. Default: ${default}."`
	TLSCert     string        `name:"tls-cert" placeholder:"FILE" help:"Certificate, with those it depends on, in PEM: answers with HTTPS. Needs --tls-key."`
	TLSKey      string        `name:"tls-key" placeholder:"FILE" help:"Private key of --tls-cert, in PEM."`
	Memory      memory        `placeholder:"SIZE" help:"Open models when they are asked for, and close those that were not used for longest where all together would take more, as 24G. Default: all are open all the time."`
	Queue       int           `default:"64" placeholder:"N" help:"Requests that may wait for a model; further ones are answered 429. Default: ${default}."`
	Deadline    time.Duration `placeholder:"TIME" help:"Longest time for an answer, waiting included. Default: no limit."`
	Drain       time.Duration `default:"30s" placeholder:"TIME" help:"How long answers under way may go on after SIGTERM. Default: ${default}."`
	MaxBody     int64         `default:"33554432" placeholder:"BYTES" help:"Largest request. Default: ${default}."`
	MaxDepth    int           `default:"200" placeholder:"N" help:"Deepest nesting of a request. Default: ${default}."`
	MaxPrompt   int           `placeholder:"N" help:"Most tokens of a prompt. Default: what the context has room for."`
	MaxSchema   int           `default:"262144" placeholder:"BYTES" help:"Largest schema, grammar or pattern of an answer; four times as much for all tools of a request. Default: ${default}."`
	arithmetic
}

func (serveCmd) Help() string {
	return "Answers clients of the OpenAI, DeepSeek, Anthropic and Ollama APIs. Log lines go to stdout; with --json they are JSON objects. SIGTERM and Ctrl-C let answers under way end first.\n\n" +
		"Example:\n\n\thaenyeo serve my-model\n\tcurl http://127.0.0.1:8080/v1/chat/completions -d '{\"messages\": [{\"role\": \"user\", \"content\": \"Hello\"}]}'"
}

// maxKeyFile bounds a file of keys.
const maxKeyFile = 8 << 20

func (c *serveCmd) Run(a *app) error {
	switch {
	case c.Context < 0:
		return misuse("--context %d: give 1 or more, or 0 for the model's window", c.Context)
	case c.Parallel < 1:
		return misuse("--parallel %d: give 1 or more", c.Parallel)
	case c.PrefixBytes < 0:
		return misuse("--prefix-bytes %d: give 0 (keep none) or more", c.PrefixBytes)
	case c.Queue < 1:
		return misuse("--queue %d: give 1 or more", c.Queue)
	case c.MaxBody < 1:
		return misuse("--max-body %d: give 1 or more", c.MaxBody)
	case c.PrefixDisk < 1:
		return misuse("--prefix-disk %d: give 1 or more", c.PrefixDisk)
	case c.MaxDepth < 1 || c.MaxPrompt < 0 || c.MaxSchema < 1:
		return misuse("--max-depth and --max-schema are 1 or more, --max-prompt 0 (no limit) or more")
	case (c.TLSCert == "") != (c.TLSKey == ""):
		return misuse("--tls-cert and --tls-key go together")
	case c.Deadline < 0 || c.Drain <= 0:
		return misuse("--deadline and --drain are times such as 90s, --drain more than 0")
	}
	o := serve.Options{
		Hosts: c.Host, Origins: c.Origin, Queue: c.Queue, MaxBody: c.MaxBody, Deadline: c.Deadline, Drain: c.Drain, Log: a.log,
		MaxDepth: c.MaxDepth, MaxTokens: c.MaxPrompt, MaxSchema: c.MaxSchema,
		Access: a.show, Memory: int64(c.Memory),
	}
	var err error
	if o.Keys, err = c.keys(a); err != nil {
		return err
	}
	var program []byte // its hash, taken once: the file may be another one when a model is opened later
	if c.PrefixDir != "" {
		if program, err = thisProgram(); err != nil {
			return err
		}
	}
	var models []*serve.Model
	for _, name := range c.Models {
		served, stop, err := c.load(a, name, program) // with --memory too: what is wrong with a model should be known now
		if err != nil {
			return err
		}
		if c.Memory > 0 {
			stop()
			served.Open = func(context.Context) (*serve.Model, func(), error) { return c.load(a, name, program) }
		} else {
			defer stop()
		}
		models = append(models, served)
	}
	s, err := serve.New(models, o)
	if err != nil {
		return err
	}
	defer s.Close()
	l, err := net.Listen("tcp", c.Addr)
	if err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	scheme := "http"
	if c.TLSCert != "" {
		if l, err = c.secure(l); err != nil {
			return err
		}
		scheme = "https"
	}
	for _, m := range models {
		a.say("serving %s, %d tokens of context, at %s://%s", m.Name, m.Context, scheme, l.Addr())
	}
	return s.Serve(a.ctx, l)
}

// load opens a model and starts what computes with it. program is the hash of this one, for --prefix-dir. stop ends both, when all requests have ended.
func (c *serveCmd) load(a *app, name string, program []byte) (served *serve.Model, stop func(), err error) {
	var ends []func()
	all := func() {
		for _, end := range slices.Backward(ends) {
			end()
		}
	}
	defer func() {
		if err != nil {
			all()
		}
	}()
	opened, err := a.open(name, c.arithmetic)
	if err != nil {
		return nil, nil, err
	}
	ends = append(ends, opened.Close)
	if served, err = c.model(a, name, opened); err != nil {
		return nil, nil, err
	}
	store, err := c.store(a, opened, program)
	if err != nil {
		return nil, nil, err
	}
	if store != nil {
		ends = append(ends, store.Close)
	}
	scheduler, err := infer.NewScheduler(opened.Net(), infer.SchedulerOptions{
		Sequences: c.Parallel, Queue: c.Parallel + c.Queue, PrefixBytes: c.PrefixBytes, Prefixes: store,
	})
	if err != nil {
		return nil, nil, err
	}
	ends = append(ends, func() { scheduler.Close(context.Background()) })
	served.Engine = serve.Batch{Scheduler: scheduler}
	served.Memory = served.Details.Bytes + served.CacheBytes + c.PrefixBytes
	return served, all, nil
}

// secure has connections to l speak TLS.
func (c *serveCmd) secure(l net.Listener) (net.Listener, error) {
	pair, err := tls.LoadX509KeyPair(home(c.TLSCert), home(c.TLSKey))
	if err != nil {
		l.Close()
		return nil, fmt.Errorf("serve: certificate %q with key %q: %w", c.TLSCert, c.TLSKey, err)
	}
	return tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}), nil
}

// store opens the directory of kept beginnings, if there is to be one.
func (c *serveCmd) store(a *app, m *haenyeo.Model, program []byte) (*infer.PrefixStore, error) {
	if c.PrefixDir == "" {
		return nil, nil
	}
	sum, err := m.Source().Fingerprint()
	if err != nil {
		return nil, err
	}
	// Bits of a context depend on the kernels too, which are chosen by measurement where several do.
	how := fmt.Sprintf("%x %s %s %s %s", program, m.Engine().Tier(), c.DType, c.Rounding, c.KVType)
	for _, k := range m.Engine().Describe() {
		if k.Chosen {
			how += fmt.Sprintf(" %v %s", k.DType, k.Tier)
		}
	}
	id := infer.Identity{Model: sum, Tokenizer: infer.TokenizerFingerprint(m.Tokenizer())}
	return infer.OpenPrefixStore(home(c.PrefixDir), c.PrefixDisk, id, how, a.log)
}

// thisProgram hashes the program that runs: another one may round otherwise.
func thisProgram() ([]byte, error) {
	path, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("serve: %w", err)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("serve: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return nil, fmt.Errorf("serve: %w", err)
	}
	return h.Sum(nil), nil
}

// show prints a record of the access log.
func (a *app) show(x serve.Access) {
	if a.JSON {
		a.emit(x) // a log that nobody reads stops nothing
		return
	}
	tokens := ""
	if x.Model != "" {
		tokens = fmt.Sprintf("  %d (%d cached) + %d tokens", x.Prompt, x.Cached, x.Answer)
	}
	if x.Error != "" {
		tokens += fmt.Sprintf("  %q", x.Error)
	}
	a.print("%s  %d  %s %q  %.3fs%s", x.Time.Format("15:04:05"), x.Status, x.Method, x.Path, x.Duration, tokens)
}

// keys reads the file of keys, or makes one where others than this machine could ask.
func (c *serveCmd) keys(a *app) (serve.Keys, error) {
	if c.APIKeyFile != "" {
		text, err := regular.ReadFile(home(c.APIKeyFile), maxKeyFile)
		if err != nil {
			return serve.Keys{}, fmt.Errorf("serve: %w", err)
		}
		return serve.ParseKeys(string(text))
	}
	host, _, err := net.SplitHostPort(c.Addr)
	if err != nil {
		return serve.Keys{}, misuse("--addr %q: give HOST:PORT, such as 127.0.0.1:8080", c.Addr)
	}
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
		return serve.Keys{}, nil
	}
	b := make([]byte, 24)
	rand.Read(b) // it never fails
	key := "hk-" + hex.EncodeToString(b)
	a.say("others than this machine can ask, so a key is needed: %s (until this server ends; --api-key-file keeps keys)", key)
	return serve.ParseKeys(key)
}

// model makes what is served of an opened model.
func (c *serveCmd) model(a *app, name string, m *haenyeo.Model) (*serve.Model, error) {
	if m.Tokenizer() == nil {
		return nil, errors.New("serve: the model has no tokenizer that this program knows")
	}
	served := &serve.Model{
		Name: nameOf(name), Tokenizer: m.Tokenizer(), Parallel: c.Parallel, Vocab: m.Config().VocabSize, Sampling: m.Sampling(), End: m.End(),
	}
	talk, err := m.NewChat(c.Format, c.Context)
	switch {
	case err == nil:
		served.Format, served.Sampling, served.Context = talk.Format(), talk.Sampling, talk.Context()
	case c.Format != "":
		return nil, err
	default:
		a.log.Warn("the model can only continue texts", "why", err)
		if talk, err = m.NewChat("raw", c.Context); err != nil {
			return nil, err
		}
		served.Context = talk.Context()
	}
	served.CacheBytes = m.Net().CacheBytes(served.Context) * int64(c.Parallel)
	served.Details, served.Published, err = details(m)
	return served, err
}

// nameOf is what clients call a model: its name on the command line, without what says where it lies.
func nameOf(name string) string {
	if _, err := os.Lstat(name); err != nil {
		return name // of a model in the cache
	}
	if abs, err := filepath.Abs(name); err == nil {
		name = abs
	}
	return strings.TrimSuffix(filepath.Base(name), ".gguf")
}

// details gathers what clients show of a model.
func details(m *haenyeo.Model) (serve.Details, time.Time, error) {
	src := m.Source()
	sum, err := src.Fingerprint()
	if err != nil {
		return serve.Details{}, time.Time{}, err
	}
	params, _ := m.Config().Sizes()
	d := serve.Details{Family: m.Config().ModelType, Format: "safetensors", Parameters: params, Digest: hex.EncodeToString(sum[:])}
	path := filepath.Join(src.Dir(), "config.json")
	r := newInspection()
	if f := src.GGUF(); f != nil {
		d.Format, path = "gguf", src.Dir()
		r.gguf(f)
	} else {
		files, err := safetensors.OpenDir(src.Dir())
		if err != nil {
			return d, time.Time{}, err
		}
		defer files.Close()
		r.safetensors(files)
	}
	if r.sortTypes(); len(r.Types) > 0 {
		d.Stored = r.Types[0].Type
	}
	d.Bytes = r.Bytes
	info, err := os.Stat(path)
	if err != nil {
		return d, time.Time{}, fmt.Errorf("serve: %w", err)
	}
	return d, info.ModTime(), nil
}
