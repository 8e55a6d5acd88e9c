package kernel

import "github.com/haenyeo/haenyeo/internal/par"

// DType is the arithmetic of matrix products.
type DType uint8

const (
	F32  DType = iota // float32 operands, float32 accumulation
	BF16              // operands rounded to bfloat16, float32 accumulation
)

func (d DType) String() string { return [...]string{"f32", "bf16"}[d] }

// Engine runs the operations of this package on a pool with one set of kernels. It is not safe
// for use by two goroutines at once.
type Engine struct {
	pool *par.Pool
}

// New makes an Engine. threads <= 0 means GOMAXPROCS; tier "" lets the probe choose.
func New(threads int, tier string) (*Engine, error) {
	return &Engine{pool: par.New(threads)}, nil
}

// Pool is the fork-join pool of the engine, for loops that the caller runs between operations.
func (e *Engine) Pool() *par.Pool { return e.pool }

// Close stops the workers.
func (e *Engine) Close() { e.pool.Close() }
