// Package atomicfile writes files that appear whole or not at all.
//
// Bytes flow in through Write; Commit makes them durable and visible under
// the final name in one step. Whatever happens before (an error, a full disk,
// Abort, a crash, a power cut), the final name keeps what it had: nothing, or
// the previous file.
//
//	f, err := atomicfile.Create(path)
//	if err != nil {
//		return err
//	}
//	defer f.Abort() // does nothing after Commit
//	... f.Write ...
//	return f.Commit()
//
// # Caveats
//
// A process that is killed leaves its temporary file behind, named
// .NAME.XXXXXXXX.partial beside the target; RemovePartial deletes such files.
// A target that is a symbolic link is replaced, not followed.
package atomicfile
