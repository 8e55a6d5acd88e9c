package cpu

import "testing"

func TestFeaturesAreNested(t *testing.T) {
	f := Detect()
	t.Logf("%s: %+v", Name(), f)
	if f.AVX512 && !f.AVX2 || f.AVX512BF16 && !f.AVX512 || f.AMX && !f.AVX512BF16 || f.I8MM && !f.NEON {
		t.Errorf("a set without the one below it: %+v", f)
	}
	if Name() == "" {
		t.Error("no name")
	}
}

func TestEnableAMXNeedsAMX(t *testing.T) {
	if got := EnableAMX(); got && !Detect().AMX {
		t.Log("the kernel grants tiles that the processor or this package's other conditions lack")
	} else if !got && Detect().AMX {
		t.Log("the processor has AMX but the operating system does not grant it")
	}
}
