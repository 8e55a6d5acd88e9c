package kernel

import (
	"fmt"
	"os"

	"github.com/haenyeo/haenyeo/internal/par"
)

// DType is the arithmetic of matrix products.
type DType uint8

const (
	F32  DType = iota // float32 operands, float32 accumulation
	BF16              // operands rounded to bfloat16 where that is faster, float32 accumulation
)

// String is the name that flags and files use.
func (d DType) String() string { return [...]string{"f32", "bf16"}[d] }

// Engine runs the operations of this package on a pool with one set of kernels. It is not safe
// for use by two goroutines at once.
type Engine struct {
	pool *par.Pool
	tier string
	isa  isa    // instruction set of the elementwise kernels
	vec  vector // elementwise kernels, see vector.go
	ops  operations

	direct []direct // kernels on stored weights by quant.Type, see quantised.go

	f32, bf16  *route // matrix products of each DType
	candidates []Candidate
	workers    []worker
	packing    packTask
	lin        linearTask
	grad       gradTask
	prod       productTask
	stored     storedTask
	cached     cachedTask
}

// worker is the scratch of one worker of the pool.
type worker struct {
	block block
	dots  dots
	a, b  []float32 // packed left and right sides
	_     [64]byte  // keeps workers on cache lines of their own
}

// MaxThreads is the most that New accepts.
const MaxThreads = par.MaxThreads

// New makes an Engine. threads <= 0 means GOMAXPROCS, more than MaxThreads are an error. tier is one of Tiers(); "" takes the
// environment variable HAENYEO_CPU, and lets a probe choose when that is empty too.
func New(threads int, tier string) (*Engine, error) {
	if tier == "" {
		tier = os.Getenv("HAENYEO_CPU")
	}
	t, err := parseTier(tier)
	if err != nil {
		return nil, err
	}
	if threads > MaxThreads {
		return nil, fmt.Errorf("kernel: %d threads: at most %d are possible", threads, MaxThreads)
	}
	e := &Engine{pool: par.New(threads), tier: t.name, isa: t.isa, vec: newVector(t.isa), direct: newDirect(t.isa)}
	e.chooseRoutes(t, tier != "")
	e.workers = make([]worker, e.pool.Threads())
	e.packing.e, e.lin.e, e.grad.e, e.prod.e, e.stored.e = e, e, e, e, e
	return e, nil
}

// route is how products of type dt are made.
func (e *Engine) route(dt DType) *route {
	if dt == BF16 {
		return e.bf16
	}
	return e.f32
}

// Tier names the set of kernels in use.
func (e *Engine) Tier() string { return e.tier }

// Pool is the fork-join pool of the engine, for loops that the caller runs between operations.
func (e *Engine) Pool() *par.Pool { return e.pool }

// Close stops the workers.
func (e *Engine) Close() { e.pool.Close() }
