package kernel

import (
	"os"

	"github.com/haenyeo/haenyeo/internal/par"
)

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
	tier string
	isa  isa    // instruction set of the elementwise kernels
	vec  vector // elementwise kernels, see vector.go
	ops  operations
}

// New makes an Engine. threads <= 0 means GOMAXPROCS. tier is one of Tiers(); "" takes the
// environment variable HAENYEO_CPU, and lets a probe choose when that is empty too.
func New(threads int, tier string) (*Engine, error) {
	if tier == "" {
		tier = os.Getenv("HAENYEO_CPU")
	}
	name, set, err := parseTier(tier)
	if err != nil {
		return nil, err
	}
	return &Engine{pool: par.New(threads), tier: name, isa: set, vec: newVector(set)}, nil
}

// Tier names the set of kernels in use.
func (e *Engine) Tier() string { return e.tier }

// Pool is the fork-join pool of the engine, for loops that the caller runs between operations.
func (e *Engine) Pool() *par.Pool { return e.pool }

// Close stops the workers.
func (e *Engine) Close() { e.pool.Close() }
