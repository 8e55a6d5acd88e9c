package optim

import (
	"fmt"
	"testing"

	"github.com/haenyeo/haenyeo/kernel"
)

// BenchmarkStep steps the matrices of preset S (18.6M parameters).
func BenchmarkStep(b *testing.B) {
	shapes := map[[2]int]int{{128, 256}: 6, {256, 128}: 6, {112, 256}: 6, {448, 96}: 6, {256, 256}: 6,
		{768, 256}: 2, {256, 768}: 1, {192, 256}: 2 * 17 * 5, {256, 192}: 17 * 5, {16, 256}: 5}
	for _, dt := range []kernel.DType{kernel.F32, kernel.BF16} {
		for _, kind := range []Kind{AdamW, Muon} {
			b.Run(fmt.Sprint(kind, "/", dt), func(b *testing.B) {
				e := engine(b, 0)
				var ps []Param
				n := 0
				for s, count := range shapes {
					for i := range count {
						x := make([]float32, s[0]*s[1])
						for j := range x {
							x[j] = float32(j%17) - 8
						}
						ps = append(ps, Param{Name: fmt.Sprint(s, i), Shape: s[:], W: x, G: make([]float32, len(x)), Hidden: true})
						n += len(x)
					}
				}
				table := make([]float32, 2*8192*256)
				ps = append(ps, Param{Name: "table", Shape: []int{2 * 8192, 256}, W: table, G: make([]float32, len(table))})
				opt := Defaults(kind)
				opt.DType = dt
				o, err := New(e, ps, opt)
				if err != nil {
					b.Fatal(err)
				}
				for b.Loop() {
					for _, p := range ps {
						p.G[0] = 1
					}
					o.Step(1e-3, 1)
				}
				b.ReportMetric(float64(n+len(table))*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mparam/s")
			})
		}
	}
}
