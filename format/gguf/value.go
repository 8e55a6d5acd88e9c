// This file holds the typed values of the metadata: their types, then reading
// and appending them.

package gguf

import (
	"encoding/binary"
	"fmt"
	"math"
)

// valueType is the number by which the file names the type of a value.
type valueType uint32

const (
	typeUint8 valueType = iota
	typeInt8
	typeUint16
	typeInt16
	typeUint32
	typeInt32
	typeFloat32
	typeBool
	typeString
	typeArray
	typeUint64
	typeInt64
	typeFloat64
)

// valueBytes are the least bytes that a value of each type takes.
var valueBytes = [...]int{
	typeUint8: 1, typeInt8: 1, typeUint16: 2, typeInt16: 2, typeUint32: 4, typeInt32: 4, typeFloat32: 4,
	typeBool: 1, typeString: 8, typeArray: 12, typeUint64: 8, typeInt64: 8, typeFloat64: 8,
}

func (c *cursor) valueType() (valueType, error) {
	t, err := c.u32()
	if err == nil && t > uint32(typeFloat64) {
		c.pos -= 4
		err = fmt.Errorf("value type %d does not exist", t)
	}
	return valueType(t), err
}

// value reads a value of any type; depth counts the arrays around it.
func (c *cursor) value(t valueType, depth int) (any, error) {
	switch t {
	case typeString:
		b, err := c.bytes()
		return string(b), err
	case typeArray:
		return c.array(depth + 1)
	}
	b, err := c.take(uint64(valueBytes[t]))
	if err != nil {
		return nil, err
	}
	switch le := binary.LittleEndian; t {
	case typeUint8:
		return b[0], nil
	case typeInt8:
		return int8(b[0]), nil
	case typeUint16:
		return le.Uint16(b), nil
	case typeInt16:
		return int16(le.Uint16(b)), nil
	case typeUint32:
		return le.Uint32(b), nil
	case typeInt32:
		return int32(le.Uint32(b)), nil
	case typeFloat32:
		return math.Float32frombits(le.Uint32(b)), nil
	case typeBool:
		return b[0] != 0, nil
	case typeUint64:
		return le.Uint64(b), nil
	case typeInt64:
		return int64(le.Uint64(b)), nil
	default:
		return math.Float64frombits(le.Uint64(b)), nil
	}
}

func (c *cursor) array(depth int) (any, error) {
	if depth > maxNesting {
		return nil, fmt.Errorf("arrays are nested more than %d deep", maxNesting)
	}
	t, err := c.valueType()
	if err != nil {
		return nil, err
	}
	count, err := c.u64()
	if err != nil {
		return nil, err
	}
	if left := uint64(len(c.b) - c.pos); count > left/uint64(valueBytes[t]) {
		return nil, fmt.Errorf("an array of %d elements cannot stand in the %d bytes that follow: the file is truncated or damaged", count, left)
	}
	switch n := int(count); t {
	case typeString:
		return c.strings(n)
	case typeArray:
		var out []any // grown as arrays prove to be there
		for range n {
			v, err := c.array(depth + 1)
			if err != nil {
				return nil, err
			}
			out = append(out, v)
		}
		return out, nil
	case typeUint8:
		return numbers[uint8](c, n)
	case typeInt8:
		return numbers[int8](c, n)
	case typeUint16:
		return numbers[uint16](c, n)
	case typeInt16:
		return numbers[int16](c, n)
	case typeUint32:
		return numbers[uint32](c, n)
	case typeInt32:
		return numbers[int32](c, n)
	case typeFloat32:
		return numbers[float32](c, n)
	case typeUint64:
		return numbers[uint64](c, n)
	case typeInt64:
		return numbers[int64](c, n)
	case typeFloat64:
		return numbers[float64](c, n)
	default:
		b, err := c.take(count)
		out := make([]bool, len(b))
		for i, x := range b {
			out[i] = x != 0
		}
		return out, err
	}
}

func numbers[T any](c *cursor, n int) ([]T, error) {
	out := make([]T, n)
	// Exactly these bytes: binary.Decode runs past a slice of int8 otherwise.
	b, err := c.take(uint64(binary.Size(out)))
	if err == nil {
		_, err = binary.Decode(b, binary.LittleEndian, out)
	}
	return out, err
}

// strings reads n strings in two passes: the first proves that they are there,
// the second cuts them all from one copy, which spares the collector a hundred
// thousand small objects.
func (c *cursor) strings(n int) ([]string, error) {
	start := c.pos
	for i := range n {
		if _, err := c.bytes(); err != nil {
			return nil, fmt.Errorf("element %d of %d: %w", i, n, err)
		}
	}
	all := string(c.b[start:c.pos])
	out := make([]string, n)
	at := 0
	for i := range out {
		size := int(binary.LittleEndian.Uint64(c.b[start+at:]))
		out[i] = all[at+8 : at+8+size]
		at += 8 + size
	}
	return out, nil
}

// typeOf returns the file's type for a value of one of the Go types that
// Metadata lists.
func typeOf(v any) (valueType, bool) {
	switch v.(type) {
	case uint8:
		return typeUint8, true
	case int8:
		return typeInt8, true
	case uint16:
		return typeUint16, true
	case int16:
		return typeInt16, true
	case uint32:
		return typeUint32, true
	case int32:
		return typeInt32, true
	case float32:
		return typeFloat32, true
	case bool:
		return typeBool, true
	case string:
		return typeString, true
	case uint64:
		return typeUint64, true
	case int64:
		return typeInt64, true
	case float64:
		return typeFloat64, true
	}
	_, ok := elementType(v)
	return typeArray, ok
}

// elementType returns the type of an array's elements.
func elementType(v any) (valueType, bool) {
	switch v.(type) {
	case []uint8:
		return typeUint8, true
	case []int8:
		return typeInt8, true
	case []uint16:
		return typeUint16, true
	case []int16:
		return typeInt16, true
	case []uint32:
		return typeUint32, true
	case []int32:
		return typeInt32, true
	case []float32:
		return typeFloat32, true
	case []bool:
		return typeBool, true
	case []string:
		return typeString, true
	case []any:
		return typeArray, true
	case []uint64:
		return typeUint64, true
	case []int64:
		return typeInt64, true
	case []float64:
		return typeFloat64, true
	}
	return 0, false
}

// appendValue appends a value without its type; an array begins with that of
// its elements and their count.
func appendValue(b []byte, v any) ([]byte, error) {
	le := binary.LittleEndian
	if s, ok := v.(string); ok {
		return appendString(b, s), nil
	}
	t, isArray := elementType(v)
	if !isArray {
		return binary.Append(b, le, v)
	}
	b = le.AppendUint32(b, uint32(t))
	switch a := v.(type) {
	case []string:
		b = le.AppendUint64(b, uint64(len(a)))
		for _, s := range a {
			b = appendString(b, s)
		}
		return b, nil
	case []any:
		b = le.AppendUint64(b, uint64(len(a)))
		for _, x := range a {
			if _, ok := elementType(x); !ok {
				return nil, fmt.Errorf("a %T cannot stand in a nested array", x)
			}
			var err error
			if b, err = appendValue(b, x); err != nil {
				return nil, err
			}
		}
		return b, nil
	}
	// binary.Size is in bytes, and all elements have the same.
	b = le.AppendUint64(b, uint64(binary.Size(v)/valueBytes[t]))
	return binary.Append(b, le, v)
}
