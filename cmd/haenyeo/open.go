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
	"github.com/haenyeo/haenyeo/kernel"
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
	path, err := a.locate(name)
	if err != nil {
		return nil, err
	}
	return haenyeo.Open(path, haenyeo.Options{Threads: a.Threads, Tier: a.CPU, DType: parseDType(x.DType), Rounding: x.rounding(), Logger: a.log})
}

// arithmetic are the flags of how a model is computed.
type arithmetic struct {
	DType    string `name:"dtype" enum:"f32,bf16," default:"" placeholder:"TYPE" help:"Arithmetic of matrix products: f32 or bf16. Default: f32, with the published round trips."`
	Rounding string `enum:"none,publisher," default:"" placeholder:"HOW" help:"The fp8 and fp4 round trips of V3.2 and V4, which are a part of these models: publisher or none. Default: publisher; none with --dtype f32."`
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
