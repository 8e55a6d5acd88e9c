// This file holds Metadata: keys with typed values in the order in which they
// stand in the file, and the getters by which a loader reads them.

package gguf

import (
	"errors"
	"fmt"
	"math"
)

// ErrNoKey is wrapped by the getters' error when a key is missing, for callers
// that have a default.
var ErrNoKey = errors.New("key is missing")

// Metadata is an ordered list of keys with values. A value has one of these Go
// types, each standing for the file's type of that width:
//
//	uint8 int8 uint16 int16 uint32 int32 uint64 int64 float32 float64 bool string
//
// or is a slice of one of them, or a []any of slices (a nested array). The zero
// Metadata is empty and ready to use.
type Metadata struct {
	keys   []string
	values map[string]any
}

// Keys returns the keys in order. The slice is the Metadata's own: do not
// change it.
func (m *Metadata) Keys() []string { return m.keys }

// Get returns the value of key as it is.
func (m *Metadata) Get(key string) (any, bool) {
	v, ok := m.values[key]
	return v, ok
}

// Set gives key a value of one of the types that Metadata lists (Write fails
// on others), at its old place if it has one, at the end if not.
func (m *Metadata) Set(key string, value any) {
	if m.values == nil {
		m.values = map[string]any{}
	}
	if _, ok := m.values[key]; !ok {
		m.keys = append(m.keys, key)
	}
	m.values[key] = value
}

// String returns the string at key.
func (m *Metadata) String(key string) (string, error) { return as[string](m, key, "a string") }

// Bool returns the truth value at key.
func (m *Metadata) Bool(key string) (bool, error) { return as[bool](m, key, "a truth value") }

// Strings returns the array of strings at key. Do not change it.
func (m *Metadata) Strings(key string) ([]string, error) {
	return as[[]string](m, key, "an array of strings")
}

// Uint returns the whole number at key, of whatever width, if not negative.
func (m *Metadata) Uint(key string) (uint64, error) {
	v, err := m.value(key)
	if err != nil {
		return 0, err
	}
	if u, ok := v.(uint64); ok {
		return u, nil
	}
	i, ok := toInt(v)
	if !ok || i < 0 {
		return 0, wrongType(key, v, "a whole number, not negative")
	}
	return uint64(i), nil
}

// Int returns the whole number at key, of whatever width.
func (m *Metadata) Int(key string) (int64, error) {
	v, err := m.value(key)
	if err != nil {
		return 0, err
	}
	i, ok := toInt(v)
	if !ok {
		return 0, wrongType(key, v, "a whole number")
	}
	return i, nil
}

// Float returns the number at key, of whatever type.
func (m *Metadata) Float(key string) (float64, error) {
	v, err := m.value(key)
	if err != nil {
		return 0, err
	}
	switch x := v.(type) {
	case float32:
		return float64(x), nil
	case float64:
		return x, nil
	case uint64:
		return float64(x), nil
	}
	i, ok := toInt(v)
	if !ok {
		return 0, wrongType(key, v, "a number")
	}
	return float64(i), nil
}

// Ints returns the array of whole numbers at key, of whatever width.
func (m *Metadata) Ints(key string) ([]int64, error) {
	v, err := m.value(key)
	if err != nil {
		return nil, err
	}
	switch a := v.(type) {
	case []uint8:
		return convert[int64](a), nil
	case []int8:
		return convert[int64](a), nil
	case []uint16:
		return convert[int64](a), nil
	case []int16:
		return convert[int64](a), nil
	case []uint32:
		return convert[int64](a), nil
	case []int32:
		return convert[int64](a), nil
	case []int64:
		return convert[int64](a), nil
	case []uint64:
		for _, u := range a {
			if u > math.MaxInt64 {
				return nil, fmt.Errorf("gguf: key %q holds %d, more than a signed integer holds", key, u)
			}
		}
		return convert[int64](a), nil
	}
	return nil, wrongType(key, v, "an array of whole numbers")
}

// Floats returns the array of floating-point numbers at key.
func (m *Metadata) Floats(key string) ([]float64, error) {
	v, err := m.value(key)
	if err != nil {
		return nil, err
	}
	switch a := v.(type) {
	case []float32:
		return convert[float64](a), nil
	case []float64:
		return convert[float64](a), nil
	}
	return nil, wrongType(key, v, "an array of floating-point numbers")
}

func (m *Metadata) value(key string) (any, error) {
	v, ok := m.values[key]
	if !ok {
		return nil, fmt.Errorf("gguf: %w: %q", ErrNoKey, key)
	}
	return v, nil
}

func as[T any](m *Metadata, key, want string) (T, error) {
	v, err := m.value(key)
	x, ok := v.(T)
	if err == nil && !ok {
		err = wrongType(key, v, want)
	}
	return x, err
}

func wrongType(key string, v any, want string) error {
	switch x := v.(type) {
	case string:
		return fmt.Errorf("gguf: key %q holds the string %.100q where %s must stand", key, x, want)
	case bool, uint8, int8, uint16, int16, uint32, int32, uint64, int64, float32, float64:
		return fmt.Errorf("gguf: key %q holds the %T %v where %s must stand", key, v, v, want)
	}
	return fmt.Errorf("gguf: key %q holds an array (%T) where %s must stand", key, v, want)
}

// toInt widens a whole number; ok is false for other types and for a uint64
// that does not fit.
func toInt(v any) (i int64, ok bool) {
	switch x := v.(type) {
	case uint8:
		return int64(x), true
	case int8:
		return int64(x), true
	case uint16:
		return int64(x), true
	case int16:
		return int64(x), true
	case uint32:
		return int64(x), true
	case int32:
		return int64(x), true
	case int64:
		return x, true
	case uint64:
		return int64(x), x <= math.MaxInt64
	}
	return 0, false
}

func convert[To, From uint8 | int8 | uint16 | int16 | uint32 | int32 | uint64 | int64 | float32 | float64](a []From) []To {
	out := make([]To, len(a))
	for i, x := range a {
		out[i] = To(x)
	}
	return out
}
