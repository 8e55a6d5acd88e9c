package main

// --profile: a directory with cpu.pprof, for "go tool pprof", and timeline.html, a picture of the layers.

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/pprof"

	"github.com/haenyeo/haenyeo/internal/atomicfile"
	"github.com/haenyeo/haenyeo/internal/bench"
)

// profile is one in the making. The zero value makes none.
type profile struct {
	a      *app
	dir    string
	undo   func() // takes the directory away again
	cpu    *atomicfile.File
	ledger *bench.Ledger // nil without a profile
}

// profile begins one in dir, none for "".
func (a *app) profile(dir string) (*profile, error) {
	p := &profile{}
	if dir == "" {
		return p, nil
	}
	undo, err := newDirectory(dir)
	if err != nil {
		return nil, err
	}
	cpu, err := atomicfile.Create(filepath.Join(dir, "cpu.pprof"))
	if err == nil {
		err = pprof.StartCPUProfile(cpu)
	}
	if err != nil {
		if cpu != nil {
			cpu.Abort()
		}
		undo()
		return nil, fmt.Errorf("--profile: %w", err)
	}
	return &profile{a: a, dir: dir, undo: undo, cpu: cpu, ledger: bench.NewLedger(true)}, nil
}

// newDirectory makes a directory, or takes an empty one.
func newDirectory(dir string) (undo func(), err error) {
	err = os.Mkdir(dir, 0o777)
	if err == nil {
		return func() { os.Remove(dir) }, nil
	}
	entries, listing := os.ReadDir(dir)
	switch {
	case listing == nil && len(entries) == 0:
		return func() {}, nil
	case listing == nil:
		return nil, fmt.Errorf("--profile %q: it is not empty: name another directory", dir)
	case errors.Is(err, os.ErrExist):
		return nil, fmt.Errorf("--profile %q is no directory: name another one", dir)
	}
	return nil, fmt.Errorf("--profile: %w: name a directory that can be made", err)
}

// finish writes the files. title and note say what was measured.
func (p *profile) finish(title, note string) error {
	if p.cpu == nil {
		return nil
	}
	pprof.StopCPUProfile()
	err := p.cpu.Commit()
	p.cpu = nil
	if err != nil {
		return fmt.Errorf("--profile: %w", err)
	}
	t := p.ledger.Timeline(title)
	t.Notes = append(t.Notes, note)
	page, err := t.HTML()
	if err != nil {
		return err
	}
	if err := atomicfile.WriteFile(filepath.Join(p.dir, "timeline.html"), page); err != nil {
		return fmt.Errorf("--profile: %w", err)
	}
	p.a.say("profile: %s, for go tool pprof, and %s", filepath.Join(p.dir, "cpu.pprof"), filepath.Join(p.dir, "timeline.html"))
	return nil
}

// abort ends a profile that was not finished.
func (p *profile) abort() {
	if p.cpu != nil {
		pprof.StopCPUProfile()
		p.cpu.Abort()
		p.undo()
	}
}
