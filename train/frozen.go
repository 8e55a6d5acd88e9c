package train

// This file says what a checkpoint holds of a model of which only parts train. Frozen parameters are in it
// as all others are, so that it is a model directory; but those of a model with adapters are not: they
// would be most of it and never change, and without its adapters nobody wants the model. Such a run takes
// its base weights from Job.Start, and a checkpoint names them.

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"slices"
	"unsafe"

	"github.com/haenyeo/haenyeo/format/safetensors"
	"github.com/haenyeo/haenyeo/model"
)

// adaptersFile takes the place of model.safetensors in a checkpoint of a model with adapters.
const adaptersFile = "adapters.safetensors"

// adapted says whether the model has adapters.
func (r *run) adapted() bool {
	return slices.ContainsFunc(r.Model.Params(), func(p *model.Param) bool { return p.Kind == model.Adapter })
}

// weightsFile is the file of a checkpoint that holds what stored returns.
func (r *run) weightsFile() string {
	if r.adapted() {
		return adaptersFile
	}
	return safetensors.FileName
}

// stored are the parameters that a checkpoint holds.
func (r *run) stored() []*model.Param {
	if !r.adapted() {
		return r.Model.Params()
	}
	return slices.DeleteFunc(slices.Clone(r.Model.Params()), func(p *model.Param) bool { return p.Frozen })
}

// nameFrozen sets r.frozen when the starting weights are there.
func (r *run) nameFrozen() {
	h, n, adapted := sha256.New(), 0, r.adapted()
	if m, ok := r.Model.(interface{ LoRA() *model.LoRA }); ok && m.LoRA() != nil {
		fmt.Fprintf(h, "%d %g %q\n", m.LoRA().Rank, m.LoRA().Alpha, m.LoRA().Targets)
	}
	for _, p := range r.Model.Params() {
		if !p.Frozen {
			continue
		}
		n++
		fmt.Fprintf(h, "%s %v\n", p.Name, p.Shape)
		if adapted {
			addFloats(h, p.Data)
		}
	}
	r.frozen = ""
	if n > 0 {
		r.frozen = hex.EncodeToString(h.Sum(nil))
	}
}

// addFloats adds x to h as it lies in memory: a checkpoint of another byte order names other weights.
func addFloats(h hash.Hash, x []float32) {
	if len(x) > 0 {
		h.Write(unsafe.Slice((*byte)(unsafe.Pointer(&x[0])), 4*len(x)))
	}
}
