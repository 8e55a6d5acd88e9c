package hub

// One file on its way: several connections fetch runs of pieces into the partial file, a record of the
// pieces is kept beside it, and a server that sends the whole file whatever it is asked is read by one
// connection alone.

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	longestRun   = 32        // pieces of one request
	someProgress = 64 << 10  // bytes; a try that brought fewer is one without progress
	readBuffer   = 256 << 10 // of a connection
	recordPeriod = time.Second
)

var (
	errRestart = errors.New("the file changed while it was fetched")
	errLeft    = errors.New("another connection reads the whole file")
	errBroken  = errors.New("the server is broken, try another (--base)")
)

// partFile is a partial file.
type partFile interface {
	io.ReaderAt
	io.WriterAt
	Truncate(int64) error
	Sync() error
	Close() error
}

func openPart(path string) (partFile, error) { return os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666) }

// transfer is the state of one file.
type transfer struct {
	s     *session
	j     *job
	slots chan struct{} // connections that may be open
	count func(n int64) // is told of bytes that are there, or are no more
	part  partFile

	mu      sync.Mutex
	parts   pieces
	claimed []bool // a connection fetches the piece
	body    string // ETag of what is sent
	anyTag  bool   // do not mind other ones
	whole   bool   // one connection reads everything
	dirty   bool   // the record is older than parts
	counted int64  // bytes that count was told of
}

// fetch brings the bytes of j to its final place and returns their checksums. The lock of j is held.
func (s *session) fetch(ctx context.Context, j *job, slots chan struct{}, count func(int64)) (sums, error) {
	open := openPart
	if s.c.hooks.open != nil {
		open = s.c.hooks.open
	}
	part, err := open(j.partial)
	if err != nil {
		return sums{}, err
	}
	defer part.Close() // closed before on the way to the final name
	checked := isSHA256(j.tag) || isGit(j.tag)
	t := &transfer{s: s, j: j, slots: slots, count: count, part: part}
	var kept bool
	if t.parts, t.body, kept = readRecord(j.record, j.partial, j.tag, j.size); !kept {
		t.parts = newPieces(j.size)
	}
	if checked {
		t.body = "" // the next server may have ETags of its own for the same bytes
	}
	t.counted = t.parts.bytes()
	for restarts := 0; ; restarts++ {
		t.claimed, t.whole = make([]bool, len(t.parts.done)), false
		err := t.run(ctx)
		if err == nil {
			return t.finish(ctx)
		}
		if !errors.Is(err, errRestart) {
			return sums{}, err
		}
		if restarts > 0 {
			return sums{}, errors.New("the server goes on changing it: try again later")
		}
		t.anyTag = checked // if that happens again, the checksum decides
		s.c.warn("the file changed on the server, fetching it from its beginning", "file", j.name)
		t.add(-t.counted)
		t.parts, t.body = newPieces(j.size), ""
		if err := remove(j.record); err != nil {
			return sums{}, err
		}
	}
}

// run fetches all pieces that are not there.
func (t *transfer) run(ctx context.Context) error {
	missing := 0
	for _, d := range t.parts.done {
		if !d {
			missing++
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	recorded := make(chan struct{})
	stop := make(chan struct{})
	go func() {
		defer close(recorded)
		tick := time.NewTicker(recordPeriod)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				if err := t.remember(); err != nil {
					cancel(err)
					return
				}
			}
		}
	}()
	var wg sync.WaitGroup
	for range min(cap(t.slots), missing) {
		wg.Go(func() {
			for {
				lo, hi := t.claim()
				if lo == hi || ctx.Err() != nil {
					return
				}
				if err := t.fetchRun(ctx, lo, hi); err != nil {
					if !errors.Is(err, errLeft) {
						cancel(err)
					}
					return
				}
			}
		})
	}
	wg.Wait()
	close(stop)
	<-recorded
	if ctx.Err() != nil {
		err := context.Cause(ctx)
		switch {
		case errors.Is(err, errBroken):
			return errors.Join(err, remove(t.j.record)) // who knows what its bytes are worth
		case !errors.Is(err, errRestart):
			t.remember() // the reason why we stop matters more than a failure of this
		}
		return err
	}
	return nil
}

// claim takes the first run of pieces that nobody fetches; lo == hi when there is none.
func (t *transfer) claim() (lo, hi int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.whole {
		return 0, 0
	}
	free := func(i int) bool { return i < len(t.claimed) && !t.claimed[i] && !t.parts.done[i] }
	left := 0
	for i := range t.claimed {
		if free(i) {
			left++
		}
	}
	most := max(1, min(longestRun, left/(2*cap(t.slots))))
	for lo < len(t.claimed) && !free(lo) {
		lo++
	}
	for hi = lo; hi-lo < most && free(hi); hi++ {
		t.claimed[hi] = true
	}
	return lo, hi
}

// fetchRun fetches the pieces lo to hi-1.
func (t *transfer) fetchRun(ctx context.Context, lo, hi int) error {
	r := &ranged{t: t, at: int64(lo) * pieceSize, end: t.parts.end(hi - 1)}
	return t.s.persist(ctx, func() (bool, error) {
		before := r.got
		var err error
		for err == nil && r.at < r.end {
			mark := r.got
			if err = r.request(ctx); err == nil && r.at < r.end && r.got-mark < someProgress {
				err = fmt.Errorf("%s: only %d bytes of a range came: %w", t.j.url, r.got-mark, io.ErrUnexpectedEOF)
			}
		}
		return r.got-before >= someProgress, err
	})
}

// ranged is one connection's part of the work.
type ranged struct {
	t     *transfer
	at    int64 // what stands before it, back to the beginning of its piece, is written
	end   int64
	got   int64 // bytes written so far
	owner bool  // of the whole file
}

// request asks for at to end and writes what comes.
func (r *ranged) request(ctx context.Context) error {
	t := r.t
	select {
	case t.slots <- struct{}{}:
		defer func() { <-t.slots }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	ranges := ""
	if r.at > 0 || r.end < t.j.size {
		ranges = fmt.Sprintf("bytes=%d-%d", r.at, r.end-1)
	}
	answer, err := t.s.send(ctx, http.MethodGet, t.j.url, ranges)
	if err != nil {
		if isStatus(err, http.StatusRequestedRangeNotSatisfiable) {
			return t.changed("it has no bytes %d to %d any more", r.at, r.end-1)
		}
		return err
	}
	defer answer.body.Close()
	if err := t.same(answer); err != nil {
		return err
	}
	switch answer.status {
	case http.StatusPartialContent:
		from, to, total, err := contentRange(answer.header.Get("Content-Range"))
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w", plain(answer.url), err)
		case total >= 0 && total != t.j.size:
			return t.changed("it has %d bytes, and the list says %d", total, t.j.size)
		case from != r.at || to > r.end:
			return fmt.Errorf("%s sends bytes %d to %d when asked for %d to %d: %w", plain(answer.url), from, to-1, r.at, r.end-1, errBroken)
		}
		return r.copy(answer, from, to)
	case http.StatusOK:
		if answer.length >= 0 && answer.length != t.j.size {
			return t.changed("it has %d bytes, and the list says %d", answer.length, t.j.size)
		}
		if ranges != "" && !r.takeWhole() {
			return errLeft
		}
		return r.copy(answer, 0, t.j.size)
	}
	return fmt.Errorf("%s answers with status %d", plain(answer.url), answer.status)
}

// add counts n bytes more, or fewer. The lock is held, or nobody else is there.
func (t *transfer) add(n int64) {
	t.counted += n
	t.count(n)
}

// takeWhole makes this connection the one that reads the whole file, if none is. Its run is then all
// that is missing.
func (r *ranged) takeWhole() bool {
	t := r.t
	t.mu.Lock()
	defer t.mu.Unlock()
	if r.owner {
		return true
	}
	t.add(-(r.at % pieceSize)) // of a piece that is begun anew, by us or by the owner
	if t.whole {
		return false
	}
	t.whole, r.owner = true, true
	for i, d := range t.parts.done {
		if !d {
			r.at, r.end = int64(i)*pieceSize, t.j.size
			break
		}
	}
	return true
}

// copy writes the body, which holds the bytes from to to-1 of the file, from r.at on.
func (r *ranged) copy(answer *reply, from, to int64) error {
	t, buf := r.t, make([]byte, readBuffer)
	for from < to {
		n, err := answer.body.Read(buf[:min(int64(len(buf)), to-from)])
		skip := min(max(0, r.at-from), int64(n))
		if werr := r.write(buf[skip:n]); werr != nil {
			return werr
		}
		from += int64(n)
		if err != nil && from < to {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return fmt.Errorf("%s: after %d of %d bytes: %w", plain(answer.url), from, to, err)
		}
	}
	if n, _ := answer.body.Read(buf[:1]); n > 0 {
		return fmt.Errorf("%s sends more than the %d bytes of the list: %w", plain(answer.url), t.j.size, errBroken)
	}
	return nil
}

// write puts b at r.at.
func (r *ranged) write(b []byte) error {
	t := r.t
	for len(b) > 0 {
		i := int(r.at / pieceSize)
		n := min(int64(len(b)), t.parts.end(i)-r.at)
		if _, err := t.part.WriteAt(b[:n], r.at); err != nil {
			return fmt.Errorf("writing: %w: what is here is kept: make room, then pull again", err)
		}
		b = b[n:]
		r.at += n
		r.got += n
		t.mu.Lock()
		had := t.parts.done[i] // only where the whole file is read
		if r.at == t.parts.end(i) {
			t.parts.done[i], t.dirty = true, true
		}
		if !had {
			t.add(n)
		}
		t.mu.Unlock()
	}
	return nil
}

// same checks that an answer is about the file of the list.
func (t *transfer) same(a *reply) error {
	switch {
	case isGit(a.commit) && isGit(t.j.commit) && a.commit != t.j.commit:
		return t.changed("it is of commit %s, not %s", a.commit, t.j.commit)
	case isSHA256(a.etag) && isSHA256(t.j.tag) && a.etag != t.j.tag, isGit(a.etag) && isGit(t.j.tag) && a.etag != t.j.tag:
		return t.changed("its ETag is %s, and the list says %s", a.etag, t.j.tag)
	case a.size >= 0 && a.size != t.j.size:
		return t.changed("it has %d bytes, and the list says %d", a.size, t.j.size)
	}
	tag := bareTag(a.header.Get("ETag"))
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.body == "":
		t.body = tag
	case tag != "" && tag != t.body && !t.anyTag:
		return errRestart
	}
	return nil
}

func (t *transfer) changed(format string, args ...any) error {
	return fmt.Errorf("it changed on the server: "+format+": pull again", args...)
}

// remember brings the record up to date. Files of one piece have none.
func (t *transfer) remember() error {
	t.mu.Lock()
	if !t.dirty || len(t.parts.done) < 2 {
		t.mu.Unlock()
		return nil
	}
	parts, body := pieces{t.parts.size, append([]bool(nil), t.parts.done...)}, t.body
	t.dirty = false
	t.mu.Unlock()
	if err := t.part.Sync(); err != nil { // what the record names is on the disk
		return err
	}
	return writeRecord(t.j.record, t.j.tag, body, parts)
}

// finish checks the file and gives it its final name.
func (t *transfer) finish(ctx context.Context) (sums, error) {
	j := t.j
	if err := t.remember(); err != nil { // checking a large file takes a while too
		return sums{}, err
	}
	if err := t.part.Truncate(j.size); err != nil {
		return sums{}, err
	}
	if err := t.part.Sync(); err != nil {
		return sums{}, err
	}
	got, err := sum(ctx, t.part, j.size, isGit(j.tag))
	if err != nil {
		return sums{}, err
	}
	if err := t.part.Close(); err != nil {
		return sums{}, err
	}
	why := got.mismatch(j.tag)
	to := j.final
	if why != "" {
		to = j.corrupt
	}
	if err := os.Rename(j.partial, to); err != nil {
		return sums{}, err
	}
	if err := remove(j.record); err != nil {
		return sums{}, err
	}
	if why != "" {
		return sums{}, fmt.Errorf("%s: it is set aside as %s and not used: pull again", why, j.corrupt)
	}
	return got, nil
}

// contentRange reads "bytes 0-99/1000": the first byte, the one behind the last, and all of them (-1 unknown).
func contentRange(v string) (from, to, total int64, err error) {
	wrong := fmt.Errorf("the server answers with the range %q", oneLine(v))
	span, all, ok := strings.Cut(strings.TrimPrefix(v, "bytes "), "/")
	first, last, ok2 := strings.Cut(span, "-")
	if !strings.HasPrefix(v, "bytes ") || !ok || !ok2 {
		return 0, 0, 0, wrong
	}
	from, err1 := strconv.ParseInt(first, 10, 64)
	to, err2 := strconv.ParseInt(last, 10, 64)
	total = -1
	var err3 error
	if all != "*" {
		total, err3 = strconv.ParseInt(all, 10, 64)
	}
	if err1 != nil || err2 != nil || err3 != nil || from < 0 || to < from || to > maxSize || all != "*" && total <= to {
		return 0, 0, 0, wrong
	}
	return from, to + 1, total, nil
}
