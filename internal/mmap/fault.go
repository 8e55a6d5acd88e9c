package mmap

// Fault is the error that explain has for a recovered panic v of a page that is gone, because another program made the
// file shorter or its disk failed (see debug.SetPanicOnFault). Every other panic, and a fault that explain has no error
// for, goes on: it is a defect of this program.
func Fault(v any, explain func(addr uintptr) error) error {
	fault, ok := v.(interface {
		error
		Addr() uintptr
	})
	if !ok {
		panic(v)
	}
	err := explain(fault.Addr())
	if err == nil {
		panic(v)
	}
	return err
}
