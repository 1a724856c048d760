package main

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/study"
)

func TestReproduceRefuses(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "name a table or figure"},
		{[]string{"tabel9"}, "did you mean table9?"},
		{[]string{"table9", "--scale", "huge"}, "--scale huge: use mini or paper"},
		{[]string{"table9", "--seeds", "1,x"}, "--seeds 1,x: give numbers"},
		{[]string{"table9", "--cells", "em,er"}, `no model is called "er"`},
		{[]string{"table9", "--weights", "w.pth"}, "--weights is for --scale paper"},
		{[]string{"table9", "--steps", "0"}, "--steps 0: use 1 to 100000000"},
		{[]string{"table9", "--minutes", "-1"}, "--minutes -1: use 1e-06 to 1000000000"},
		{[]string{"table9", "--outliers", "x"}, "--outliers are for the comparison near"},
		{[]string{"near", "--outliers", "x"}, "no outliers are called x"},
		{[]string{"table9", "--published"}, "the scale mini has no published settings"},
		{[]string{"table9", "--tflops", "0"}, "--tflops 0: use 1e-06 to 1000000000"},
		{[]string{"table1", "--scale", "paper", "--device", "cpu"}, "trains on a GPU"},
	} {
		_, err := run(t, append([]string{"reproduce", "--out", t.TempDir()}, c.args...)...)
		assert.ErrorContains(t, err, c.want)
	}
}

func TestReproducePrintsThePlan(t *testing.T) {
	args := []string{"reproduce", "table1", "table6", "--scale", "paper", "--dry-run", "--out", t.TempDir()}
	text, err := run(t, append(args, "--json")...)
	require.NoError(t, err)
	var models []study.PlannedModel
	require.NoError(t, json.Unmarshal([]byte(text), &models))
	assert.Len(t, models, 3, "both tables read EM and ERM, which share an encoder")
	text, err = run(t, append(args, "--seeds", "1,2", "--tflops", "120")...)
	require.NoError(t, err)
	assert.Contains(t, text, "GPU-hours are left")
	assert.Contains(t, text, "The speed is 120 TFLOP/s.")
	assert.Contains(t, text, "0 of 2")
}

func TestReproduceStopsInTimeAndSaysHowToGoOn(t *testing.T) {
	_, err := run(t, "reproduce", "fig6", "--cells", "none", "--minutes", "1e-5", "--out", t.TempDir())
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.ErrorContains(t, err, "1e-05 minutes are over: none, seed 1: ")
	assert.ErrorContains(t, err, "\n  finished work is kept; to go on: the same liebm reproduce command")
	assert.NotContains(t, err.Error(), "--resume", "one way to go on is enough")
}

func TestReproduceShowsAStudyThatTrainsNothing(t *testing.T) {
	out := t.TempDir()
	text, err := run(t, "reproduce", "table12", "--out", out)
	require.NoError(t, err)
	assert.Contains(t, text, "| MCMC steps | 15 | 15 |")
	assert.FileExists(t, out+"/mini/table12.md")
	assert.FileExists(t, out+"/mini/table12.json")
}
