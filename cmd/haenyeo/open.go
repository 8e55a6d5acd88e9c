package main

// Opening a model named on the command line.

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/haenyeo/haenyeo"
	"github.com/haenyeo/haenyeo/forward"
	"github.com/haenyeo/haenyeo/hub"
	"github.com/haenyeo/haenyeo/infer"
	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/quant"
)

// locate finds a model that is named on the command line: a path, or a name in the local cache.
func (a *app) locate(name string) (string, error) {
	_, err := hub.ParseName(name)
	_, image, _ := hub.ParseImage(name)
	_, absent := os.Lstat(name)
	if absent == nil || !image && (err != nil || !strings.Contains(name, "/") || strings.HasSuffix(name, ".gguf") && !strings.Contains(name, ":")) {
		return name, nil // a path; whoever opens it says what is wrong with it
	}
	c, err := hub.FromEnv("")
	if err != nil {
		return "", err
	}
	path, err := c.Resolve(name)
	if errors.Is(err, hub.ErrNotCached) {
		err = fmt.Errorf("%q is no file or directory, and no model of that name was fetched: try haenyeo pull %s", name, name)
	}
	return path, err
}

// open loads the model of this name or path.
func (a *app) open(name string, x arithmetic) (*haenyeo.Model, error) {
	return a.openGuessing(name, x, infer.Speculation{})
}

// openGuessing is open with what guesses tokens ahead.
func (a *app) openGuessing(name string, x arithmetic, guess infer.Speculation) (*haenyeo.Model, error) {
	path, err := a.locate(name)
	if err != nil {
		return nil, err
	}
	return haenyeo.Open(path, haenyeo.Options{Threads: a.Threads, Tier: a.CPU, DType: parseDType(x.DType), Rounding: x.rounding(),
		KV: kvTypes[x.KVType], MTP: guess.MTP, RAM: int64(x.RAM), Logger: a.log})
}

// arithmetic are the flags of how a model is computed.
type arithmetic struct {
	DType    string `name:"dtype" enum:"f32,bf16," default:"" placeholder:"TYPE" help:"Arithmetic of matrix products: f32 or bf16. Default: f32, with the published round trips."`
	Rounding string `enum:"none,publisher," default:"" placeholder:"HOW" help:"The fp8 and fp4 round trips of V3.2 and V4, which are a part of these models: publisher or none. Default: publisher; none with --dtype f32."`
	KVType   string `name:"kv-type" enum:"f32,f16,bf16,q8_0" default:"f32" placeholder:"TYPE" help:"What caches hold: f32, f16, bf16 or q8_0. Default: ${default}."`
	RAM      memory `name:"ram" placeholder:"SIZE" help:"Hold at most this much memory, as 6G or 800M: experts that do not fit are read when they are chosen. Linux only."`
}

var kvTypes = map[string]quant.Type{"": quant.F32, "f32": quant.F32, "f16": quant.F16, "bf16": quant.BF16, "q8_0": quant.Q8_0}

// memory is a size on the command line: a number of bytes, or of K, M, G or T of them (powers of 1024).
type memory int64

// UnmarshalText reads a size.
func (b *memory) UnmarshalText(text []byte) error {
	s := strings.TrimSuffix(strings.ToUpper(string(text)), "B")
	scale := int64(1)
	if i := strings.LastIndexAny(s, "KMGT"); i >= 0 && i == len(s)-1 {
		scale, s = 1<<(10*(1+strings.IndexByte("KMGT", s[i]))), s[:i]
	}
	n, err := strconv.ParseFloat(s, 64)
	if err != nil || !(n > 0) || n*float64(scale) > 1<<60 {
		return fmt.Errorf("%q is no size: give a number of bytes, or one with K, M, G or T, such as 6G", text)
	}
	*b = memory(n * float64(scale))
	return nil
}

// rounding is what the flags say. --dtype f32 asks for float32 throughout.
func (x arithmetic) rounding() forward.Rounding {
	if x.Rounding == "none" || x.Rounding == "" && x.DType == kernel.F32.String() {
		return forward.None
	}
	return forward.Publisher
}

// parseDType reads what an enum of the grammar let through.
func parseDType(s string) kernel.DType {
	if s == kernel.BF16.String() {
		return kernel.BF16
	}
	return kernel.F32
}

// joinIDs writes ids as IDS on the command line.
func joinIDs(ids []int32) string {
	var b strings.Builder
	for i, id := range ids {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Itoa(int(id)))
	}
	return b.String()
}
