package hub

import (
	"slices"
	"strings"
	"testing"
)

func list(names string) []remote {
	var out []remote
	for _, n := range strings.Fields(names) {
		out = append(out, remote{name: n, size: 1})
	}
	return out
}

func TestChoose(t *testing.T) {
	const (
		tensors = "README.md LICENSE .gitattributes config.json generation_config.json tokenizer.json tokenizer.model chat_template.jinja " +
			"additional_chat_templates/tool.jinja model-00001-of-00002.safetensors model-00002-of-00002.safetensors model.safetensors.index.json " +
			"consolidated.safetensors pytorch_model.bin original/model.safetensors inference/config.json model-Q8_0.gguf"
		chosen = "LICENSE additional_chat_templates/tool.jinja chat_template.jinja config.json generation_config.json model-00001-of-00002.safetensors " +
			"model-00002-of-00002.safetensors model.safetensors.index.json tokenizer.json tokenizer.model"
		quants = "README.md m-Q4_K_M.gguf m-Q8_0.gguf m-UD-Q2_K_XL.gguf m.IQ1_S.gguf mmproj-F16.gguf m.imatrix.gguf BF16/m-BF16-00001-of-00002.gguf BF16/m-BF16-00002-of-00002.gguf"
	)
	cases := []struct {
		files, want, include, exclude string
		chosen, says                  string
	}{
		{files: tensors, chosen: chosen},
		{files: tensors, exclude: "*.jinja LICENSE", chosen: "config.json generation_config.json model-00001-of-00002.safetensors model-00002-of-00002.safetensors model.safetensors.index.json tokenizer.json tokenizer.model"},
		{files: tensors, include: "inference/", chosen: "inference/config.json"},
		{files: tensors, include: "*config.json", exclude: "gen*", chosen: "config.json inference/config.json"},
		{files: tensors, include: "[!a-z]*", chosen: ".gitattributes LICENSE README.md"},
		{files: tensors, include: "*.gguf", chosen: "model-Q8_0.gguf"},
		{files: tensors, include: "nothing*", says: "fits the patterns"},
		{files: tensors, include: "[", says: "syntax error"},
		{files: tensors, want: "q8_0", chosen: "model-Q8_0.gguf"},
		{files: tensors, want: "README.md", chosen: "README.md"},
		{files: tensors, want: "Q4_K_M", says: "there are Q8_0"},
		{files: tensors, want: "x", include: "y", says: "two ways"},
		{files: quants, chosen: "m-Q4_K_M.gguf"},
		{files: quants, want: "Q2_K_XL", chosen: "m-UD-Q2_K_XL.gguf"},
		{files: quants, want: "UD-Q2_K_XL", chosen: "m-UD-Q2_K_XL.gguf"},
		{files: quants, want: "iq1_s", chosen: "m.IQ1_S.gguf"},
		{files: quants, want: "BF16", chosen: "BF16/m-BF16-00001-of-00002.gguf BF16/m-BF16-00002-of-00002.gguf"},
		{files: quants, want: "BF16/m-BF16-00002-of-00002.gguf", chosen: "BF16/m-BF16-00001-of-00002.gguf BF16/m-BF16-00002-of-00002.gguf"},
		{files: quants, want: "mmproj-F16.gguf", chosen: "mmproj-F16.gguf"},
		{files: quants, want: "Q5_K_M", says: "there are BF16, Q4_K_M, Q8_0, UD-Q2_K_XL, IQ1_S"},
		{files: "a-Q8_0.gguf a-Q6_K.gguf", says: "name one after a colon: Q6_K, Q8_0"},
		{files: "a-Q8_0.gguf b-Q8_0.gguf", want: "Q8_0", says: "a-Q8_0.gguf and b-Q8_0.gguf"},
		{files: "Q4_K_M/a.gguf Q8_0/a.gguf", want: "Q8_0", chosen: "Q8_0/a.gguf"},
		{files: "only.gguf", chosen: "only.gguf"},
		{files: "a-00001-of-00003.gguf a-00003-of-00003.gguf", says: `"a-00002-of-00003.gguf" is not there`},
		{files: "a-00001-of-99999.gguf", says: "99999 parts"},
		{files: "a-00000-of-00000.gguf", chosen: "a-00000-of-00000.gguf"},
		{files: "config.json pytorch_model.bin", says: "pytorch_model.bin"},
		{files: "config.json", says: "neither safetensors nor GGUF"},
		{files: "", says: "no files"},
	}
	for _, c := range cases {
		got, err := choose(list(c.files), c.want, strings.Fields(c.include), strings.Fields(c.exclude))
		var names []string
		for _, f := range got {
			names = append(names, f.name)
		}
		if c.says != "" {
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%q of %q: %v, %v", c.want+c.include, c.files, names, err)
			}
			continue
		}
		if err != nil || !slices.Equal(names, strings.Fields(c.chosen)) {
			t.Errorf("%q of %q: %v, %v", c.want+c.include, c.files, names, err)
		}
	}
}

func TestParseName(t *testing.T) {
	good := map[string]Name{
		"deepseek-ai/DeepSeek-V3.2": {Repo: "deepseek-ai/DeepSeek-V3.2"},
		"gpt2":                      {Repo: "gpt2"},
		"a/b@refs/pr/1":             {Repo: "a/b", Revision: "refs/pr/1"},
		"a/b:Q4_K_M":                {Repo: "a/b", File: "Q4_K_M"},
		"a/b@v1:dir/x.gguf":         {Repo: "a/b", Revision: "v1", File: "dir/x.gguf"},
		"hf.co/a/b:Q8_0":            {Repo: "a/b", File: "Q8_0"},
		"https://huggingface.co/deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B": {Repo: "deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B"},
	}
	for s, want := range good {
		n, err := ParseName(s)
		if err != nil || n != want {
			t.Errorf("%q: %+v, %v", s, n, err)
		}
		if again, err := ParseName(n.String()); err != nil || again != n {
			t.Errorf("%q: %+v becomes %+v", s, n, again)
		}
	}
	for _, s := range []string{"", "/", "a/b/c", "../x", "a/..", "a--b/c", "a/b.git", "-a/b", "a/b-", "a/b@", "a/b:", "a/b@../x", "a/b@a//b", "a/b:../x", `a/b:C:\x`, "a b", "a/b@x\x00", "a/b@nul", "./a", "a/b@/x", strings.Repeat("a", 200)} {
		if n, err := ParseName(s); err == nil {
			t.Errorf("%q is %+v", s, n)
		}
	}
}
