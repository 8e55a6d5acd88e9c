package main

import "github.com/haenyeo/haenyeo/create"

type planCmd struct{ making }

func (planCmd) Help() string {
	return "Measures this machine and says what create would do with the same flags; spends seconds and writes nothing.\n\n" +
		"Example:\n\n\thaenyeo plan --data books/ --budget 1h"
}

func (c *planCmd) Run(a *app) error {
	r, err := c.request(a, "")
	if err != nil {
		return err
	}
	p, err := create.Plan(a.ctx, r)
	if err != nil {
		return err
	}
	if err := a.ctx.Err(); err != nil {
		return err
	}
	if a.JSON {
		return a.emit(p)
	}
	return a.print("%s", describePlan(p))
}
