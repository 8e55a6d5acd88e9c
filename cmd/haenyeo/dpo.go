package main

import (
	"github.com/haenyeo/haenyeo"
	"github.com/haenyeo/haenyeo/train"
	"github.com/haenyeo/haenyeo/tune"
)

type dpoCmd struct {
	Model string `arg:"" placeholder:"DIR" help:"Directory of the model to train further; it is also the reference."`
	tuning
	Beta float64 `default:"0.1" placeholder:"X" help:"How dear it is to leave the reference: large stays near it. Default: ${default}."`
}

func (dpoCmd) Help() string {
	return "Direct preference optimisation: the model learns to prefer one answer to another, of records with \"prompt\", \"chosen\" and \"rejected\", " +
		"each a text, a message or a list of messages (without a prompt, two conversations that differ in the last answer), or of OpenAI's " +
		"\"input\", \"preferred_output\" and \"non_preferred_output\". --batch counts pairs, and the rate is a tenth of that of sft if none is given.\n\n" +
		"Example:\n\n\thaenyeo dpo my-chat --data preferences.jsonl --lora 16 --out my-better-chat"
}

func (c *dpoCmd) Run(a *app) error {
	return c.train(a, c.Model, func(r tune.Request) (train.Done, error) {
		return haenyeo.DPO(a.ctx, r, c.Beta)
	})
}
