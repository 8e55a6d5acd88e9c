package serve

// The server: its limits, its life and its end.

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Options are the limits of a server. Those that are zero have the value that stands beside them.
type Options struct {
	Keys     Keys          // who may ask; none: everybody
	Hosts    []string      // names of this server, beside localhost and addresses
	Origins  []string      // servers whose pages may ask: https://example.org
	Queue    int           // requests that may wait for a model: 64
	MaxBody  int64         // bytes of a request: 32 MiB
	MaxDepth int           // of the JSON of a request: 200
	BodyTime time.Duration // until it has come: a minute
	Deadline time.Duration // until an answer is complete, waiting included; 0: none
	Stall    time.Duration // that a client may take nothing of its answer: half a minute
	Drain    time.Duration // that answers under way have left when the server ends: half a minute

	Memory    int64 // bytes of models that are open at a time, of those that can be closed; 0: no limit
	MaxTokens int   // of a prompt; 0: what the context has room for
	MaxSchema int   // bytes of a schema, grammar or pattern; four times as many of all tools together: 256 KiB

	// KeepAlive is how long a stream is silent before it says that it is still there: ten seconds.
	KeepAlive time.Duration

	Access func(Access) // is told of every request, by one goroutine at a time; nil: nobody
	Log    *slog.Logger // of what goes wrong here; nil: slog.Default
}

// Server answers requests to models.
type Server struct {
	models     []*Model
	options    Options
	log        *slog.Logger
	remembered memory
	metrics    metrics
	shelf      shelf
	draining   atomic.Bool
	recording  sync.Mutex
	routed     http.Handler
}

// New makes a server of models, the first of which answers who names none.
func New(models []*Model, o Options) (*Server, error) {
	if len(models) == 0 {
		return nil, errors.New("serve: there is no model to serve")
	}
	def(&o.Queue, 64)
	def(&o.MaxBody, 32<<20)
	def(&o.MaxDepth, 200)
	def(&o.MaxSchema, 256<<10)
	def(&o.BodyTime, time.Minute)
	def(&o.Stall, 30*time.Second)
	def(&o.Drain, 30*time.Second)
	def(&o.KeepAlive, 10*time.Second)
	s := &Server{options: o, log: o.Log, shelf: shelf{limit: o.Memory}}
	if s.log == nil {
		s.log = slog.Default()
	}
	names := map[string]bool{}
	for _, m := range models {
		for _, name := range append([]string{m.Name}, m.Aliases...) {
			if name == "" || names[name] {
				return nil, fmt.Errorf("serve: two models are called %q, or one has no name", name)
			}
			names[name] = true
		}
		served := *m
		served.gate = newGate(max(1, m.Parallel), o.Queue)
		served.grammars = &maskers{}
		if err := checkOpener(m); err != nil {
			return nil, err
		}
		if m.Open != nil {
			served.slot = &slot{entry: &served}
			s.shelf.slots = append(s.shelf.slots, served.slot)
		}
		s.models = append(s.models, &served)
	}
	s.routed = s.handler()
	return s, nil
}

func def[T comparable](v *T, usual T) {
	var zero T
	if *v == zero {
		*v = usual
	}
}

// ServeHTTP implements http.Handler, for programs that bring their own http.Server: its limits of time are theirs then.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.routed.ServeHTTP(w, r) }

// Serve answers on l until ctx ends. Then it refuses new requests, gives answers under way Options.Drain to end, and
// cuts those that have not. It closes l.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	base, cut := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cut(nil)
	h := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		BaseContext:       func(net.Listener) context.Context { return base },
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	ended := make(chan error, 1)
	go func() { ended <- h.Serve(l) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	s.draining.Store(true)
	patience, stop := context.WithTimeout(context.WithoutCancel(ctx), s.options.Drain)
	defer stop()
	if err := h.Shutdown(patience); err != nil {
		cut(fail(draining, "", "the server ended before the answer did"))
		last, stop := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second) // a step, and the words about it
		defer stop()
		if h.Shutdown(last) != nil {
			h.Close()
		}
	}
	<-ended // http.ErrServerClosed
	return nil
}

// record hands a record on.
func (s *Server) record(a Access) {
	if s.options.Access == nil {
		return
	}
	s.recording.Lock()
	defer s.recording.Unlock()
	s.options.Access(a)
}

// seconds writes a duration as Retry-After has it.
func seconds(d time.Duration) string { return strconv.Itoa(int(math.Ceil(d.Seconds()))) }
