package main

// Standard input that Ctrl-C ends: a read waits as long as nobody types.

import (
	"context"
	"io"
)

// patience is a reader whose Read returns when ctx ends. The read that was waiting is left behind: at most
// one, until the program ends.
type patience struct {
	ctx   context.Context
	from  io.Reader
	parts chan []byte // made by the first Read
	err   error       // why parts is closed
	rest  []byte      // of the last part
}

func (p *patience) Read(b []byte) (int, error) {
	if p.parts == nil {
		p.parts = make(chan []byte)
		go p.read()
	}
	if len(p.rest) == 0 {
		select {
		case <-p.ctx.Done():
			return 0, p.ctx.Err()
		case part, ok := <-p.parts:
			if !ok {
				return 0, p.err
			}
			p.rest = part
		}
	}
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

// read fills one of two buffers while the other is in use.
func (p *patience) read() {
	defer close(p.parts)
	var buffers [2][64 << 10]byte
	for i := 0; ; i ^= 1 {
		n, err := p.from.Read(buffers[i][:])
		if n > 0 {
			select {
			case p.parts <- buffers[i][:n]:
			case <-p.ctx.Done():
				p.err = p.ctx.Err()
				return
			}
		}
		if err != nil {
			p.err = err
			return
		}
	}
}
