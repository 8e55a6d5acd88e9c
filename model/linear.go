// This file holds the linear layer y = W x (+ b), forward and backward.

package model

import "github.com/haenyeo/haenyeo/kernel"

// linear is a matrix [n,k] of one or several neighbouring parameters.
type linear struct {
	n, k        int
	data, grad  []float32 // [n,k] masters and their gradient
	bias, dbias []float32 // [n] or nil
	w           *kernel.Weight
	group       [1]kernel.Group
	adapters    []adapter
}

// forward computes y[r] = W x[r] + b, added to y when accumulate.
//
//	y [rows,n] stride ldy written   x [rows,k] stride ldx read
func (l *linear) forward(p *pass, y []float32, ldy int, x []float32, ldx, rows int, accumulate bool) {
	l.group[0].Lo, l.group[0].Hi = 0, rows
	p.e.Linear(y, ldy, x, ldx, nil, l.group[:], accumulate)
	if l.bias != nil {
		p.addBias(y, ldy, l.bias, rows)
	}
	for i := range l.adapters {
		p.adapt(&l.adapters[i], nil, y, ldy, x, ldx, nil, rows)
	}
}

// backward writes dx[r] = Wᵀ dy[r] (added to dx when accumulate) and adds to the gradients of W, b.
//
//	dx [rows,k] stride lddx written   dy [rows,n] stride lddy read   x [rows,k] stride ldx read
func (l *linear) backward(p *pass, dx []float32, lddx int, dy []float32, lddy int, x []float32, ldx, rows int, accumulate bool) {
	l.inputGrad(p, dx, lddx, dy, lddy, rows, accumulate)
	l.weightGrad(p, dy, lddy, x, ldx, rows)
}

// weightGrad must follow inputGrad of the same product.
func (l *linear) weightGrad(p *pass, dy []float32, lddy int, x []float32, ldx, rows int) {
	if l.grad != nil {
		l.group[0].Lo, l.group[0].Hi = 0, rows
		p.e.LinearWeightGrad(dy, lddy, x, ldx, nil, l.group[:])
	}
	if l.dbias != nil {
		p.addBiasGrad(l.dbias, dy, lddy, rows)
	}
	for i := range l.adapters {
		p.adapterWeightGrad(i, &l.adapters[i], nil, dy, lddy, x, ldx, nil, rows)
	}
}

func (l *linear) inputGrad(p *pass, dx []float32, lddx int, dy []float32, lddy, rows int, accumulate bool) {
	l.group[0].Lo, l.group[0].Hi = 0, rows
	p.e.LinearInputGrad(dx, lddx, dy, lddy, l.group[:], accumulate)
	for i := range l.adapters {
		p.adapterInputGrad(i, &l.adapters[i], nil, dx, lddx, dy, lddy, rows)
	}
}
