package main

// Opening a model named on the command line.

import (
	"strconv"
	"strings"

	"github.com/haenyeo/haenyeo"
	"github.com/haenyeo/haenyeo/kernel"
)

// open loads the model at path.
func (a *app) open(path, dtype string) (*haenyeo.Model, error) {
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
