package kernel

import (
	"fmt"
	"testing"
)

// BenchmarkPack measures each packer by the floats it reads.
func BenchmarkPack(b *testing.B) {
	e, err := New(1, "")
	if err != nil {
		b.Fatal(err)
	}
	defer e.Close()
	for _, r := range []*route{e.f32, e.bf16} {
		for _, s := range [][2]int{{64, 32}, {64, 64}, {64, 256}, {512, 64}, {512, 256}, {4096, 256}} {
			rows, cols := s[0], s[1]
			src := aligned(rows * cols)
			dst := aligned(max(r.leftLen(rows, cols), r.rightLen(cols, rows), r.rightLen(rows, cols)))
			bl := &block{}
			for _, op := range []string{"rows", "cols", "trans"} {
				b.Run(fmt.Sprintf("%s/%s/%dx%d", r.name, op, rows, cols), func(b *testing.B) {
					for b.Loop() {
						switch op {
						case "rows":
							bl.pack = pack{src: src, lds: cols, rows: rows, cols: cols, dst: dst, ldd: padSteps(r.steps(cols))}
							r.packRows(&bl.pack)
						case "cols":
							r.right(bl, dst, src, cols, nil, rows, cols)
						case "trans":
							r.rightT(bl, dst, src, cols, cols, rows)
						}
					}
					b.ReportMetric(float64(4*rows*cols)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GB/s")
				})
			}
		}
	}
}
