package kernel

import "testing"

func TestDescribeNamesTheChoice(t *testing.T) {
	t.Setenv("HAENYEO_CPU", "")
	e, err := New(0, "")
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	chosen := map[DType]int{}
	for _, c := range e.Describe() {
		t.Logf("%-5v %-11s %7.1f GFLOPS  chosen %v  %s", c.DType, c.Tier, c.GFLOPS, c.Chosen, c.Note)
		if c.Chosen {
			chosen[c.DType]++
		}
	}
	if chosen[F32] != 1 || chosen[BF16] != 1 {
		t.Errorf("%d choices for f32, %d for bf16, want one each", chosen[F32], chosen[BF16])
	}
	for _, dt := range []DType{F32, BF16} {
		peak := e.Peak(dt)
		t.Logf("%v: peak %.1f GFLOPS on %d threads", dt, peak, e.Pool().Threads())
		if !(peak > 0) {
			t.Errorf("%v: peak %v", dt, peak)
		}
	}
}

func TestTierIsHonoured(t *testing.T) {
	for _, name := range Tiers() {
		e, err := New(1, name)
		if err != nil {
			t.Fatal(err)
		}
		if e.Tier() != name {
			t.Errorf("asked for %s, got %s", name, e.Tier())
		}
		e.Close()
		t.Setenv("HAENYEO_CPU", name)
		if e, err = New(1, ""); err != nil || e.Tier() != name {
			t.Errorf("HAENYEO_CPU=%s: %v, %v", name, e, err)
		}
		e.Close()
	}
	if _, err := New(1, "z80"); err == nil {
		t.Error("an unknown tier was accepted")
	}
}
