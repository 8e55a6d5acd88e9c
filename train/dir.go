package train

// This file says what an output directory holds, so that nobody else's files are written over, and
// takes possession of it.

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/haenyeo/haenyeo/corpus"
	"github.com/haenyeo/haenyeo/internal/atomicfile"
)

// Vacant says whether a run may begin in dir: it is not there, or holds nothing but what a start
// that was killed leaves. If not, other names something in it.
func Vacant(dir string) (vacant bool, other string, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Lstat(dir); err == nil {
			return false, "", fmt.Errorf("%q is a link that leads nowhere: make what it names, or choose another --out", dir)
		}
		return true, "", nil
	}
	if err != nil {
		return false, "", err
	}
	for _, e := range entries {
		if atomicfile.IsPartial(e.Name()) {
			continue
		}
		if info, err := e.Info(); err == nil && e.Name() == LogName && info.Mode().IsRegular() && info.Size() == 0 {
			continue
		}
		if e.Name() == TokensName && corpus.IsTokenFile(filepath.Join(dir, TokensName)) {
			continue
		}
		return false, e.Name(), nil
	}
	return true, "", nil
}

// HasRun says whether dir holds a run that Job.Resume continues.
func HasRun(dir string) bool {
	r := run{Job: Job{Dir: dir}}
	if len(r.checkpoints()) > 0 {
		return true
	}
	f, err := os.Open(filepath.Join(dir, LogName))
	if err != nil {
		return false
	}
	defer f.Close()
	info, err := f.Stat()
	return err == nil && info.Size() > 0 && ours(f)
}

// CheckOut refuses an output directory that holds something else, or where there is no run to resume, or one that was
// not to be resumed.
func CheckOut(dir string, resume bool) error {
	vacant, other, err := Vacant(dir)
	switch {
	case err != nil:
		return fmt.Errorf("output directory: %w: choose another --out", err)
	case resume && HasRun(dir):
		return nil
	case resume && vacant:
		return fmt.Errorf("%q holds no run to resume: leave out --resume, or give the --out of the run", dir)
	case resume:
		return fmt.Errorf("%q holds something else (%q, for one) and no run to resume: give the --out of the run", dir, other)
	case vacant:
		return nil
	case HasRun(dir):
		return fmt.Errorf("%q is not empty: --resume continues the run in it; or choose another --out", dir)
	}
	return fmt.Errorf("%q is not empty (it holds %q, for one): choose another --out", dir, other)
}

// take makes Dir, if need be, and holds it until close: nobody else trains there.
func (r *run) take() error {
	if there := r.checkpoints(); len(there) > 0 && !r.Resume {
		return fmt.Errorf("train: %q holds checkpoints of an earlier run: resume it, or choose another --out", r.Dir)
	}
	if err := r.roomFor(); err != nil {
		return err
	}
	_, err := os.Stat(r.Dir)
	r.madeDir = errors.Is(err, fs.ErrNotExist)
	if err := os.MkdirAll(r.Dir, 0o777); err != nil {
		return fmt.Errorf("train: output directory: %w: choose another --out", err)
	}
	if r.log, err = openLog(filepath.Join(r.Dir, LogName)); err != nil {
		return err
	}
	if !r.log.empty && !r.Resume {
		return fmt.Errorf("train: %q holds the log of an earlier run: resume it, or choose another --out", r.Dir)
	}
	return r.clean()
}

// release lets go of Dir. What was made for a run that did not begin is removed, so that it is not
// in the way of the next.
func (r *run) release() {
	if r.log != nil {
		r.log.close()
	}
	if r.madeDir && (r.log == nil || r.log.empty) {
		os.Remove(r.Dir) // unless something is in it
	}
}

// sameLog refuses to begin again, for want of a checkpoint, what was another run, or is finished.
func (r *run) sameLog() error {
	if r.log == nil || r.log.empty {
		return nil
	}
	events, err := ReadLog(filepath.Join(r.Dir, LogName))
	if err != nil || len(events) == 0 {
		return err
	}
	if _, done := events[len(events)-1].(Done); done {
		return fmt.Errorf("train: %q holds a finished run without its checkpoints: choose another --out", r.Dir)
	}
	if was, ok := events[0].(Plan); ok {
		if d := was.Options.difference(r.opt, was.Batch, r.Plan.Batch, was.Seq, r.Plan.Seq); d != "" {
			return fmt.Errorf("train: the run in %q was begun with other options: %s; choose another --out for a new run", r.Dir, d)
		}
		if was.Data != "" && was.Data != r.Plan.Data {
			return fmt.Errorf("train: the data has changed since the run in %q was begun: bring back the files, and mix them (--mix) as they were, or choose another --out", r.Dir)
		}
		if was.Params != r.Plan.Params {
			return fmt.Errorf("train: the run in %q was begun with a model of %d parameters, not %d: choose another --out for a new run", r.Dir, was.Params, r.Plan.Params)
		}
	}
	r.Logger.Warn("train: there is no checkpoint yet: the run begins again with its first step", "dir", r.Dir)
	return nil
}
