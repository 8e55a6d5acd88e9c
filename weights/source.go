// This file holds Source: how it is opened, checked and closed.

package weights

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"

	"github.com/haenyeo/haenyeo/format/gguf"
	"github.com/haenyeo/haenyeo/internal/mmap"
	"github.com/haenyeo/haenyeo/internal/regular"
	"github.com/haenyeo/haenyeo/model"
)

// Source is an open model. It is read-only and safe for concurrent use. Close it when nothing that it
// gave is in use any more.
type Source struct {
	cfg   *model.Config
	path  string
	files files
}

// files is one kind of place where tensors are.
type files interface {
	// find returns the tensor of a published name.
	find(name string) (tensor, bool)
	// locate is the file and the byte in it that stand at an address.
	locate(addr uintptr) (path string, offset int64, ok bool)
	close() error
}

// Open opens the model at path: a directory with config.json and safetensors, a .gguf file, any one
// file of a split GGUF, or a directory with one GGUF in it. That all tensors which the configuration
// asks for are there in the right shapes is checked; their numbers are not read.
func Open(path string) (*Source, error) {
	var s *Source
	err := guard(path, func() (err error) {
		s, err = open(path)
		return err
	})
	return s, err
}

// guard turns a fault during f, in a file that another program makes shorter, into an error.
func guard(path string, f func() error) (err error) {
	before := debug.SetPanicOnFault(true)
	defer func() {
		debug.SetPanicOnFault(before)
		if v := recover(); v != nil {
			err = mmap.Fault(v, func(uintptr) error {
				return fmt.Errorf("weights: %q became shorter while it was read, or its disk failed: wait until it is complete, and open it again", path)
			})
		}
	}()
	return f()
}

func open(path string) (*Source, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("weights: %w: give a directory with config.json and safetensors, or a .gguf file", regular.Quoted(err))
	}
	var s *Source
	if info.IsDir() {
		s, err = openDir(path)
	} else {
		s, err = openFile(path)
	}
	if err != nil {
		return nil, err
	}
	if err := s.Check(); err != nil {
		s.Close()
		return nil, fmt.Errorf("%w (in %q)", err, path)
	}
	return s, nil
}

// openDir opens a directory, without looking for tensors.
func openDir(dir string) (*Source, error) {
	_, err := os.Stat(filepath.Join(dir, "config.json"))
	if errors.Is(err, fs.ErrNotExist) {
		file, err := onlyGGUF(dir)
		if err != nil {
			return nil, err
		}
		return openGGUF(file)
	}
	cfg, err := model.ReadConfig(dir)
	if err != nil {
		return nil, err
	}
	f, err := openSafetensors(dir, cfg)
	if err != nil {
		return nil, err
	}
	if head, ok := f.lookup("lm_head.weight"); ok {
		embed, _ := f.lookup("model.embed_tokens.weight")
		cfg.Untie(embed, head)
	}
	return &Source{cfg: cfg, path: dir, files: f}, nil
}

// onlyGGUF finds the one GGUF model in a directory without config.json.
func onlyGGUF(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", fmt.Errorf("weights: %w", regular.Quoted(err))
	}
	var found []string
	for _, e := range entries {
		name := e.Name()
		first := !strings.Contains(name, "-of-") || strings.Contains(name, "-00001-of-")
		if strings.EqualFold(filepath.Ext(name), ".gguf") && first {
			found = append(found, name)
		}
	}
	switch len(found) {
	case 0:
		return "", fmt.Errorf("weights: %q holds neither config.json nor a .gguf file: is it a model directory?", dir)
	case 1:
		return filepath.Join(dir, found[0]), nil
	}
	return "", fmt.Errorf("weights: %q holds %d GGUF models (%q, %q, ...): name one of them", dir, len(found), found[0], found[1])
}

// openFile opens a file, which must be a GGUF.
func openFile(path string) (*Source, error) {
	f, _, err := regular.Open(path)
	if err != nil {
		return nil, fmt.Errorf("weights: %w", regular.Quoted(err))
	}
	head := make([]byte, 4)
	n, _ := f.Read(head)
	f.Close()
	if !bytes.Equal(head[:n], []byte("GGUF")) {
		switch filepath.Ext(path) {
		case ".safetensors", ".json":
			return nil, fmt.Errorf("weights: %q is one file of a model: give its directory, %q", path, filepath.Dir(path))
		}
	}
	return openGGUF(path)
}

func openGGUF(path string) (*Source, error) {
	f, err := gguf.OpenModel(path)
	if err != nil {
		return nil, err
	}
	cfg, err := ConfigOfGGUF(f)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%w (in %q)", err, path)
	}
	return &Source{cfg: cfg, path: path, files: newGGUFFiles(f, cfg)}, nil
}

// Config is the shape of the model, with defaults filled in. It must not be changed.
func (s *Source) Config() *model.Config { return s.cfg }

// Dir is the directory that holds the model's files; "" for a model in training.
func (s *Source) Dir() string {
	if _, ok := s.files.(*safetensorsFiles); ok || s.path == "" {
		return s.path
	}
	return filepath.Dir(s.path)
}

// GGUF is the file that tensors, tokenizer and chat template are in, nil where it is none.
func (s *Source) GGUF() *gguf.File {
	if g, ok := s.files.(*ggufFiles); ok {
		return g.f
	}
	return nil
}

// RopeInterleaved says whether query and key weights of this source rotate neighbouring channels
// (2i,2i+1) and not (i,i+width/2). It speaks of grouped-query attention; latent attention and V4 are
// always interleaved. Programs that write GGUF of architectures llama and deepseek permute the rows.
func (s *Source) RopeInterleaved() bool {
	return s.GGUF() != nil && (s.cfg.ModelType == "llama" || s.cfg.ModelType == "deepseek")
}

// FaultError explains a fault at the address addr: which file of the model lies there. It is nil if
// none does.
func (s *Source) FaultError(addr uintptr) error {
	path, offset, ok := s.files.locate(addr)
	if !ok {
		return nil
	}
	return fmt.Errorf("weights: byte %d of %q cannot be read any more: the file was cut short or replaced in place while it was in use, or its disk failed; fetch it again and start anew", offset, path)
}

// CatchFault ends a call during which mapped files are read: it turns the panic of a page that is gone into
// an error. Use it with defer; before is what debug.SetPanicOnFault(true) returned.
func (s *Source) CatchFault(before bool, err *error) {
	debug.SetPanicOnFault(before)
	if v := recover(); v != nil {
		*err = mmap.Fault(v, s.FaultError)
	}
}

// Close unmaps the files.
func (s *Source) Close() error { return s.files.close() }
