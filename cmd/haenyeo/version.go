package main

import (
	"runtime"
	"runtime/debug"
)

type versionCmd struct{}

func (versionCmd) Help() string {
	return "--json adds the revision of the git clone in which the program was built, where go build recorded it: -buildvcs=false, perhaps in GOFLAGS, leaves it out.\n\n" +
		"Example:\n\n\thaenyeo version --json"
}

func (versionCmd) Run(a *app) error {
	v := struct {
		Version  string `json:"version"`
		Revision string `json:"revision,omitempty"`
		Go       string `json:"go"`
		OS       string `json:"os"`
		Arch     string `json:"arch"`
	}{"(devel)", "", runtime.Version(), runtime.GOOS, runtime.GOARCH}
	if info, ok := debug.ReadBuildInfo(); ok {
		if info.Main.Version != "" {
			v.Version = info.Main.Version
		}
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				v.Revision = s.Value
			}
		}
	}
	if a.JSON {
		return a.emit(v)
	}
	return a.print("haenyeo %s, %s, %s/%s", v.Version, v.Go, v.OS, v.Arch)
}
