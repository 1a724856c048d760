package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/liebm/liebm/train"
)

// progress shows a bar on a terminal, and a plain line every few seconds elsewhere.
type progress struct {
	title    string
	terminal bool
	bar      *progressbar.ProgressBar
	last     time.Time
}

const lineEvery = 10 * time.Second

func newProgress(title string) *progress {
	return &progress{title: title, terminal: term.IsTerminal(int(os.Stderr.Fd())), last: time.Now()}
}

// watch is a train.Watch.
func (p *progress) watch(now train.Progress) {
	if now.Warning != "" {
		fmt.Fprintf(p, "warning: step %d: %s\n", now.Step, now.Warning)
	}
	var losses []string
	for _, m := range now.Metrics {
		if strings.HasPrefix(m.Name, "loss") || m.Name == "cosine" || m.Name == "move_rms" {
			losses = append(losses, fmt.Sprintf("%s %.3g", m.Name, m.Value))
		}
	}
	p.show(now.Step, now.Steps, now.Rate, strings.Join(losses, "  "))
}

// count is for work without losses.
func (p *progress) count(done, total int) { p.show(done, total, 0, "") }

func (p *progress) show(done, total int, rate float64, text string) {
	if p.terminal {
		p.draw(done, total, text)
		return
	}
	if time.Since(p.last) < lineEvery && done != total {
		return
	}
	p.last = time.Now()
	line := fmt.Sprintf("%s %d/%d", p.title, done, total)
	if rate > 0 {
		left := time.Duration(float64(total-done) / rate * float64(time.Second)).Round(time.Second)
		line += fmt.Sprintf("  %.2f/s  %v left", rate, left)
	}
	fmt.Fprintln(os.Stderr, strings.TrimSpace(line+"  "+text))
}

func (p *progress) draw(done, total int, text string) {
	if p.bar == nil {
		p.bar = progressbar.NewOptions(total, progressbar.OptionSetWriter(os.Stderr), progressbar.OptionShowIts(),
			progressbar.OptionShowCount(), progressbar.OptionSetPredictTime(true), progressbar.OptionThrottle(200*time.Millisecond),
			progressbar.OptionSetWidth(20), progressbar.OptionFullWidth(), progressbar.OptionOnCompletion(func() { fmt.Fprintln(os.Stderr) }))
	}
	if p.bar.GetMax() != total {
		p.bar.ChangeMax(total)
	}
	p.bar.Describe(strings.TrimSpace(p.title + "  " + text))
	_ = p.bar.Set(done)
	if done == total {
		p.bar = nil
	}
}

// Write prints lines beside the bar.
func (p *progress) Write(text []byte) (int, error) {
	if p.bar != nil {
		_ = p.bar.Clear()
	}
	return os.Stderr.Write(text)
}
