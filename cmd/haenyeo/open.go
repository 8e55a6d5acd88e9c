package main

// Opening a model named on the command line.

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/haenyeo/haenyeo"
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
func (a *app) open(name, dtype string) (*haenyeo.Model, error) {
	path, err := a.locate(name)
	if err != nil {
		return nil, err
	}
	o := haenyeo.Options{Threads: a.Threads, Tier: a.CPU, DType: parseDType(dtype), Logger: a.log}
	return haenyeo.Open(path, o)
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
