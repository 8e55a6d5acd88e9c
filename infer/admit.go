package infer

// Who may come in, who must go, and what is counted.

// admit ends what has ended, lets sequences go that are done, and lets waiting ones in.
func (s *Scheduler) admit() {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := s.waiting[:0]
	for _, q := range s.waiting {
		if q.live() {
			kept = append(kept, q)
		}
	}
	clear(s.waiting[len(kept):])
	s.waiting = kept
	for len(s.waiting) > 0 && len(s.running) < s.opt.Sequences {
		first := 0
		for i, q := range s.waiting {
			if q.priority > s.waiting[first].priority {
				first = i
			}
		}
		q := s.waiting[first]
		// Nobody overtakes a sequence that waits for memory, or it would wait for ever.
		if s.opt.CacheBytes > 0 && s.stats.CacheBytes+q.bytes > s.opt.CacheBytes {
			return
		}
		s.waiting = append(s.waiting[:first], s.waiting[first+1:]...)
		s.turn++
		q.turn = s.turn
		if q.enter(&s.shared); !q.ended {
			s.stats.CacheBytes += q.bytes
			s.running = append(s.running, q)
		}
	}
}

// count lets sequences go that have ended, and counts. It says whether nothing is left to do, ever.
func (s *Scheduler) count() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := s.running[:0]
	t := &s.stats
	t.Reading, t.Answering = 0, 0
	for _, q := range s.running {
		t.tally(q)
		switch {
		case !q.live():
			t.CacheBytes -= q.bytes
			continue
		case q.answering():
			t.Answering++
		default:
			t.Reading++
		}
		kept = append(kept, q)
	}
	clear(s.running[len(kept):])
	s.running = kept
	t.PrefixBytes = s.shared.bytes
	return s.closed && len(s.running)+len(s.waiting) == 0
}

// tally counts what q has done since it was counted last.
func (t *Stats) tally(q *sequence) {
	if q.answering() && !q.read {
		q.read = true
		t.PromptTokens += int64(len(q.req.Tokens))
		t.ReusedTokens += int64(q.reply.r.Reused)
	}
	now := q.counted
	now.made = len(q.reply.r.Tokens)
	if g := q.guess; g != nil {
		now.guessed, now.right = g.guessed, g.right
	}
	t.MadeTokens += int64(now.made - q.counted.made)
	t.GuessedTokens += int64(now.guessed - q.counted.guessed)
	t.RightGuesses += int64(now.right - q.counted.right)
	q.counted = now
}
