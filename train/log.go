package train

// This file keeps log.jsonl: the curve of a run. It grows by one write a line, is synced before a
// checkpoint becomes visible, and is cut back to the checkpoint when the run continues, so that
// every step is in it once.

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/haenyeo/haenyeo/internal/regular"
)

// LogName is the name of the log in the output directory.
const LogName = "log.jsonl"

type runLog struct {
	f     *os.File
	made  bool // by openLog
	empty bool // holds no event
}

// openLog opens the log at path, or makes it. Who holds it owns the directory of the run: nobody
// else can open it until it is closed. A file that this package did not write is an error.
func openLog(path string) (*runLog, error) {
	_, err := os.Stat(path)
	made := errors.Is(err, fs.ErrNotExist)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, fmt.Errorf("train: log: %w", err)
	}
	if !lockFile(f) {
		f.Close()
		return nil, fmt.Errorf("train: another process is training in %q: wait for it, or choose another --out", filepath.Dir(path))
	}
	info, err := f.Stat()
	if err == nil && !ours(f) {
		err = fmt.Errorf("%q is not the log of a run: choose another --out", path)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("train: log: %w", err)
	}
	return &runLog{f: f, made: made, empty: info.Size() == 0}, nil
}

// ours says whether f begins as a log does, as far as it goes: with a plan.
func ours(f *os.File) bool {
	mark := fmt.Appendf(nil, `{"event":%q,`, Plan{}.Name())
	head := make([]byte, len(mark))
	n, err := f.ReadAt(head, 0)
	return (err == nil || err == io.EOF) && bytes.HasPrefix(mark, head[:n])
}

// cut drops what happened after step, an unfinished last line and the end of an earlier run; and,
// unless measured, what was measured at step, because it was not all.
func (l *runLog) cut(step int, measured bool) error {
	if _, err := l.f.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("train: log: %w", err)
	}
	var keep int64
	r := bufio.NewReaderSize(l.f, 1<<20)
	for {
		line, err := r.ReadSlice('\n')
		var e struct {
			Event string `json:"event"`
			Step  int    `json:"step"`
		}
		// A line that is cut off, longer than any event or no JSON: nothing after it is ours.
		if err != nil || json.Unmarshal(line, &e) != nil || e.Step > step || e.Event == (Done{}).Name() {
			break
		}
		if !measured && e.Step == step && e.Event != (Step{}).Name() {
			break
		}
		keep += int64(len(line))
	}
	if err := l.f.Truncate(keep); err != nil {
		return fmt.Errorf("train: log: %w", err)
	}
	if _, err := l.f.Seek(keep, io.SeekStart); err != nil {
		return fmt.Errorf("train: log: %w", err)
	}
	l.empty = keep == 0
	return nil
}

func (l *runLog) write(e Event) error {
	line, err := Line(e)
	if err != nil {
		return err
	}
	if _, err := l.f.Write(line); err != nil {
		return fmt.Errorf("train: log: %w", err)
	}
	l.empty = false
	return nil
}

func (l *runLog) sync() error {
	if err := l.f.Sync(); err != nil {
		return fmt.Errorf("train: log: %w", err)
	}
	return nil
}

// close lets go of the log, and removes one that was made for nothing.
func (l *runLog) close() {
	path := l.f.Name()
	l.f.Close() // every event was written, and synced where it matters
	if l.made && l.empty {
		os.Remove(path)
	}
}

// maxLog bounds the log that is read: several million steps.
const maxLog = 1 << 30

// ReadLog returns the events of the log at path in order, each as the type that it was written
// from. Lines of other programs or versions are skipped; an unfinished last line is not an error.
func ReadLog(path string) ([]Event, error) {
	b, err := regular.ReadFile(path, maxLog)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("train: log: %w", err)
	}
	var events []Event
	for line := range bytes.Lines(b) {
		var head struct {
			Event string `json:"event"`
		}
		if json.Unmarshal(line, &head) != nil {
			continue
		}
		var e Event
		switch head.Event {
		case Plan{}.Name():
			e, err = parse[Plan](line)
		case Step{}.Name():
			e, err = parse[Step](line)
		case Eval{}.Name():
			e, err = parse[Eval](line)
		case Sample{}.Name():
			e, err = parse[Sample](line)
		case Checkpoint{}.Name():
			e, err = parse[Checkpoint](line)
		case Done{}.Name():
			e, err = parse[Done](line)
		default:
			continue
		}
		if err == nil {
			events = append(events, e)
		}
	}
	return events, nil
}

func parse[E Event](line []byte) (Event, error) {
	var e E
	err := json.Unmarshal(line, &e)
	return e, err
}
