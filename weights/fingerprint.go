// This file holds Fingerprint, which names a model by what it is made of.

package weights

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
)

const (
	// sampledTensors bounds the disk reads: the tens of thousands of experts of a large model take minutes.
	sampledTensors = 2048
	sampledBytes   = 1 << 10
)

// Fingerprint is a hash of the model's shape, of the names, sizes and types of all its tensors, and of the first and
// last KiB of up to 2048 of them, evenly chosen. Two models of one training run differ in it, and so do two
// quantisations of one model. It is not a checksum: a flipped bit in the middle of a matrix is not seen.
func (s *Source) Fingerprint() (sum [sha256.Size]byte, err error) {
	defer s.CatchFault(debug.SetPanicOnFault(true), &err)
	stored, err := s.stored()
	if err != nil {
		return sum, err
	}
	shape, err := json.Marshal(s.cfg)
	if err != nil {
		return sum, fmt.Errorf("weights: fingerprint of the configuration: %w", err)
	}
	h := sha256.New()
	h.Write(shape)
	every := (len(stored) + sampledTensors - 1) / sampledTensors
	for i, t := range stored {
		head := binary.LittleEndian.AppendUint64([]byte(t.name+"\x00"+t.kind+"\x00"), uint64(len(t.data)))
		h.Write(head)
		if i%every == 0 {
			h.Write(t.data[:min(sampledBytes, len(t.data))])
			h.Write(t.data[max(0, len(t.data)-sampledBytes):])
		}
	}
	h.Sum(sum[:0])
	return sum, nil
}

// storedTensor is a tensor as its file has it. kind is its type and shape.
type storedTensor struct {
	name, kind string
	data       []byte
}

// stored lists what the files hold, by name.
func (s *Source) stored() (list []storedTensor, err error) {
	switch f := s.files.(type) {
	case *safetensorsFiles:
		for _, name := range f.r.Names() {
			t, _ := f.r.Tensor(name)
			list = append(list, storedTensor{name, fmt.Sprint(t.DType, t.Shape), t.Data})
		}
	case *ggufFiles:
		for _, t := range f.f.Tensors() {
			list = append(list, storedTensor{t.Name, fmt.Sprint(t.Type, t.Shape), t.Data})
		}
	default:
		return nil, errors.New("weights: a model in training has no fingerprint: it changes with every step")
	}
	slices.SortFunc(list, func(a, b storedTensor) int { return strings.Compare(a.name, b.name) })
	return list, nil
}
