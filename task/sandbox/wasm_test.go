package sandbox

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

// A few bytes of assembler for modules of one function, _start, that imports fd_write and fd_read of WASI.
// Source: WebAssembly core specification 2.0, section 5.

func section(id byte, content ...byte) []byte {
	return append(append([]byte{id}, uleb(len(content))...), content...)
}

func uleb(n int) []byte {
	var b []byte
	for ; n >= 0x80; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}

func text(s string) []byte { return append(uleb(len(s)), s...) }

const magic = "\x00asm\x01\x00\x00\x00"

// program makes a module: imports 0 fd_write, 1 fd_read, 2 path_open (all of i32 parameters), function 3 _start with
// the code, a memory of the pages, and data at address 0.
func program(pages int, data string, code ...byte) []byte {
	const i32, i64 = 0x7f, 0x7e
	types := []byte{3, 0x60, 4, i32, i32, i32, i32, 1, i32, 0x60, 0, 0, 0x60, 9, i32, i32, i32, i32, i32, i64, i64, i32, i32, 1, i32}
	imports := []byte{3}
	for i, name := range []string{"fd_write", "fd_read", "path_open"} {
		imports = append(imports, text("wasi_snapshot_preview1")...)
		imports = append(imports, text(name)...)
		imports = append(imports, 0, []byte{0, 0, 2}[i])
	}
	body := append([]byte{0}, code...) // no locals
	body = append(body, 0x0b)
	m := []byte(magic)
	m = append(m, section(1, types...)...)
	m = append(m, section(2, imports...)...)
	m = append(m, section(3, 1, 1)...)
	m = append(m, section(5, append([]byte{1, 0}, uleb(pages)...)...)...)
	m = append(m, section(7, append(append(append([]byte{2}, text("_start")...), 0, 3), append(text("memory"), 2, 0)...)...)...)
	m = append(m, section(10, append([]byte{1}, append(uleb(len(body)), body...)...)...)...)
	return append(m, section(11, append([]byte{1, 0, 0x41, 0, 0x0b}, text(data)...)...)...)
}

// Instructions.
const (
	loop, end, br, callOp, drop, i32const, memoryGrow, unreachable = 0x03, 0x0b, 0x0c, 0x10, 0x1a, 0x41, 0x40, 0x00
)

// write and read call fd_write(1, 0, 1, 16) and fd_read(0, 0, 1, 16): the vector at 0 says where and how much.
var (
	write = []byte{i32const, 1, i32const, 0, i32const, 1, i32const, 16, callOp, 0, drop}
	read  = []byte{i32const, 0, i32const, 0, i32const, 1, i32const, 16, callOp, 1, drop}
)

const vector = "\x20\x00\x00\x00\x05\x00\x00\x00" + "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00hello"

func code(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func forever(inner ...byte) []byte { return code([]byte{loop, 0x40}, inner, []byte{br, 0, end}) }

func TestRunWASM(t *testing.T) {
	ctx := context.Background()
	r, err := RunWASM(ctx, program(1, vector, write...), nil, Limits{})
	if err != nil || string(r.Output) != "hello" || r.Exit != 0 {
		t.Errorf("hello: %q, %v", r.Output, err)
	}
	r, err = RunWASM(ctx, program(1, vector, code(read, write)...), []byte("world and more"), Limits{})
	if err != nil || string(r.Output) != "world" {
		t.Errorf("copy: %q, %v", r.Output, err)
	}
	r, err = RunWASM(ctx, program(1, vector, forever(write...)...), nil, Limits{Output: 1000, Time: time.Minute})
	if !errors.Is(err, ErrOutput) || len(r.Output) > 1000 {
		t.Errorf("flood: %d bytes, %v", len(r.Output), err)
	}
	_, err = RunWASM(ctx, program(1, "", forever()...), nil, Limits{Time: 50 * time.Millisecond})
	if !errors.Is(err, ErrTime) {
		t.Errorf("endless loop: %v", err)
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err = RunWASM(cancelled, program(1, "", forever()...), nil, Limits{}); err == nil {
		t.Error("cancelled, and no error")
	}
}

// TestWASMBounds: what asks for too much gets an error, or -1 from memory.grow.
func TestWASMBounds(t *testing.T) {
	ctx := context.Background()
	grow := code([]byte{i32const, 0xe8, 0x07, memoryGrow, 0, i32const, 0x7f, 0x46, 0x04, 0x40}, write, []byte{end}) // if grow(1000) == -1: write
	if r, err := RunWASM(ctx, program(1, vector, grow...), nil, Limits{}); err != nil || string(r.Output) != "hello" {
		t.Errorf("memory.grow: %q, %v", r.Output, err)
	}
	recursion := []byte{callOp, 3}
	open := []byte{i32const, 3, i32const, 0, i32const, 0, i32const, 1, i32const, 0, 0x42, 0, 0x42, 0, i32const, 0, i32const, 16, callOp, 2, 0x45, 0x04, 0x40, unreachable, end}
	if _, err := RunWASM(ctx, program(1, "/", open...), nil, Limits{}); err != nil {
		t.Errorf("path_open: %v: a directory could be opened", err)
	}
	table := func(least ...byte) []byte {
		return append([]byte(magic), section(4, append([]byte{1, 0x70, 0}, least...)...)...)
	}
	for name, m := range map[string][]byte{
		"memory":         program(1000, ""),
		"recursion":      program(1, "", recursion...),
		"trap":           program(1, "", unreachable),
		"table":          table(0xff, 0xff, 0xff, 0x3f),
		"table, cut":     append([]byte(magic), section(4, 1)...),
		"no WASM":        []byte("#!/bin/sh\necho hi"),
		"empty":          nil,
		"cut":            program(1, vector, write...)[:60],
		"section":        append([]byte(magic), 1, 0xff, 0xff, 0xff, 0xff, 0x0f),
		"large":          make([]byte, maxModule+1),
		"unknown import": append([]byte(magic), code(section(1, 1, 0x60, 0, 0), section(2, code([]byte{1}, text("env"), text("system"), []byte{0, 0})...))...),
	} {
		if _, err := RunWASM(ctx, m, nil, Limits{}); err == nil || errors.Is(err, ErrTime) || len(err.Error()) > 400 || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzCheckTables(f *testing.F) {
	f.Add(program(1, vector, write...))
	f.Add(append([]byte(magic), section(4, 1, 0x70, 1, 1, 2)...))
	f.Fuzz(func(t *testing.T, m []byte) { _ = checkTables(m) })
}
