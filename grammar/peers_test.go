package grammar

// Comparison with llama.cpp:
//
//	HAENYEO_PYTHON=/path/to/python3    any, with ctypes
//	HAENYEO_LLAMA=/path/to/bin         the folder with llama.cpp's libllama.so
//	HAENYEO_SMOLLM2=/path/to/a.gguf    any model with a tokenizer

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// llamaMasks asks libllama which tokens a grammar permits at every step of a text. In: path of the library, of the
// model, and of the cases. Out: the bytes of all tokens, and of every case the masks, bytes of 8 tokens.
const llamaMasks = `
import base64, ctypes as C, json, sys
lib = C.CDLL(sys.argv[1] + "/libllama.so")
class Opaque(C.Structure): _fields_ = [("b", C.c_char * 1024)]
class Data(C.Structure): _fields_ = [("id", C.c_int32), ("logit", C.c_float), ("p", C.c_float)]
class Array(C.Structure): _fields_ = [("data", C.POINTER(Data)), ("size", C.c_size_t), ("selected", C.c_int64), ("sorted", C.c_bool)]
lib.llama_model_default_params.restype = Opaque
lib.llama_model_load_from_file.argtypes, lib.llama_model_load_from_file.restype = [C.c_char_p, Opaque], C.c_void_p
lib.llama_model_get_vocab.argtypes, lib.llama_model_get_vocab.restype = [C.c_void_p], C.c_void_p
lib.llama_vocab_n_tokens.argtypes = [C.c_void_p]
lib.llama_vocab_is_control.argtypes, lib.llama_vocab_is_control.restype = [C.c_void_p, C.c_int32], C.c_bool
lib.llama_token_to_piece.argtypes = [C.c_void_p, C.c_int32, C.c_char_p, C.c_int32, C.c_int32, C.c_bool]
lib.llama_sampler_init_grammar.argtypes, lib.llama_sampler_init_grammar.restype = [C.c_void_p, C.c_char_p, C.c_char_p], C.c_void_p
lib.llama_sampler_apply.argtypes = [C.c_void_p, C.POINTER(Array)]
lib.llama_sampler_accept.argtypes = [C.c_void_p, C.c_int32]
lib.llama_sampler_free.argtypes = [C.c_void_p]
log = C.CFUNCTYPE(None, C.c_int, C.c_char_p, C.c_void_p)(lambda *a: None)
lib.llama_log_set(log, None)
model = lib.llama_model_load_from_file(sys.argv[2].encode(), lib.llama_model_default_params())
vocab = lib.llama_model_get_vocab(model)
n = lib.llama_vocab_n_tokens(vocab)
pieces, buf = [], C.create_string_buffer(4096)
for i in range(n):
    size = 0 if lib.llama_vocab_is_control(vocab, i) else lib.llama_token_to_piece(vocab, i, buf, 4096, 0, False)
    pieces.append(buf.raw[:size])
known = {p: i for i, p in enumerate(pieces)}
longest = max(map(len, pieces))
fresh = (Data * n)(*[Data(i, 0, 0) for i in range(n)])
data = (Data * n)()
out = []
for case in json.load(open(sys.argv[3])):
    grammar = lib.llama_sampler_init_grammar(vocab, case["grammar"].encode(), b"root")
    if not grammar: sys.exit("llama.cpp refuses " + case["grammar"])
    text, tokens, masks = case["text"].encode(), [], []
    while True:
        C.memmove(data, fresh, C.sizeof(data))
        array = Array(data, n, -1, False)
        lib.llama_sampler_apply(grammar, C.byref(array))
        mask = bytearray((n + 7) // 8)
        for d in data:
            if d.logit == 0: mask[d.id // 8] |= 1 << d.id % 8
        masks.append(base64.b64encode(mask).decode())
        if not text: break
        size = next(k for k in range(min(longest, len(text)), 0, -1) if text[:k] in known)
        tokens.append(known[text[:size]])
        text = text[size:]
        lib.llama_sampler_accept(grammar, tokens[-1])
    lib.llama_sampler_free(grammar)
    out.append({"tokens": tokens, "masks": masks})
json.dump({"pieces": [base64.b64encode(p).decode() for p in pieces], "cases": out}, sys.stdout)
`

func TestMasksOfLlama(t *testing.T) {
	python, folder, model := os.Getenv("HAENYEO_PYTHON"), os.Getenv("HAENYEO_LLAMA"), os.Getenv("HAENYEO_SMOLLM2")
	if python == "" || folder == "" || model == "" {
		t.Skip("NOT TESTED: whether llama.cpp permits the same tokens. Set HAENYEO_PYTHON, HAENYEO_LLAMA and HAENYEO_SMOLLM2 (see peers_test.go)")
	}
	type input struct {
		Grammar string `json:"grammar"`
		Text    string `json:"text"`
	}
	cases := []input{
		{arithmetic, "(alpha + 12) * beta_2 - 7 / (x - y) = gamma\nfoo = 4\n"},
		{`root ::= [a-z]{2,9} "-" ("red" | "reddish" | "blue")+ .`, "abc-redblue한"},
		// Of an excluded range of characters beyond ASCII llama.cpp also refuses the bytes that begin others.
		{`root ::= "[" ([^\]a-f] ","? | [é-콀] "x")* "]"`, "[x,yz 😀1éx]"},
		{`root ::= value
value ::= object | array | string | number | "true" | "false" | "null"
object ::= "{" ws (string ":" ws value ("," ws string ":" ws value)*)? "}" ws
array ::= "[" ws (value ("," ws value)*)? "]" ws
string ::= "\"" ([^"\\\x7F\x00-\x1F] | "\\" (["\\bfnrt/] | "u" [0-9a-fA-F]{4}))* "\"" ws
number ::= "-"? ([0-9] | [1-9] [0-9]{0,15}) ("." [0-9]+)? ([eE] [-+]? [0-9] [1-9]{0,15})? ws
ws ::= | " " | "\n" [ \t]{0,20}`, `{"name": "Kim \"해녀\" \u00e9", "n": [1, -2.5e3, {"a":null}], "ok": true}`},
	}
	file := filepath.Join(t.TempDir(), "cases.json")
	text, err := json.Marshal(cases)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(python, "-c", llamaMasks, folder, model, file)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Pieces []string
		Cases  []struct {
			Tokens []int32
			Masks  []string
		}
	}
	if err := json.Unmarshal(out, &answer); err != nil {
		t.Fatal(err)
	}
	decode := func(s string) []byte {
		b, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	v := NewVocabulary(len(answer.Pieces), func(id int32) []byte { return decode(answer.Pieces[id]) }, nil)
	compared := 0
	for i, c := range cases {
		g, err := FromGBNF(c.Grammar)
		if err != nil {
			t.Fatal(err)
		}
		k, err := g.For(v, nil)
		if err != nil {
			t.Fatal(err)
		}
		m := k.Matcher()
		for step, packed := range answer.Cases[i].Masks {
			theirs := decode(packed)
			mask, err := m.Mask()
			if err != nil {
				t.Fatal(err)
			}
			for id := range int32(v.size) {
				if len(v.spelled[id]) == 0 || v.spelled[id][0] == 0 {
					continue // control tokens, of which llama.cpp permits those that end a text; and what begins with NUL, which it never permits
				}
				ours := mask != nil && mask[id/64]>>(id%64)&1 == 1
				if ours != (theirs[id/8]>>(id%8)&1 == 1) {
					t.Fatalf("grammar %d, step %d: we permit token %d %q %v, llama.cpp does not agree", i, step, id, v.spelled[id], ours)
				}
				compared++
			}
			if step < len(answer.Cases[i].Tokens) {
				if err := m.Accept(answer.Cases[i].Tokens[step]); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	t.Logf("%d permissions compared", compared)
}
