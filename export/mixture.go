package export

// Type: what the matrices of a file are stored as. Most names stand for a mixture, which gives more bits to
// the tensors whose errors cost most, and are the same as in llama.cpp's tools, tensor by tensor:
//
//	name      most     output,  attn_v                ffn_down of every kind   attn_output
//	                   tied
//	                   token_embd
//	q8_0      Q8_0     Q8_0
//	q4_0      Q4_0     Q6_K                           Q4_1 in the first eighth*
//	q4_1      Q4_1     Q6_K
//	q5_0      Q5_0     Q6_K                           Q5_1 in the first eighth*
//	q5_1      Q5_1     Q6_K
//	q2_k      Q2_K     Q6_K     Q3_K, GQA Q4_K        Q3_K                     Q3_K
//	q3_k_s    Q3_K     Q6_K
//	q3_k_m    Q3_K     Q6_K     Q4_K, two first Q5_K  Q4_K, 1st 16th Q5_K      Q4_K
//	q3_k_l    Q3_K     Q6_K     Q5_K                  Q5_K                     Q5_K
//	q4_k_s    Q4_K     Q6_K     4 first Q5_K          1st 8th Q5_K
//	q4_k_m    Q4_K     Q6_K     some Q6_K             some Q6_K
//	q5_k_s    Q5_K     Q6_K
//	q5_k_m    Q5_K     Q6_K     some Q6_K             some Q6_K
//	q6_k      Q6_K     Q6_K
//	iq4_nl    IQ4_NL   Q6_K     GQA Q5_K              1st 8th Q5_K**
//	iq4_xs    IQ4_XS   Q6_K     GQA Q5_K              1st 8th Q5_K**
//	mxfp4     Q8_0     Q8_0                           experts, all three: MXFP4; in V4 BF16 stays
//	tq1_0     TQ1_0    Q6_K     (untied token_embd: Q4_K)
//	tq2_0     TQ2_0    Q6_K     (untied token_embd: Q4_K)
//	*  only with an importance matrix     ** only without one
//
// "Some" are the first and last eighth of the layers and every third between. "GQA" is four or more queries
// to a key. A model of 80 layers with grouped queries (70B) has Q5_K where attn_v would have Q3_K or Q4_K.
// A row that is no whole number of blocks takes the next format with blocks of 32: Q2_K, Q3_K and ternary
// Q4_0, Q4_K Q5_0, Q5_K Q5_1, Q6_K Q8_0, IQ4_XS IQ4_NL; where 32 does not fit either, F16.
//
// Always F32: norms, biases, routers, sinks, hyper-connections, positions of compressors. The compressors of
// V4 are never below 16 bits (llama.cpp's tool would pack these three kinds of V4 too). What its tool does
// for models of exactly eight experts, which none of the family has, is left out.
//
// Source: llama-quant.cpp of llama.cpp.

import (
	"fmt"
	"strings"

	"github.com/haenyeo/haenyeo/model"
	"github.com/haenyeo/haenyeo/quant"
	"github.com/haenyeo/haenyeo/weights"
)

// Type names what matrices are stored as. The zero Type leaves them as they are, as far as the file to be
// written allows.
type Type struct{ m *mixture }

// mixture is one line of the table above; a nil rule means base.
type mixture struct {
	name   string
	number int // of general.file_type
	base   quant.Type
	output quant.Type                // of the output matrix
	value  func(x *place) quant.Type // of attn_v
	down   func(x *place) quant.Type // of ffn_down, ffn_down_exps and ffn_down_shexp
	attn   quant.Type                // of attn_output, if not 0
	embed  quant.Type                // of token_embd, if not 0
	stack  quant.Type                // of experts, if not 0
}

// place is where a tensor stands.
type place struct {
	layer, layers int
	queries       int  // per key
	weighted      bool // there is an importance matrix
}

func (x *place) early(part int) bool { return x.layer < x.layers/part }

// more says whether a layer is one of those that get more bits.
func (x *place) more() bool {
	return x.early(8) || x.layer >= 7*x.layers/8 || (x.layer-x.layers/8)%3 == 2
}

// when is t where a condition holds and otherwise where it does not.
func when(condition func(x *place) bool, t, otherwise quant.Type) func(x *place) quant.Type {
	return func(x *place) quant.Type {
		if condition(x) {
			return t
		}
		return otherwise
	}
}

func always(t quant.Type) func(*place) quant.Type { return func(*place) quant.Type { return t } }

func firstLayers(n int) func(*place) bool { return func(x *place) bool { return x.layer < n } }
func first(part int) func(*place) bool    { return func(x *place) bool { return x.early(part) } }
func grouped(x *place) bool               { return x.queries >= 4 }
func weightedFirst(x *place) bool         { return x.weighted && x.early(8) }
func unweightedFirst(x *place) bool       { return !x.weighted && x.early(8) }

func mixtures() []mixture {
	const six = quant.Q6_K
	some := (*place).more
	return []mixture{
		{name: "f32", number: 0, base: quant.F32, output: quant.F32},
		{name: "f16", number: 1, base: quant.F16, output: quant.F16},
		{name: "bf16", number: 32, base: quant.BF16, output: quant.BF16},
		{name: "q8_0", number: 7, base: quant.Q8_0, output: quant.Q8_0},
		{name: "q4_0", number: 2, base: quant.Q4_0, output: six, down: when(weightedFirst, quant.Q4_1, quant.Q4_0)},
		{name: "q4_1", number: 3, base: quant.Q4_1, output: six},
		{name: "q5_0", number: 8, base: quant.Q5_0, output: six, down: when(weightedFirst, quant.Q5_1, quant.Q5_0)},
		{name: "q5_1", number: 9, base: quant.Q5_1, output: six},
		{name: "q2_k", number: 10, base: quant.Q2_K, output: six, value: when(grouped, quant.Q4_K, quant.Q3_K), down: always(quant.Q3_K), attn: quant.Q3_K},
		{name: "q3_k_s", number: 11, base: quant.Q3_K, output: six},
		{name: "q3_k_m", number: 12, base: quant.Q3_K, output: six, value: when(firstLayers(2), quant.Q5_K, quant.Q4_K), down: when(first(16), quant.Q5_K, quant.Q4_K), attn: quant.Q4_K},
		{name: "q3_k_l", number: 13, base: quant.Q3_K, output: six, value: always(quant.Q5_K), down: always(quant.Q5_K), attn: quant.Q5_K},
		{name: "q4_k_s", number: 14, base: quant.Q4_K, output: six, value: when(firstLayers(4), quant.Q5_K, quant.Q4_K), down: when(first(8), quant.Q5_K, quant.Q4_K)},
		{name: "q4_k_m", number: 15, base: quant.Q4_K, output: six, value: when(some, six, quant.Q4_K), down: when(some, six, quant.Q4_K)},
		{name: "q5_k_s", number: 16, base: quant.Q5_K, output: six},
		{name: "q5_k_m", number: 17, base: quant.Q5_K, output: six, value: when(some, six, quant.Q5_K), down: when(some, six, quant.Q5_K)},
		{name: "q6_k", number: 18, base: six, output: six},
		{name: "iq4_nl", number: 25, base: quant.IQ4_NL, output: six, value: when(grouped, quant.Q5_K, quant.IQ4_NL), down: when(unweightedFirst, quant.Q5_K, quant.IQ4_NL)},
		{name: "iq4_xs", number: 30, base: quant.IQ4_XS, output: six, value: when(grouped, quant.Q5_K, quant.IQ4_XS), down: when(unweightedFirst, quant.Q5_K, quant.IQ4_XS)},
		{name: "mxfp4", number: 38, base: quant.Q8_0, output: quant.Q8_0, stack: quant.MXFP4},
		{name: "tq1_0", number: 36, base: quant.TQ1_0, output: six, embed: quant.Q4_K},
		{name: "tq2_0", number: 37, base: quant.TQ2_0, output: six, embed: quant.Q4_K},
	}
}

// aliases are names in use for a mixture without its last letter.
var aliases = map[string]string{"q3_k": "q3_k_m", "q4_k": "q4_k_m", "q5_k": "q5_k_m", "mxfp4_moe": "mxfp4"}

// ParseType reads the name of a type, in capitals or not. "" is the zero Type.
func ParseType(name string) (Type, error) {
	want := strings.ToLower(name)
	if want == "" {
		return Type{}, nil
	}
	if full, ok := aliases[want]; ok {
		want = full
	}
	ms := mixtures()
	for i := range ms {
		if ms[i].name == want {
			return Type{&ms[i]}, nil
		}
	}
	return Type{}, fmt.Errorf("export: type %q: use one of %s", name, TypeNames())
}

// TypeNames are the names that ParseType reads.
func TypeNames() string {
	var names []string
	for _, m := range mixtures() {
		names = append(names, m.name)
	}
	return strings.Join(names, ", ")
}

// String is the name of t, "" of the zero Type.
func (t Type) String() string {
	if t.m == nil {
		return ""
	}
	return t.m.name
}

// Plain says whether t is a type of single numbers: f32, f16 or bf16.
func (t Type) Plain() bool { return t.m != nil && t.m.base.Block() == 1 }

// Blocks says whether t packs numbers in blocks.
func (t Type) Blocks() bool { return t.m != nil && !t.Plain() }

// Packed names the type of blocks that the GGUF of src has most of, "" if there is none.
func Packed(src *weights.Source) string {
	f := src.GGUF()
	if f == nil {
		return ""
	}
	count, most := map[quant.Type]int{}, quant.F32
	for _, t := range f.Tensors() {
		if t.Type.Block() > 1 {
			if count[t.Type]++; count[t.Type] > count[most] {
				most = t.Type
			}
		}
	}
	if most == quant.F32 {
		return ""
	}
	return most.String()
}

// chooser gives every tensor of one file its type.
type chooser struct {
	m        *mixture // nil: as stored
	c        *model.Config
	tied     bool
	layers   int // with multi-token prediction layers
	weighted bool
}

func (s *chooser) of(t *tensor) quant.Type {
	switch {
	case t.ints != nil:
		return quant.I32
	case t.kind == precise:
		return quant.F32
	case s.m == nil:
		return fallback(asStored(t, s.c), t.width())
	case t.kind == gentle && s.m.base.Block() > 1:
		if t.storedBF16() {
			return quant.BF16
		}
		return quant.F16
	case s.m.stack != 0 && s.c.ModelType == "deepseek_v4" && t.kind == matrix && t.storedBF16():
		return quant.BF16
	}
	return fallback(s.mixed(t), t.width())
}

func (t *tensor) storedBF16() bool { return t.parts[0].typ == quant.BF16 && !t.parts[0].coded }

// mixed is the type that the mixture gives t, whatever its width.
func (s *chooser) mixed(t *tensor) quant.Type {
	m := s.m
	x := place{layers: s.layers, weighted: s.weighted, queries: s.c.NumAttentionHeads / max(1, s.c.NumKeyValueHeads)}
	fmt.Sscanf(t.name, "blk.%d.", &x.layer) // 0 outside the layers
	_, part, _ := strings.Cut(strings.TrimPrefix(t.name, "blk."), ".")
	switch {
	case t.name == "output.weight" || t.name == "token_embd.weight" && s.tied:
		return m.output
	case t.name == "token_embd.weight" && m.embed != 0:
		return m.embed
	case t.kind == stack && m.stack != 0:
		return m.stack
	case part == "attn_v.weight" && m.value != nil:
		return s.large(m.value(&x))
	case strings.HasPrefix(part, "ffn_down") && m.down != nil:
		return m.down(&x)
	case part == "attn_output.weight" && m.attn != 0:
		return m.attn
	}
	return m.base
}

// large gives attn_v of a model with 80 layers, in which eight heads share it, more bits.
func (s *chooser) large(t quant.Type) quant.Type {
	shared := s.c.ModelType == "qwen2" || s.c.ModelType == "llama" && s.c.NumKeyValueHeads < s.c.NumAttentionHeads
	if s.c.NumHiddenLayers == 80 && shared && (t == quant.Q3_K || t == quant.Q4_K) {
		return quant.Q5_K
	}
	return t
}

// asStored is the type nearest to what t is stored as, all parts of which are stored alike.
func asStored(t *tensor, c *model.Config) quant.Type {
	switch p := &t.parts[0]; {
	case p.coded && t.kind == stack && c.Quantization.ExpertDType == "fp4":
		return quant.MXFP4 // the same numbers
	case p.coded:
		return quant.BF16 // as the publisher's own conversion does
	case p.typ == quant.F64:
		return quant.F32
	case p.typ.Block() > 1 && p.packed == nil:
		return quant.Q8_0 // its rows are new ones
	default:
		return p.typ
	}
}

// fallback is t, or what takes its place in rows of width that are no whole number of its blocks.
func fallback(t quant.Type, width int) quant.Type {
	if width%t.Block() == 0 {
		return t
	}
	switch t {
	case quant.IQ4_XS:
		t = quant.IQ4_NL
	case quant.Q2_K, quant.Q3_K, quant.TQ1_0, quant.TQ2_0:
		t = quant.Q4_0
	case quant.Q4_K:
		t = quant.Q5_0
	case quant.Q5_K:
		t = quant.Q5_1
	case quant.Q6_K:
		t = quant.Q8_0
	}
	if width%t.Block() != 0 {
		return quant.F16
	}
	return t
}
