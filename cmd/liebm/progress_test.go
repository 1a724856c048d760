package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"

	"github.com/liebm/liebm/train"
)

func TestTheBarFitsEightyColumns(t *testing.T) {
	var screen bytes.Buffer
	p := &progress{title: "training", terminal: true, out: &screen}
	at := func(step int, rate float64) {
		p.last = time.Time{}
		p.watch(train.Progress{Step: step, Steps: 250000, Rate: rate, Metrics: []train.Metric{
			{Name: "loss_g", Value: 12.3456}, {Name: "loss_e", Value: -0.0123456}, {Name: "cosine", Value: 0.5}, {Name: "loss_q", Value: 1}}})
	}
	at(100001, 8.25) // the first step after a resume: the rate is that of this process
	at(249999, 0.0123)
	_, err := p.Write([]byte("saved\n"))
	assert.NoError(t, err)
	at(250000, 123)
	lines := strings.Split(screen.String(), "\r\x1b[K")
	assert.Equal(t, []string{"",
		"training ██░░░░ 100001/250000  8.25/s  5h3m2s left  loss_g 12.3  loss_e -0.0123",
		"training ████░ 249999/250000  0.0123/s  1m21s left  loss_g 12.3  loss_e -0.0123",
		"saved\n",
		"training ███████████ 250000/250000  123/s  0s left  loss_g 12.3  loss_e -0.0123\n",
	}, lines)
	for _, line := range lines {
		assert.Less(t, utf8.RuneCountInString(strings.TrimSuffix(line, "\n")), 80, line)
	}
	assert.Less(t, utf8.RuneCountInString(bar(strings.Repeat("a long title ", 9), 0.5, "1/2")), 80)
}
