package weights

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/haenyeo/haenyeo/format/safetensors"
	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/model"
	"github.com/haenyeo/haenyeo/quant"
)

// small is a V3 model of every part, and its parameters by name.
func small(t testing.TB) (*model.Model, *kernel.Engine) {
	t.Helper()
	e, err := kernel.New(1, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	m, err := model.New(&model.Config{
		ModelType: "deepseek_v3", VocabSize: 40, HiddenSize: 32, IntermediateSize: 48, NumHiddenLayers: 2, NumAttentionHeads: 2,
		QLoraRank: 24, KVLoraRank: 16, QKNopeHeadDim: 12, QKRopeHeadDim: 8, VHeadDim: 10, MoEIntermediateSize: 16, NRoutedExperts: 4,
		NSharedExperts: 1, NumExpertsPerTok: 2, FirstKDenseReplace: 1, NGroup: 2, TopKGroup: 1, RoutedScalingFactor: 2.5, NormTopKProb: true,
		NumNextnPredictLayers: 1, BOSTokenID: -1,
	}, e, model.Options{MTP: true})
	if err != nil {
		t.Fatal(err)
	}
	m.Init(3)
	return m, e
}

// A model in training gives what it gives when it has been saved.
func TestFromModel(t *testing.T) {
	m, _ := small(t)
	dir := t.TempDir()
	if err := m.Save(dir, kernel.F32); err != nil {
		t.Fatal(err)
	}
	s := FromModel(m)
	if s.Dir() != "" || s.GGUF() != nil || s.RopeInterleaved() || s.FaultError(1) != nil || s.Close() != nil {
		t.Error("a model in training has no files")
	}
	if err := s.Check(); err != nil {
		t.Error(err)
	}
	sameTensors(t, decode(t, s), decode(t, openModel(t, dir)))
	p := m.Param("model.norm.weight")
	p.Data[3] = 42
	if v, err := s.Vector(p.Name, len(p.Data)); err != nil || v[3] != 42 {
		t.Errorf("a changed parameter is read as %v, %v", v[3], err)
	}
}

// rename writes the tensors of dir to a new directory under other names, a shard for every so many.
func rename(t *testing.T, dir string, to func(string) string, perShard int) string {
	t.Helper()
	r, err := safetensors.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	out := t.TempDir()
	config, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(out, "config.json"), config, 0o666); err != nil {
		t.Fatal(err)
	}
	names := r.Names()
	shards := (len(names) + perShard - 1) / perShard
	for i := range shards {
		var tensors []safetensors.Tensor
		for _, n := range names[i*perShard : min((i+1)*perShard, len(names))] {
			x, _ := r.Tensor(n)
			x.Name = to(n)
			tensors = append(tensors, x)
		}
		name := safetensors.FileName
		if shards > 1 {
			name = shard(i, shards)
		}
		writeTensors(t, filepath.Join(out, name), tensors)
	}
	return out
}

// writeTensors writes a safetensors file of any types.
func writeTensors(t *testing.T, path string, tensors []safetensors.Tensor) {
	t.Helper()
	header := map[string]any{}
	var data []byte
	for _, x := range tensors {
		header[x.Name] = map[string]any{"dtype": x.DType.String(), "shape": x.Shape, "data_offsets": []int{len(data), len(data) + len(x.Data)}}
		data = append(data, x.Data...)
	}
	text, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(text)))
	if err := os.WriteFile(path, append(append(b, text...), data...), 0o666); err != nil {
		t.Fatal(err)
	}
}

// shardOf is the path of shard i, counted from 1.
func shardOf(t *testing.T, dir string, i int) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, fmt.Sprintf("*-%05d-of-*", i)))
	if err != nil || len(found) != 1 {
		t.Fatalf("shard %d: %v, %v", i, found, err)
	}
	return found[0]
}

func shard(i, n int) string {
	return fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, n)
}

// NVFP4 as community conversions have it, under the names of both kinds of writers.
func TestNVFP4Conversions(t *testing.T) {
	m, _ := small(t)
	dir := t.TempDir()
	if err := m.Save(dir, kernel.F32); err != nil {
		t.Fatal(err)
	}
	const base, n, k = "model.layers.0.mlp.gate_proj", 48, 32
	codes, scales := make([]byte, n*k/2), make([]byte, n*k/16)
	for i := range codes {
		codes[i] = byte(i * 37)
	}
	for i := range scales {
		scales[i] = byte(0x30 + i%16)
	}
	const factor = 1. / 1024
	for _, c := range []struct {
		weight, global string
		value          float32
	}{{".weight", ".weight_scale_2", factor}, {".weight_packed", ".weight_global_scale", 1 / factor}} {
		r, err := safetensors.OpenDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		var tensors []safetensors.Tensor
		for _, name := range r.Names() {
			if x, _ := r.Tensor(name); name != base+".weight" {
				tensors = append(tensors, x)
			}
		}
		tensors = append(tensors, safetensors.Tensor{Name: base + c.weight, DType: safetensors.U8, Shape: []int{n, k / 2}, Data: codes},
			safetensors.Tensor{Name: base + ".weight_scale", DType: safetensors.F8_E4M3, Shape: []int{n, k / 16}, Data: scales},
			safetensors.Tensor{Name: base + c.global, DType: safetensors.F32, Shape: []int{1}, Data: binary.LittleEndian.AppendUint32(nil, math.Float32bits(c.value))})
		out := t.TempDir()
		writeTensors(t, filepath.Join(out, "model.safetensors"), tensors)
		r.Close()
		config, err := os.ReadFile(filepath.Join(dir, "config.json"))
		if err != nil {
			t.Fatal(err)
		}
		config = append([]byte(`{"quantization_config": {"quant_method": "modelopt", "quant_algo": "NVFP4"},`), config[1:]...)
		if err := os.WriteFile(filepath.Join(out, "config.json"), config, 0o666); err != nil {
			t.Fatal(err)
		}
		w, err := openModel(t, out).Matrix(base+".weight", n, k)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]float32, n*k)
		w.Rows(got, 0, n)
		for i, x := range got {
			q := codes[i/2] >> (4 * (i % 2)) & 15
			want := []float32{0, 0.5, 1, 1.5, 2, 3, 4, 6}[q&7] * quant.FromE4M3(scales[i/16]) * factor
			if q > 7 {
				want = -want
			}
			if x != want {
				t.Fatalf("%s: element %d is %v, want %v", c.global, i, x, want)
			}
		}
	}
}

// Names of other tools are understood.
func TestOtherNames(t *testing.T) {
	m, _ := small(t)
	v3 := t.TempDir()
	if err := m.Save(v3, kernel.F32); err != nil {
		t.Fatal(err)
	}
	v4 := filepath.Join("testdata", "deepseek_v4_fp4")
	converted := strings.NewReplacer("lm_head.", "head.", "model.", "", "embed_tokens", "embed", "self_attn", "attn", "mlp", "ffn", "input_layernorm", "attn_norm",
		"post_attention_layernorm", "ffn_norm", "q_a_proj", "wq_a", "q_a_layernorm", "q_norm", "q_b_proj", "wq_b", "kv_a_proj_with_mqa", "wkv_a",
		"kv_a_layernorm", "kv_norm", "kv_b_proj", "wkv_b", "o_proj", "wo", "gate_proj", "w1", "down_proj", "w2", "up_proj", "w3", "e_score_correction_bias", "bias")
	long := strings.NewReplacer("embed.weight", "model.embed_tokens.weight", "head.weight", "lm_head.weight", "norm.weight", "norm.weight", "layers.", "model.layers.",
		".attn.", ".self_attn.", ".ffn.", ".mlp.", ".scale", ".weight_scale_inv", "gate.bias", "gate.e_score_correction_bias", ".w1.", ".gate_proj.", ".w2.", ".down_proj.", ".w3.", ".up_proj.")
	for name, c := range map[string]struct {
		dir string
		to  func(string) string
	}{
		"V3 as the publisher converts it": {v3, converted.Replace},
		"V3 without model.":               {v3, func(n string) string { return strings.TrimPrefix(n, "model.") }},
		"V4 with names like V3":           {v4, long.Replace},
		"V4 with model.":                  {v4, func(n string) string { return "model." + n }},
		"V3 in shards without index":      {v3, func(n string) string { return n }},
	} {
		t.Run(name, func(t *testing.T) {
			per := 1 << 20
			if strings.Contains(name, "shards") {
				per = 20
			}
			sameTensors(t, decode(t, openModel(t, rename(t, c.dir, c.to, per))), decode(t, openModel(t, c.dir)))
		})
	}
}

// What a damaged directory gets.
func TestDirectoriesThatDoNotFit(t *testing.T) {
	m, _ := small(t)
	good := t.TempDir()
	if err := m.Save(good, kernel.F32); err != nil {
		t.Fatal(err)
	}
	same := func(n string) string { return n }
	v4 := filepath.Join("testdata", "deepseek_v4_fp4")
	edit := func(old, new string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			path := filepath.Join(dir, "config.json")
			b, _ := os.ReadFile(path)
			s := strings.Replace(string(b), old, new, 1)
			if s == string(b) {
				t.Fatalf("%q is not in %s", old, b)
			}
			os.WriteFile(path, []byte(s), 0o666)
		}
	}
	for name, c := range map[string]struct {
		from   string
		to     func(string) string
		shards int
		damage func(t *testing.T, dir string)
		says   []string
	}{
		"other vocabulary": {good, same, 1e6, edit(`"vocab_size": 40`, `"vocab_size": 41`), []string{"embed_tokens", "[40 32]", "[41 32]"}},
		"more layers":      {good, same, 1e6, edit(`"num_hidden_layers": 2`, `"num_hidden_layers": 9`), []string{"missing", "model.layers.3.", "and perhaps more"}},
		"a tensor is gone": {good, strings.NewReplacer("layers.1.mlp.experts.3.up_proj", "none").Replace, 1e6, nil, []string{"missing", "model.layers.1.mlp.experts.3.up_proj.weight"}},
		"a shard is gone":  {good, same, 20, func(t *testing.T, dir string) { os.Remove(shardOf(t, dir, 2)) }, []string{"1 are missing", "-00002-of-"}},
		"two models' shards": {good, same, 20, func(t *testing.T, dir string) {
			os.Rename(shardOf(t, dir, 2), filepath.Join(dir, "other-00001-of-00002.safetensors"))
		}, []string{"shards of two models"}},
		"no weights": {good, same, 1e6, func(t *testing.T, dir string) { os.Remove(filepath.Join(dir, "model.safetensors")) }, []string{"model.safetensors"}},
		"only pickled weights": {good, same, 1e6, func(t *testing.T, dir string) {
			os.Rename(filepath.Join(dir, "model.safetensors"), filepath.Join(dir, "pytorch_model.bin"))
		}, []string{"pytorch_model.bin", "fetch the model as safetensors"}},
		"no config.json":         {good, same, 1e6, func(t *testing.T, dir string) { os.Remove(filepath.Join(dir, "config.json")) }, []string{"neither config.json nor a .gguf file"}},
		"blocks of another size": {v4, same, 1e6, edit("[\n   128,\n   128\n  ]", `[64, 64]`), []string{"blocks of 64×64", "weight_block_size"}},
		"scales are gone":        {v4, strings.NewReplacer("layers.0.attn.wq_a.scale", "none").Replace, 1e6, nil, []string{"without scales", "wq_a"}},
		"same name twice": {good, func(n string) string {
			if n == "model.layers.0.self_attn.o_proj.weight" {
				return "layers.0.attn.wo.weight"
			}
			if n == "model.layers.0.self_attn.q_a_proj.weight" {
				return "layers.0.self_attn.o_proj.weight"
			}
			return n
		}, 1e6, nil, []string{"are both", "o_proj"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := rename(t, c.from, c.to, c.shards)
			if c.damage != nil {
				c.damage(t, dir)
			}
			_, err := Open(dir)
			if err == nil {
				t.Fatal("it opened")
			}
			for _, s := range c.says {
				if !strings.Contains(err.Error(), s) {
					t.Errorf("error %v, want %q in it", err, s)
				}
			}
		})
	}
	if _, err := Open(filepath.Join(good, "model.safetensors")); err == nil || !strings.Contains(err.Error(), "give its directory") {
		t.Errorf("one safetensors file: error %v", err)
	}
	if _, err := Open(filepath.Join(good, "nothing")); err == nil || !strings.Contains(err.Error(), "give a directory") {
		t.Errorf("nothing: error %v", err)
	}
}

// A directory with one GGUF in it is that model.
func TestDirectoryOfGGUF(t *testing.T) {
	dir := t.TempDir()
	data, err := os.ReadFile(filepath.Join("testdata", "llama-q8_0.gguf"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "a.gguf"), data, 0o666); err != nil {
		t.Fatal(err)
	}
	if s := openModel(t, dir); s.GGUF() == nil || s.Dir() != dir {
		t.Errorf("directory %q", s.Dir())
	}
	if err := os.WriteFile(filepath.Join(dir, "b.gguf"), data, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "name one of them") {
		t.Errorf("two models: error %v", err)
	}
}

// A fault is told with the file that it happened in.
func TestFaultError(t *testing.T) {
	for _, path := range []string{"llama-q8_0.gguf", "deepseek_v4_fp4"} {
		path = filepath.Join("testdata", path)
		s := openModel(t, path)
		name, n := "model.embed_tokens.weight", s.Config().VocabSize
		if s.GGUF() == nil {
			name = "embed.weight"
		}
		m, err := s.Matrix(name, n, s.Config().HiddenSize)
		if err != nil {
			t.Fatal(err)
		}
		addr := uintptr(unsafe.Pointer(&m.Data[5]))
		if err := s.FaultError(addr); err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "cut short") {
			t.Errorf("%s: error %v", path, err)
		}
		if err := s.FaultError(uintptr(unsafe.Pointer(&n))); err != nil {
			t.Errorf("%s: an address of no file: %v", path, err)
		}
	}
}

// A file that is cut while it is read gives an error, not a crash.
func TestFileCutShort(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a mapped file cannot be cut there")
	}
	data, err := os.ReadFile(filepath.Join("testdata", "llama-q8_0.gguf"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "m.gguf")
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	s := openModel(t, path)
	if err := os.Truncate(path, 8); err != nil {
		t.Fatal(err)
	}
	err = guard(path, func() error {
		_, err := s.Vector("model.norm.weight", s.Config().HiddenSize)
		return err
	})
	if err == nil || !strings.Contains(err.Error(), "became shorter") || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v", err)
	}
}

// Names that are published stay, others become them.
func TestPublishedNames(t *testing.T) {
	for from, want := range map[string]string{
		"model.layers.3.self_attn.q_norm.weight":       "model.layers.3.self_attn.q_norm.weight",
		"layers.3.attn.q_norm.weight":                  "model.layers.3.self_attn.q_a_layernorm.weight",
		"layers.3.attn.wkv_b.scale":                    "model.layers.3.self_attn.kv_b_proj.weight_scale_inv",
		"layers.3.attn.indexer.wq_b.weight":            "model.layers.3.self_attn.indexer.wq_b.weight",
		"layers.3.attn.indexer.k_norm.bias":            "model.layers.3.self_attn.indexer.k_norm.bias",
		"layers.3.ffn.gate.bias":                       "model.layers.3.mlp.gate.e_score_correction_bias",
		"model.layers.0.self_attn.rotary_emb.inv_freq": "model.layers.0.self_attn.rotary_emb.inv_freq",
		"model.layers.61.shared_head.norm.weight":      "model.layers.61.shared_head.norm.weight",
		"head.weight":    "lm_head.weight",
		"norm.weight":    "model.norm.weight",
		"something.else": "something.else",
		"model":          "model",
		"model.layers.3.mlp.gate.e_score_correction_bias":      "model.layers.3.mlp.gate.e_score_correction_bias",
		"model.layers.0.self_attn.q_a_proj.weight_scale_inv":   "model.layers.0.self_attn.q_a_proj.weight_scale_inv",
		"model.layers.0.mlp.shared_experts.gate_proj.weight":   "model.layers.0.mlp.shared_experts.gate_proj.weight",
		"model.layers.3.self_attn.kv_a_proj_with_mqa.weight":   "model.layers.3.self_attn.kv_a_proj_with_mqa.weight",
		"layers.3.ffn.experts.17.w2.weight":                    "model.layers.3.mlp.experts.17.down_proj.weight",
		"model.layers.1.self_attn.indexer.weights_proj.weight": "model.layers.1.self_attn.indexer.weights_proj.weight",
	} {
		if got := published(from); got != want {
			t.Errorf("%s becomes %s, want %s", from, got, want)
		}
	}
	for _, n := range []string{"embed.weight", "hc_head_fn", "layers.0.attn.compressor.ape", "layers.2.attn.indexer.compressor.wkv.weight", "layers.0.ffn.gate.tid2eid",
		"mtp.0.norm.weight", "layers.0.attn.wo_a.scale", "norm.weight"} {
		if got := publishedV4(n); got != n {
			t.Errorf("%s of V4 becomes %s", n, got)
		}
	}
}

// The numbers of a checkpoint whose halves of precision are 16 bits.
func TestPlainTypes(t *testing.T) {
	m, _ := small(t)
	dir := t.TempDir()
	if err := m.Save(dir, kernel.BF16); err != nil {
		t.Fatal(err)
	}
	exact := decode(t, FromModel(m))
	for name, x := range decode(t, openModel(t, dir)) {
		i := slices.IndexFunc(x, func(v float32) bool { return math.Float32bits(v)&0xffff != 0 })
		if strings.HasSuffix(name, "correction_bias") {
			i = -1
		}
		if i >= 0 || distance(exact[name], x) > 1./256 {
			t.Errorf("%s: element %d is no BF16 number, or it is far off", name, i)
		}
	}
}

// Whatever config.json, index and header say, opening a directory ends with an error or a model whose
// tensors can be read.
func FuzzOpenDirectory(f *testing.F) {
	dir := filepath.Join("testdata", "deepseek_v4_fp4")
	config, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		f.Fatal(err)
	}
	file, err := os.ReadFile(filepath.Join(dir, "model.safetensors"))
	if err != nil {
		f.Fatal(err)
	}
	r, err := safetensors.OpenDir(dir)
	if err != nil {
		f.Fatal(err)
	}
	index := map[string]map[string]string{"weight_map": {}}
	for _, n := range r.Names() {
		index["weight_map"][n] = "a.safetensors"
	}
	r.Close()
	list, err := json.Marshal(index)
	if err != nil {
		f.Fatal(err)
	}
	header := file[8 : 8+binary.LittleEndian.Uint64(file)]
	data := len(file) - 8 - len(header)
	f.Add(config, list, header)
	f.Add(config, []byte{}, header)
	out := f.TempDir()
	f.Fuzz(func(t *testing.T, config, list, header []byte) {
		b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
		b = append(append(b, header...), make([]byte, data)...)
		files := map[string][]byte{"config.json": config, "model.safetensors": b}
		os.Remove(filepath.Join(out, "model.safetensors"))
		if len(list) > 0 {
			files = map[string][]byte{"config.json": config, safetensors.IndexName: list, "a.safetensors": b}
		}
		for name, data := range files {
			if err := os.WriteFile(filepath.Join(out, name), data, 0o666); err != nil {
				t.Fatal(err)
			}
		}
		s, err := Open(out)
		if err != nil {
			return
		}
		defer s.Close()
		readAll(t, s)
	})
}

// Files with one fault each are refused, the one they were made from opens.
func TestMalformedGGUF(t *testing.T) {
	root := filepath.Join("..", "format", "gguf", "testdata", "malformed")
	text, err := os.ReadFile(filepath.Join(root, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	var index map[string]struct{ Fault, Must string }
	if err := json.Unmarshal(text, &index); err != nil {
		t.Fatal(err)
	}
	for name, c := range index {
		s, err := Open(filepath.Join(root, name))
		if c.Must == "reject" && err == nil || c.Must == "accept" && err != nil {
			t.Errorf("%s (%s) must %s: error %v", name, c.Fault, c.Must, err)
		}
		if err == nil {
			decode(t, s)
			s.Close()
		}
	}
	if len(index) < 40 {
		t.Errorf("only %d files", len(index))
	}
}
