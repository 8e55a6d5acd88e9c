package weights

import (
	"os"
	"path/filepath"
	"testing"
)

// A fingerprint says the same of the same model wherever it lies, and sees another model, another type and another
// configuration.
func TestFingerprint(t *testing.T) {
	const tiny = "../infer/testdata/llama-q8_0.gguf"
	data, err := os.ReadFile(tiny)
	if err != nil {
		t.Fatal(err)
	}
	of := func(change func(b []byte)) [32]byte {
		t.Helper()
		path := filepath.Join(t.TempDir(), "m.gguf")
		b := append([]byte(nil), data...)
		change(b)
		if err := os.WriteFile(path, b, 0o666); err != nil {
			t.Fatal(err)
		}
		s, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		sum, err := s.Fingerprint()
		if err != nil {
			t.Fatal(err)
		}
		return sum
	}
	same := of(func([]byte) {})
	if again := of(func([]byte) {}); again != same {
		t.Error("the same file has two fingerprints")
	}
	if last := of(func(b []byte) { b[len(b)-40] ^= 1 }); last == same {
		t.Error("a weight changed and the fingerprint did not")
	}
	if shape := of(func(b []byte) { changeEps(t, b) }); shape == same {
		t.Error("the configuration changed and the fingerprint did not")
	}
}

// changeEps changes the float32 of attention.layer_norm_rms_epsilon, which stands behind its key and type.
func changeEps(t *testing.T, b []byte) {
	t.Helper()
	key := []byte("llama.attention.layer_norm_rms_epsilon")
	for i := range b {
		if string(b[i:min(i+len(key), len(b))]) == string(key) {
			b[i+len(key)+4+1] ^= 0x40
			return
		}
	}
	t.Fatal("no epsilon in the file")
}
