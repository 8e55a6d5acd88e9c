package grammar

// The place of one answer in its grammar.

import "fmt"

// Matcher follows one text, token by token. It belongs to one goroutine at a time.
type Matcher struct {
	k     *Masker
	c     *config
	made  int // tokens that were accepted
	ended bool
	err   error
}

// Matcher begins a text.
func (k *Masker) Matcher() *Matcher {
	k.mu.Lock()
	defer k.mu.Unlock()
	return &Matcher{k: k, c: k.m.start}
}

// Allowed is infer.Sampling.Allowed: made are the tokens of the answer so far, those of the last call and what came
// since, or fewer after a step back. It returns nil where the text is complete, nothing can follow, and no token ends
// it. What it returns must not be changed. After an error, see Err, it permits nothing.
func (m *Matcher) Allowed(made []int32) []uint64 {
	if len(made) < m.made {
		*m = *m.k.Matcher()
	}
	for _, id := range made[m.made:] {
		if m.Accept(id) != nil {
			return []uint64{}
		}
	}
	mask, err := m.Mask()
	if err != nil {
		return []uint64{}
	}
	return mask
}

// Mask returns the tokens that may come next, bit id%64 of word id/64, as Allowed does.
func (m *Matcher) Mask() ([]uint64, error) {
	if m.err != nil {
		return nil, m.err
	}
	if m.ended {
		return nil, nil
	}
	m.k.mu.Lock()
	defer m.k.mu.Unlock()
	m.tidy()
	if len(m.c.groups) == 0 && len(m.k.ends) == 0 {
		return nil, nil
	}
	mask, err := m.k.maskOf(m.c)
	m.err = err
	return mask, err
}

// tidy forgets what takes too much memory. mu is held.
func (m *Matcher) tidy() {
	if m.k.held > maxHeld || m.k.m.full() {
		m.k.forget()
	}
	m.c = m.k.m.adopt(m.c)
}

// Accept takes note of the next token. One that is not permitted is an error, which stays.
func (m *Matcher) Accept(id int32) error {
	if m.err != nil {
		return m.err
	}
	m.made++
	m.k.mu.Lock()
	defer m.k.mu.Unlock()
	m.tidy()
	for _, end := range m.k.ends {
		if id == end && m.c.accept && !m.ended {
			m.ended = true
			return nil
		}
	}
	c := m.c
	if id < 0 || int(id) >= m.k.v.size || m.ended {
		c = dead
	} else {
		c = m.k.read(c, id)
	}
	if c == dead {
		m.err = fmt.Errorf("grammar: token %d, the %d. of the text, is not permitted there", id, m.made)
		if m.k.m.err != nil {
			m.err = fmt.Errorf("grammar: %w", m.k.m.err)
			m.k.m.err = nil
		}
		return m.err
	}
	m.c = c
	return nil
}

// read steps by the bytes of a token.
func (k *Masker) read(c *config, id int32) *config {
	k.m.work = 0
	spelled := k.v.spelled[id]
	if spelled == nil {
		return dead
	}
	for _, b := range spelled {
		if c = k.m.step(c, b); c == dead {
			break
		}
	}
	return c
}

// Complete says whether the text may end here.
func (m *Matcher) Complete() bool { return m.err == nil && m.c.accept }

// Err says why nothing is permitted any more.
func (m *Matcher) Err() error { return m.err }
