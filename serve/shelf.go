package serve

// Models that are opened when they are asked for, and closed when others need their memory. A model that is at work is
// never closed under its answers: it goes when the last of them has ended.

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// Opener opens a model. What it needs is freed by close, which is called once, when nobody uses the model.
type Opener func(ctx context.Context) (m *Model, close func(), err error)

// shelf knows which models are open.
type shelf struct {
	mu    sync.Mutex
	limit int64 // bytes of all that are open or being opened; 0: none
	slots []*slot
}

// slot is the place of a model that can be opened.
type slot struct {
	entry   *Model
	now     *instance     // nil: closed
	opening chan struct{} // not nil while somebody opens it; closed then
	leaving int64         // bytes of instances that are closed when their answers have ended
}

// instance is an open model.
type instance struct {
	model *Model
	bytes int64
	users int
	used  time.Time
	gone  bool // to be closed by its last user
	close func()
}

// used is the memory of all that is open. mu is held.
func (h *shelf) used() (bytes int64) {
	for _, s := range h.slots {
		bytes += s.leaving
		switch {
		case s.now != nil:
			bytes += s.now.bytes
		case s.opening != nil:
			bytes += s.entry.Memory
		}
	}
	return bytes
}

// use gives the open model of an entry, which stays open until release is called.
func (h *shelf) use(ctx context.Context, entry *Model) (m *Model, release func(), err error) {
	s := entry.slot
	if s == nil {
		return entry, func() {}, nil
	}
	h.mu.Lock()
	for s.now == nil {
		if s.opening == nil {
			if err := h.open(ctx, s); err != nil {
				h.mu.Unlock()
				return nil, nil, err
			}
			continue
		}
		wait := s.opening
		h.mu.Unlock()
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, nil, context.Cause(ctx)
		}
		h.mu.Lock()
	}
	i := s.now
	i.users++
	h.mu.Unlock()
	var once sync.Once
	return i.model, func() { once.Do(func() { h.leave(s, i) }) }, nil
}

// leave is the end of a use.
func (h *shelf) leave(s *slot, i *instance) {
	h.mu.Lock()
	i.users--
	i.used = time.Now()
	last := i.gone && i.users == 0
	h.mu.Unlock()
	if last {
		h.end(s, i)
	}
}

// retire takes an instance, if there is one, out of use. mu is held. idle says that the caller must end it, without mu.
func (s *slot) retire(i *instance) (idle bool) {
	if i == nil {
		return false
	}
	i.gone = true
	s.leaving += i.bytes
	return i.users == 0
}

// end closes an instance that was retired and that nobody uses.
func (h *shelf) end(s *slot, i *instance) {
	i.close()
	h.mu.Lock()
	s.leaving -= i.bytes
	h.mu.Unlock()
}

// open opens the model of a slot, or says why it cannot be. mu is held, and let go meanwhile.
func (h *shelf) open(ctx context.Context, s *slot) error {
	closing, fits := h.room(s)
	if !fits {
		f := fail(busy, "model", "model %q is not open, and models that are at work need the memory: try again later", s.entry.Name)
		f.retry = 5 * time.Second
		return f
	}
	s.opening = make(chan struct{})
	h.mu.Unlock()
	for _, close := range closing {
		close()
	}
	m, close, err := s.entry.Open(context.WithoutCancel(ctx)) // others may wait for it too
	h.mu.Lock()
	if err == nil {
		h.put(s, m, close)
	}
	s.opened()
	return err
}

// opened tells who waits. mu is held.
func (s *slot) opened() {
	close(s.opening)
	s.opening = nil
}

// put makes an opened model the one that is used. mu is held.
func (h *shelf) put(s *slot, m *Model, close func()) {
	own := *m
	own.Name, own.Aliases, own.gate, own.grammars, own.slot = s.entry.Name, s.entry.Aliases, s.entry.gate, &maskers{}, s
	s.now = &instance{model: &own, bytes: max(m.Memory, s.entry.Memory), used: time.Now(), close: close}
}

// room takes models down that nobody uses, those that were not used for longest first, until one more has room. mu is
// held; the caller closes what it is given, without it.
func (h *shelf) room(s *slot) (closing []func(), fits bool) {
	kept := h.used() + s.entry.Memory
	for _, v := range h.slots {
		if v.now != nil && v.now.users == 0 {
			kept -= v.now.bytes
		}
	}
	if h.limit > 0 && kept > h.limit {
		return nil, false
	}
	for h.limit > 0 && h.used()+s.entry.Memory > h.limit {
		var victim *slot
		for _, v := range h.slots {
			if v.now != nil && v.now.users == 0 && (victim == nil || v.now.used.Before(victim.now.used)) {
				victim = v
			}
		}
		closing = append(closing, victim.now.close)
		victim.now = nil
	}
	return closing, true
}

// unload takes a model down. Its answers under way go on.
func (h *shelf) unload(s *slot) {
	h.mu.Lock()
	i := s.now
	s.now = nil
	idle := s.retire(i)
	h.mu.Unlock()
	if idle {
		h.end(s, i)
	}
}

// swap opens a model anew beside the one that is used, which then goes: its files may have changed.
func (h *shelf) swap(ctx context.Context, s *slot) error {
	h.mu.Lock()
	if h.limit > 0 && h.used()+s.entry.Memory > h.limit {
		h.mu.Unlock()
		return fail(busy, "model", "there is no memory for model %q twice: unload it first", s.entry.Name)
	}
	s.leaving += s.entry.Memory // reserved
	h.mu.Unlock()
	m, close, err := s.entry.Open(ctx)
	h.mu.Lock()
	s.leaving -= s.entry.Memory
	if err != nil {
		h.mu.Unlock()
		return err
	}
	before := s.now
	h.put(s, m, close)
	idle := s.retire(before)
	h.mu.Unlock()
	if idle {
		h.end(s, before)
	}
	return nil
}

// closeAll closes what is open, when nothing is asked any more.
func (h *shelf) closeAll() {
	for _, s := range h.slots {
		h.unload(s)
	}
}

// engine is what a model is computed with now; nil: it is closed.
func (h *shelf) engine(m *Model) Engine {
	if m.slot == nil {
		return m.Engine
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if m.slot.now == nil {
		return nil
	}
	return m.slot.now.model.Engine
}

// isOpen says whether a model is open, or needs no opening.
func (h *shelf) isOpen(m *Model) bool {
	if m.slot == nil {
		return true
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return m.slot.now != nil
}

// use finds a model by name and opens it, if need be, until the exchange ends.
func (x *exchange) use(name string) (*Model, error) {
	entry, err := x.server.find(name)
	if err != nil {
		return nil, err
	}
	m, release, err := x.server.shelf.use(x.request.Context(), entry)
	if err != nil {
		if !errors.As(err, new(*failure)) && x.request.Context().Err() == nil {
			x.server.log.Error("a model cannot be opened", "model", entry.Name, "why", err)
			err = fail(broken, "model", "model %q cannot be opened; the server's log says why", entry.Name)
		}
		return nil, err
	}
	x.releases = append(x.releases, release)
	return m, nil
}

// loadJSON is the body of models/load and models/unload.
type loadJSON struct {
	Model string `json:"model"`
	Fresh bool   `json:"fresh"` // open it anew, if it is open
}

// manage finds what load and unload are about.
func (s *Server) manage(x *exchange) (body loadJSON, m *Model, err error) {
	if err := x.read(&body); err != nil {
		return body, nil, err
	}
	if x.key != nil && !x.key.admin {
		return body, nil, fail(forbidden, "", "this API key may not load and unload models: its line in the file of keys needs scope=admin")
	}
	if body.Model == "" {
		return body, nil, fail(malformed, "model", "model is missing")
	}
	if m, err = s.find(body.Model); err == nil && m.slot == nil {
		err = fail(outOfRange, "model", "model %q is open as long as the server runs", m.Name)
	}
	return body, m, err
}

// loadModel answers POST models/load.
func (s *Server) loadModel(x *exchange) error {
	body, m, err := s.manage(x)
	if err != nil {
		return err
	}
	if body.Fresh && s.shelf.isOpen(m) {
		if err := s.shelf.swap(x.request.Context(), m.slot); err != nil {
			if errors.As(err, new(*failure)) {
				return err
			}
			s.log.Error("a model cannot be opened", "model", m.Name, "why", err)
			return fail(broken, "model", "model %q cannot be opened, and goes on as it was; the server's log says why", m.Name)
		}
	} else if _, err := x.use(m.Name); err != nil {
		return err
	}
	return x.reply(http.StatusOK, statusJSON{m.Name, "loaded"})
}

// unloadModel answers POST models/unload.
func (s *Server) unloadModel(x *exchange) error {
	_, m, err := s.manage(x)
	if err != nil {
		return err
	}
	s.shelf.unload(m.slot)
	return x.reply(http.StatusOK, statusJSON{m.Name, "unloaded"})
}

type statusJSON struct {
	Model  string `json:"model"`
	Status string `json:"status"`
}

// Close closes the models that the server has opened. Requests must have ended.
func (s *Server) Close() { s.shelf.closeAll() }

// checkOpener finds models that have neither an engine nor a way to one.
func checkOpener(m *Model) error {
	if m.Open == nil && m.Engine == nil {
		return fmt.Errorf("serve: model %q has no engine and cannot be opened", m.Name)
	}
	return nil
}
