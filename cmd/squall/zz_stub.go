package main

import (
	"io"

	"github.com/squall-chaos/squall/experiments"
	"github.com/squall-chaos/squall/reports"
)

func planText(w io.Writer, p *experiments.Plan, o reports.TextOptions) error { return nil }
