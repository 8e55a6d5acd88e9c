package house

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/haenyeo/haenyeo"

// layers lists the packages from the bottom up. A package may import packages of lower layers
// and, inside its own directory tree, its own parts; never a package of its own or a higher layer.
var layers = [][]string{
	{"internal/regular"},
	{"internal/par", "internal/cpu", "internal/mmap", "internal/atomicfile", "internal/diskspace", "internal/house"},
	{"quant"},
	{"kernel"},
	{"format/safetensors", "format/gguf", "tokenizer", "internal/machine", "hub"},
	{"model", "corpus", "eval/report", "chat", "grammar", "task"},
	{"weights"},
	{"forward", "objective"},
	{"optim", "infer", "export"},
	{"train", "eval"},
	{"tune"},
	{"create"},
	{"internal/bench", "serve"},
	{""}, // the root package
	{"cmd/haenyeo"},
}

// engine is ring 0: packages that other programs import for the engine alone.
var engine = []string{"kernel", "quant", "format/", "tokenizer", "chat", "grammar", "hub", "model", "weights", "forward", "infer", "serve", "optim", "objective", "train", "tune", "corpus", "eval/", "export", "create", "task", "internal/"}

// outside are parts of ring 0's directories that are not of ring 0: what imports them chooses to link more.
var outside = []string{"task/sandbox"}

// engineModules are the only modules outside the standard library that ring 0 may import.
var engineModules = []string{"golang.org/x/", "github.com/klauspost/compress"}

type goPackage struct {
	ImportPath string
	Imports    []string
	Standard   bool
}

func packages(t *testing.T) []goPackage {
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", "../../...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var ps []goPackage
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return ps
		} else if err != nil {
			t.Fatal(err)
		}
		ps = append(ps, p)
	}
}

// layerOf finds the layer of a package path inside the module; parts of a package (kernel/x)
// belong to the longest listed prefix.
func layerOf(rel string) (layer int, name string) {
	layer = -1
	for i, names := range layers {
		for _, n := range names {
			if (rel == n || n != "" && strings.HasPrefix(rel, n+"/")) && (layer < 0 || len(n) > len(name)) {
				layer, name = i, n
			}
		}
	}
	return layer, name
}

func relative(path string) (string, bool) {
	if path == module {
		return "", true
	}
	return strings.CutPrefix(path, module+"/")
}

func TestArrowsPointDown(t *testing.T) {
	for _, p := range packages(t) {
		from, _ := relative(p.ImportPath)
		fromLayer, fromName := layerOf(from)
		if fromLayer < 0 {
			t.Errorf("%s is in no layer of this test: add it where it belongs", p.ImportPath)
			continue
		}
		for _, imp := range p.Imports {
			to, inside := relative(imp)
			if !inside {
				continue
			}
			toLayer, toName := layerOf(to)
			if toName != fromName && toLayer >= fromLayer {
				t.Errorf("%s imports %s: arrows point down, and %q is not below %q", p.ImportPath, imp, toName, fromName)
			}
		}
	}
}

func TestEngineDependsOnLittle(t *testing.T) {
	for _, p := range packages(t) {
		rel, _ := relative(p.ImportPath)
		if slices.Contains(outside, rel) {
			continue
		}
		inEngine := false
		for _, e := range engine {
			inEngine = inEngine || rel == e || strings.HasPrefix(rel, strings.TrimSuffix(e, "/")+"/")
		}
		if !inEngine {
			continue
		}
		for _, imp := range p.Imports {
			if _, inside := relative(imp); inside || !strings.Contains(strings.Split(imp, "/")[0], ".") {
				continue
			}
			allowed := false
			for _, m := range engineModules {
				allowed = allowed || strings.HasPrefix(imp, m)
			}
			if !allowed {
				t.Errorf("%s imports %s: the engine may use only the standard library and %v", p.ImportPath, imp, engineModules)
			}
		}
	}
}
