package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/liebm/liebm/train"
)

// progress shows a bar on a terminal, and a plain line every few seconds elsewhere.
type progress struct {
	title    string
	terminal bool
	out      io.Writer
	drawn    bool // a bar stands in the last line
	last     time.Time
	began    time.Time // of count
}

const (
	lineEvery = 10 * time.Second
	barEvery  = 200 * time.Millisecond
	lineWidth = 79 // of a terminal with 80 columns, since a full line would wrap
)

func newProgress(title string) *progress {
	return &progress{title: title, terminal: term.IsTerminal(int(os.Stderr.Fd())), out: os.Stderr, last: time.Now(), began: time.Now()}
}

// watch is a train.Watch.
func (p *progress) watch(now train.Progress) {
	var losses []string
	for _, m := range now.Metrics {
		if strings.HasPrefix(m.Name, "loss") && len(losses) < 2 {
			losses = append(losses, fmt.Sprintf("%s %.3g", m.Name, m.Value))
		}
	}
	p.show(now.Step, now.Steps, now.Rate, losses...)
}

// count is for work without losses that this process does from its beginning.
func (p *progress) count(done, total int) {
	p.show(done, total, float64(done)/time.Since(p.began).Seconds())
}

func (p *progress) show(done, total int, rate float64, losses ...string) {
	every := lineEvery
	if p.terminal {
		every = barEvery
	}
	if time.Since(p.last) < every && done != total {
		return
	}
	p.last = time.Now()
	words := []string{fmt.Sprintf("%d/%d", done, total)}
	if rate > 0 {
		left := time.Duration(float64(total-done) / rate * float64(time.Second)).Round(time.Second)
		perSecond := fmt.Sprintf("%.3g/s", rate)
		if rate >= 1000 {
			perSecond = fmt.Sprintf("%.0f/s", rate) // without an exponent
		}
		words = append(words, perSecond, fmt.Sprintf("%v left", left))
	}
	text := strings.Join(append(words, losses...), "  ")
	if !p.terminal {
		fmt.Fprintln(p.out, p.title, text)
		return
	}
	fmt.Fprint(p.out, "\r\x1b[K", bar(p.title, float64(done)/float64(max(total, 1)), text))
	if p.drawn = done != total; !p.drawn {
		fmt.Fprintln(p.out)
	}
}

// bar is a line of at most lineWidth columns. The bar gets the columns that the text leaves, from 4 to 20.
func bar(title string, part float64, text string) string {
	columns := min(max(lineWidth-utf8.RuneCountInString(title+text)-2, 4), 20)
	full := min(int(part*float64(columns)), columns)
	line := []rune(title + " " + strings.Repeat("█", full) + strings.Repeat("░", columns-full) + " " + text)
	return string(line[:min(len(line), lineWidth)])
}

// Write prints lines in place of the bar, which comes back with the next step.
func (p *progress) Write(text []byte) (int, error) {
	if p.drawn {
		fmt.Fprint(p.out, "\r\x1b[K")
		p.drawn = false
	}
	return cleaned{p.out}.Write(text)
}
