package main

import "testing"

func TestSizes(t *testing.T) {
	for text, want := range map[string]memory{"6G": 6 << 30, "800m": 800 << 20, "1.5K": 1536, "4096": 4096, "2GB": 2 << 30} {
		var b memory
		if err := b.UnmarshalText([]byte(text)); err != nil || b != want {
			t.Errorf("%q: %d, %v; want %d", text, b, err, want)
		}
	}
	for _, text := range []string{"", "G", "-1", "0", "6X", "NaN", "1e30", "GG", "Inf"} {
		if err := new(memory).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}
