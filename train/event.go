package train

// This file holds the events of a run: what `create --json` and `pretrain --json` print, one JSON
// object a line, and what log.jsonl keeps. The names are fixed: other people's tools read them.

import (
	"encoding/json"
	"fmt"
)

// Event is one of Plan, Step, Eval, Sample, Checkpoint and Done.
type Event interface {
	Name() string
	at() int // step after which it happened; 0 before the first
}

// Plan says what a run is going to do. Fields that only a planner knows are empty when the
// training stage runs alone.
type Plan struct {
	Preset    string  `json:"preset,omitempty"`
	Params    int64   `json:"params"`
	Active    int64   `json:"active"` // parameters that one token meets, without the embedding table
	TokS      float64 `json:"tok_s,omitempty"`
	Tokens    int64   `json:"tokens"` // to be trained on, repetitions counted
	PeakRSSMB int64   `json:"peak_rss_mb,omitempty"`
	Seconds   float64 `json:"seconds,omitempty"`
	Steps     int     `json:"steps"`
	Batch     int     `json:"batch"` // rows
	Seq       int     `json:"seq"`   // tokens a row
	Epochs    float64 `json:"epochs,omitempty"`
	Mixture   string  `json:"mixture,omitempty"` // of languages and sources, in words; "": as the data has them
	Waste     float64 `json:"waste,omitempty"`   // share of the positions of rows that predict nothing; known when the text is packed
	Quality   string  `json:"quality,omitempty"` // what to expect, in words
	Data      string  `json:"data,omitempty"`    // Source.Fingerprint, set by Run
	Options   Options `json:"options"`
}

// Step is one optimiser step.
type Step struct {
	Step            int     `json:"step"`   // counted from 1
	Tokens          int64   `json:"tokens"` // trained on so far
	Loss            float64 `json:"loss"`   // cross-entropy of the next token, nats, before the update; or what Job.Objective says
	LR              float64 `json:"lr"`
	GradNorm        float64 `json:"grad_norm"` // before clipping
	TokS            float64 `json:"tok_s"`     // of this step alone
	LoadMaxOverMean float64 `json:"load_max_over_mean"`
	Balance         float64 `json:"balance,omitempty"` // sequence-wise balance loss, without its weight
	MTP             float64 `json:"mtp,omitempty"`     // loss of the token after next, without its weight

	Stats map[string]float64 `json:"stats,omitempty"` // of Job.Stats
}

// Eval is a measurement on the validation text.
type Eval struct {
	Step       int                `json:"step"`
	ValBPB     float64            `json:"val_bpb"` // bits per byte
	ValLoss    float64            `json:"val_loss"`
	ByLang     map[string]float64 `json:"by_lang,omitempty"`     // bits per byte
	ExpertLoad [][]float64        `json:"expert_load,omitempty"` // [MoE layer][expert] share over the mean share since the last Eval
}

// Sample is text that the model wrote.
type Sample struct {
	Step   int    `json:"step"`
	Prompt string `json:"prompt"`
	Text   string `json:"text"` // without the prompt
	Lang   string `json:"lang,omitempty"`
}

// Checkpoint says that the run can continue from here.
type Checkpoint struct {
	Step    int     `json:"step"`
	Path    string  `json:"path"`
	Bytes   int64   `json:"bytes"`
	Seconds float64 `json:"seconds"` // that writing it took
}

// Done is the end of a complete run.
type Done struct {
	Step    int     `json:"step"`
	Tokens  int64   `json:"tokens"`
	Loss    float64 `json:"loss"` // mean of the last steps
	ValBPB  float64 `json:"val_bpb,omitempty"`
	Seconds float64 `json:"seconds"` // of training, all processes of the run together
	Retries int     `json:"retries,omitempty"`
	Out     string  `json:"out,omitempty"`
}

// Name is "plan", the "event" of its line.
func (Plan) Name() string { return "plan" }

// Name is "step", the "event" of its line.
func (Step) Name() string { return "step" }

// Name is "eval", the "event" of its line.
func (Eval) Name() string { return "eval" }

// Name is "sample", the "event" of its line.
func (Sample) Name() string { return "sample" }

// Name is "checkpoint", the "event" of its line.
func (Checkpoint) Name() string { return "checkpoint" }

// Name is "done", the "event" of its line.
func (Done) Name() string { return "done" }

func (Plan) at() int         { return 0 }
func (e Step) at() int       { return e.Step }
func (e Eval) at() int       { return e.Step }
func (e Sample) at() int     { return e.Step }
func (e Checkpoint) at() int { return e.Step }
func (e Done) at() int       { return e.Step }

// Line is the event as one line of JSON, "event" first, newline last.
func Line(e Event) ([]byte, error) {
	body, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("train: event %q: %w", e.Name(), err)
	}
	line := fmt.Appendf(nil, `{"event":%q,`, e.Name())
	return append(append(line, body[1:]...), '\n'), nil
}
