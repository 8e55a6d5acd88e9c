// This file holds keys, which reads single keys of a GGUF's architecture.

package weights

import (
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/haenyeo/haenyeo/format/gguf"
)

// keys reads the keys of one architecture and keeps the first error.
type keys struct {
	f    *gguf.File
	arch string
	err  error
}

// missing stands for "no default" in float.
var missing = math.NaN()

func (k *keys) keep(err error) {
	if k.err == nil {
		k.err = err
	}
}

func (k *keys) fail(format string, args ...any) {
	k.keep(fmt.Errorf("weights: "+format, args...))
}

func (k *keys) has(tensor string) bool {
	_, ok := k.f.Tensor(tensor)
	return ok
}

// dim is dimension i of a tensor, 0 if there is none.
func (k *keys) dim(tensor string, i int) int {
	t, ok := k.f.Tensor(tensor)
	if !ok || i >= len(t.Shape) {
		return 0
	}
	return t.Shape[i]
}

// size reads a whole number that a model dimension can be.
func (k *keys) size(key string) int { return k.sizeOr(key, -1) }

// sizeOr gives def, if not negative, when the key is missing. An array holds a number for every layer;
// layers without the thing that it counts have 0, all others must be alike.
func (k *keys) sizeOr(key string, def int) int {
	key = k.arch + "." + key
	n, err := k.f.Metadata.Uint(key)
	if list, e := k.f.Metadata.Ints(key); e == nil {
		n, err = 0, nil
		for i, v := range list {
			if v < 0 || n != 0 && v != 0 && uint64(v) != n {
				k.fail("key %q is %d for layer %d and %d for others: layers of different shapes are not supported", key, v, i, n)
				return 0
			}
			n = max(n, uint64(v))
		}
	}
	switch {
	case errors.Is(err, gguf.ErrNoKey) && def >= 0:
		return def
	case err == nil && n > math.MaxInt32:
		err = fmt.Errorf("weights: key %q is %d: no model has such a size", key, n)
	}
	k.keep(err)
	return int(n)
}

func (k *keys) boolean(key string, def bool) bool {
	b, err := k.f.Metadata.Bool(k.arch + "." + key)
	if errors.Is(err, gguf.ErrNoKey) {
		return def
	}
	k.keep(err)
	return b
}

// float gives def, unless that is missing, when the key is missing. A float32 of the file becomes
// the shortest decimal that it stands for: 1e-6 and not 9.99999997e-7.
func (k *keys) float(key string, def float64) float64 {
	x, err := k.f.Metadata.Float(k.arch + "." + key)
	if errors.Is(err, gguf.ErrNoKey) && def == def {
		return def
	}
	k.keep(err)
	return shortest(x)
}

func shortest(x float64) float64 {
	if exact, err := strconv.ParseFloat(strconv.FormatFloat(x, 'g', -1, 32), 64); err == nil && float32(x) == float32(exact) {
		return exact
	}
	return x
}

// same reads a number, or an array of equal numbers with one for every layer.
func (k *keys) same(key string, def float64) float64 {
	list, err := k.f.Metadata.Floats(k.arch + "." + key)
	if err != nil {
		return k.float(key, def)
	}
	for i, x := range list {
		if x != list[0] {
			k.fail("key %q is %v for layer 0 and %v for layer %d: layers of different shapes are not supported", k.arch+"."+key, list[0], x, i)
			return def
		}
	}
	if len(list) == 0 {
		return def
	}
	return shortest(list[0])
}
