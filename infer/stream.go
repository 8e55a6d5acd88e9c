package infer

// What the caller of a Scheduler sees of an answer. The scheduler never waits for a reader: what is not read yet is
// put together, and a sequence whose reader is far behind rests while the others go on.

import "sync"

// Event is what has come since the last one.
type Event struct {
	Read   int            // tokens of the prompt that are in the context
	Tokens []TokenLogprob // generated tokens, their log-probabilities set where asked for
	Text   string         // text that they complete
}

// Stream is an answer in the making. One goroutine reads it.
type Stream struct {
	more chan struct{} // has an element when there may be something to read
	wake func()        // tells the scheduler that there is room again

	mu      sync.Mutex
	event   Event
	news    bool // something of event was not read yet
	waits   bool // the sequence rests until event is read
	careful bool // false once the reader wants nothing but the result
	done    bool
	result  Result
	err     error
}

// unreadTokens is how many tokens may wait for their reader before the sequence rests.
const unreadTokens = 256

func newStream(wake func()) *Stream {
	return &Stream{more: make(chan struct{}, 1), wake: wake, careful: true}
}

// Next waits for something new. It returns false at the end of the answer.
func (s *Stream) Next() (Event, bool) {
	for {
		s.mu.Lock()
		if s.news {
			e := s.event
			s.event, s.news = Event{Read: e.Read}, false
			waits := s.waits
			s.waits = false
			s.mu.Unlock()
			if waits {
				s.wake()
			}
			return e, true
		}
		done := s.done
		s.mu.Unlock()
		if done {
			return Event{}, false
		}
		<-s.more
	}
}

// Result waits for the end of the answer and returns all of it, with the error that ended it. What Next did not return
// yet is passed over.
func (s *Stream) Result() (Result, error) {
	s.mu.Lock()
	s.careful = false
	s.mu.Unlock()
	for ok := true; ok; {
		_, ok = s.Next()
	}
	return s.result, s.err
}

// full says whether the sequence must rest. It will be woken.
func (s *Stream) full() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waits = s.careful && len(s.event.Tokens) >= unreadTokens
	return s.waits
}

func (s *Stream) add(f func(e *Event)) {
	s.mu.Lock()
	f(&s.event)
	s.news = true
	s.mu.Unlock()
	s.tell()
}

func (s *Stream) addText(text string) error {
	s.add(func(e *Event) { e.Text += text })
	return nil
}

func (s *Stream) addToken(t TokenLogprob) { s.add(func(e *Event) { e.Tokens = append(e.Tokens, t) }) }
func (s *Stream) addRead(tokens int)      { s.add(func(e *Event) { e.Read = tokens }) }

// end closes the stream.
func (s *Stream) end(r Result, err error) {
	s.mu.Lock()
	s.done, s.result, s.err = true, r, err
	s.mu.Unlock()
	s.tell()
}

func (s *Stream) tell() {
	select {
	case s.more <- struct{}{}:
	default:
	}
}
