package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/haenyeo/haenyeo/hub"
)

type pullCmd struct {
	Name        string   `arg:"" help:"org/name, org/name@revision, org/name:Q4_K_M for one quantisation of a GGUF, or oci://host/name:tag, ollama.com/name:tag."`
	Include     []string `placeholder:"PATTERN" help:"Fetch the files that fit, instead of what the model needs."`
	Exclude     []string `placeholder:"PATTERN" help:"Leave out the files that fit."`
	Revision    string   `placeholder:"REV" help:"Branch, tag or commit; as @REV behind the name."`
	Dir         string   `placeholder:"DIR" help:"Put plain files there instead of in the cache."`
	Base        string   `placeholder:"URL" help:"Address of the server; default HF_ENDPOINT, else https://huggingface.co."`
	Connections int      `placeholder:"N" default:"8" help:"Connections at a time (${default})."`
}

func (pullCmd) Help() string {
	return "The model goes to the cache that huggingface_hub uses (HF_HUB_CACHE, HF_HOME), where every command finds it by its name. " +
		"Files are checked; a pull that was interrupted goes on where it stopped. HF_TOKEN opens private models.\n\n" +
		"Example:\n\n\thaenyeo pull deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B"
}

func (c *pullCmd) Run(a *app) error {
	image, isImage, err := hub.ParseImage(c.Name)
	var name hub.Name
	if !isImage {
		name, err = hub.ParseName(c.Name)
	}
	if err != nil {
		return usageError{err}
	}
	switch {
	case isImage && (len(c.Include) > 0 || len(c.Exclude) > 0 || c.Revision != "" || c.Dir != "" || c.Base != ""):
		return misuse("%q is an image of a registry: only --connections goes with it", c.Name)
	case c.Revision != "" && name.Revision != "" && c.Revision != name.Revision:
		return misuse("%q and --revision %s name two revisions: give one", c.Name, c.Revision)
	case c.Connections < 1 || c.Connections > 64:
		return misuse("--connections %d: give 1 to 64", c.Connections)
	case c.Revision != "":
		name.Revision = c.Revision
	}
	client, err := hub.FromEnv(c.Base)
	if err != nil {
		return usageError{err}
	}
	client.Connections, client.Log = c.Connections, a.log
	var meter rate
	var failed error
	begin, fetched := time.Now(), int64(0)
	o := hub.Options{
		Include: c.Include, Exclude: c.Exclude, Dir: c.Dir,
		Progress: func(p hub.Progress) {
			fetched = p.Fetched
			a.bar.update(float64(p.Done)/float64(max(1, p.Total)), meter.text(p, time.Now()))
		},
		Done: func(f hub.File) {
			if a.JSON {
				failed = errors.Join(failed, a.emit(pulled{f.Name, f.Size, f.SHA256}))
			}
		},
	}
	var snap hub.Snapshot
	if isImage {
		snap, err = client.PullImage(a.ctx, image, o)
	} else {
		snap, err = client.Pull(a.ctx, name, o)
	}
	if err != nil && a.ctx.Err() != nil {
		a.say("what has come is kept: the same command goes on from there")
	}
	if err = errors.Join(err, failed); err != nil || a.JSON {
		return err
	}
	total, cached := int64(0), 0
	for _, f := range snap.Files {
		total += f.Size
		if f.Cached {
			cached++
		}
	}
	if err := a.print("%s", snap.Path); err != nil {
		return err
	}
	text := fmt.Sprintf("%s: %s in %s", c.Name, size(total), plural(len(snap.Files), "file"))
	if fetched > 0 {
		text += fmt.Sprintf(", %s fetched in %s", size(fetched), duration(time.Since(begin)))
	}
	if cached > 0 {
		text += fmt.Sprintf(", %d here before", cached)
	}
	a.say("%s", text)
	return nil
}

// pulled is what pull prints of a file.
type pulled struct {
	File   string `json:"file"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

const (
	rateWindow = 20                     // marks
	rateEvery  = 500 * time.Millisecond // between them
)

// rate measures the speed of the last ten seconds.
type rate struct {
	marks []rateMark
}

type rateMark struct {
	at    time.Time
	bytes int64
}

// text describes how far a pull is, and how long the rest takes.
func (r *rate) text(p hub.Progress, now time.Time) string {
	if n := len(r.marks); n == 0 || now.Sub(r.marks[n-1].at) >= rateEvery {
		r.marks = append(r.marks, rateMark{now, p.Fetched})
		r.marks = r.marks[max(0, len(r.marks)-rateWindow):]
	}
	parts := []string{size(p.Done) + " of " + size(p.Total)}
	first := r.marks[0]
	if took := now.Sub(first.at); took >= rateEvery && p.Fetched > first.bytes {
		perSecond := float64(p.Fetched-first.bytes) / took.Seconds()
		parts = append(parts, size(int64(perSecond))+"/s")
		if left := p.Total - p.Done; left > 0 {
			if seconds := float64(left) / perSecond; seconds < 1e6 { // else nobody waits for it
				parts = append(parts, duration(time.Duration(seconds*float64(time.Second)))+" left")
			}
		}
	}
	return strings.Join(parts, ", ") + "  " + p.File
}
