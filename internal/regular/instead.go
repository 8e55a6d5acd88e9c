package regular

import "bytes"

// Instead says what a file is that begins with head and stands where a file of weights was expected, with what to do
// about it; "" when it is nothing that is often found there.
func Instead(head []byte) string {
	head = bytes.ToLower(bytes.TrimLeft(head[:min(len(head), 256)], " \t\r\n\ufeff"))
	switch {
	case bytes.HasPrefix(head, []byte("version https://git-lfs")):
		return "it is a Git LFS pointer, not the file itself: run \"git lfs pull\" in the clone, or fetch the model with \"haenyeo pull\""
	case bytes.HasPrefix(head, []byte("<!doctype")), bytes.HasPrefix(head, []byte("<html")):
		return "it is a web page, not the file itself: fetch it again, from the address of the raw file"
	}
	return ""
}
