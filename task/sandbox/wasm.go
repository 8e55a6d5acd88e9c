package sandbox

// Programs for WebAssembly under wazero: WASI with standard input and output alone. No directory is opened, no socket
// exists, the clock stands still and random numbers are the same in every run.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
	"github.com/tetratelabs/wazero/sys"
)

// maxModule is the largest module, in bytes.
const maxModule = 1 << 20

// maxTable is the largest table of functions; a module may ask for more before it runs.
const maxTable = 1 << 16

// Result is what a program did.
type Result struct {
	Output []byte // standard output
	Exit   uint32
}

// ErrTime and ErrOutput say which bound a program met.
var (
	ErrTime   = errors.New("the time is over")
	ErrOutput = errors.New("too much output")
)

// RunWASM runs a program to its end. lim.Memory bounds its linear memory (16 MiB when 0).
func RunWASM(ctx context.Context, module, stdin []byte, lim Limits) (Result, error) {
	pages := uint32(256)
	if lim.Memory > 0 {
		pages = uint32(min(max(lim.Memory>>16, 1), 1<<16))
	}
	lim = lim.filled()
	if len(module) > maxModule {
		return Result{}, fmt.Errorf("sandbox: module: %d bytes: at most %d run", len(module), maxModule)
	}
	if err := checkTables(module); err != nil {
		return Result{}, fmt.Errorf("sandbox: module: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, lim.Time)
	defer cancel()
	// Without reference types a table cannot grow.
	config := wazero.NewRuntimeConfig().WithMemoryLimitPages(pages).WithCloseOnContextDone(true).
		WithCoreFeatures(api.CoreFeaturesV2 &^ api.CoreFeatureReferenceTypes)
	rt := wazero.NewRuntimeWithConfig(ctx, config)
	defer rt.Close(context.WithoutCancel(ctx))
	if _, err := wasi_snapshot_preview1.Instantiate(ctx, rt); err != nil {
		return Result{}, fmt.Errorf("sandbox: module: %w", err)
	}
	out := &bounded{left: lim.Output, stop: cancel}
	_, err := rt.InstantiateWithConfig(ctx, module, wazero.NewModuleConfig().WithName("").WithStdin(bytes.NewReader(stdin)).WithStdout(out).WithStderr(io.Discard))
	res := Result{Output: out.buf.Bytes()}
	var exit *sys.ExitError
	switch {
	case out.full:
		return res, ErrOutput
	case ctx.Err() != nil:
		return res, ErrTime
	case errors.As(err, &exit):
		res.Exit = exit.ExitCode()
		return res, nil
	case err != nil:
		return res, fmt.Errorf("sandbox: module: %s", firstLine(err.Error()))
	}
	return res, nil
}

func firstLine(s string) string {
	line, _, _ := bytes.Cut([]byte(s), []byte("\n"))
	return string(line[:min(len(line), 300)])
}

// bounded keeps what is written up to a number of bytes, then stops the program.
type bounded struct {
	buf  bytes.Buffer
	left int
	full bool
	stop func()
}

func (b *bounded) Write(p []byte) (int, error) {
	if len(p) > b.left {
		b.full = true
		b.stop()
		return 0, ErrOutput
	}
	b.left -= len(p)
	return b.buf.Write(p)
}

// checkTables reads the sizes of the tables of a module, which are made before anything runs.
// WebAssembly core specification 2.0, section 5.5: magic, version, then sections (id, size, content); 4 is the tables.
func checkTables(m []byte) error {
	if !bytes.HasPrefix(m, []byte("\x00asm\x01\x00\x00\x00")) {
		return errors.New("it does not begin as WebAssembly 1 does")
	}
	for m = m[8:]; len(m) > 0; {
		id := m[0]
		size, rest, err := leb(m[1:])
		if err != nil || uint64(size) > uint64(len(rest)) {
			return errors.New("a section is cut off")
		}
		if id == 4 {
			if err := tables(rest[:size]); err != nil {
				return err
			}
		}
		m = rest[size:]
	}
	return nil
}

func tables(m []byte) error {
	n, m, err := leb(m)
	for ; err == nil && n > 0; n-- {
		if len(m) < 2 {
			return errors.New("the tables are cut off")
		}
		hasMax := m[1]&1 == 1
		var least uint32
		if least, m, err = leb(m[2:]); err == nil && least > maxTable {
			return fmt.Errorf("a table of %d entries: at most %d", least, maxTable)
		}
		if hasMax && err == nil {
			_, m, err = leb(m)
		}
	}
	return err
}

// leb reads an unsigned number of 32 bits in LEB128.
func leb(b []byte) (uint32, []byte, error) {
	var x uint64
	for i := 0; i < len(b) && i < 5; i++ {
		x |= uint64(b[i]&0x7f) << (7 * i)
		if b[i] < 0x80 {
			if x > 1<<32-1 {
				break
			}
			return uint32(x), b[i+1:], nil
		}
	}
	return 0, nil, errors.New("a number is cut off or too large")
}
