package data

import (
	"fmt"
	"strings"
)

// A row of CIFAR is 32×32 pixels as three planes, red, green, blue. In the binary files the label comes first. CIFAR-100
// has two, coarse and fine; the fine one is read.
const (
	cifarSide  = 32
	cifarPlane = cifarSide * cifarSide
	cifarRow   = 3 * cifarPlane
)

// A layout describes the labels at the start of each row of a binary file.
type layout struct {
	name   string
	label  int   // index of the label to keep
	limits []int // one past the largest value of each label byte
}

var layouts = []layout{
	{name: "cifar10", label: 0, limits: []int{10}},
	{name: "cifar100", label: 1, limits: []int{20, 100}},
}

func (l layout) stride() int { return len(l.limits) + cifarRow }

// check is an error for the first row of b with an impossible label.
func (l layout) check(b []byte) error {
	for at := 0; at < len(b); at += l.stride() {
		for i, limit := range l.limits {
			if int(b[at+i]) >= limit {
				return fmt.Errorf("row %d has label %d, %s has 0…%d; fetch it again", at/l.stride(), b[at+i], l.name, limit-1)
			}
		}
	}
	return nil
}

// isCIFARBinary reports whether b can be a binary batch. The format has no magic number, so either
// the name says so, or size and every label fit.
func isCIFARBinary(name string, b []byte) bool {
	if strings.HasSuffix(name, ".bin") && (strings.Contains(name, "_batch") || name == "train.bin" || name == "test.bin") {
		return true
	}
	if len(b) == 0 || isIDX(b) || isPickle(b) {
		return false
	}
	for _, l := range layouts {
		if len(b)%l.stride() == 0 && l.check(b) == nil {
			return true
		}
	}
	return false
}

func parseCIFARBinary(b []byte) (*part, error) {
	var wrong error
	for _, l := range layouts {
		if len(b) == 0 || len(b)%l.stride() != 0 {
			continue
		}
		if err := l.check(b); err != nil {
			wrong = err
			continue
		}
		n := len(b) / l.stride()
		p := newCIFAR(l.name, n)
		for i := range n {
			at := i * l.stride()
			p.labels[i] = int32(b[at+l.label])
			interleave(p.pixels[i*cifarRow:(i+1)*cifarRow], b[at+len(l.limits):at+l.stride()])
		}
		return p, nil
	}
	if wrong != nil {
		return nil, wrong
	}
	return nil, fmt.Errorf("%d bytes are not a whole number of CIFAR rows (%d bytes each, or %d in CIFAR-100): cut short; fetch it again",
		len(b), layouts[0].stride(), layouts[1].stride())
}

func newCIFAR(name string, n int) *part {
	return &part{kind: cifar, name: name, Shape: Shape{n, cifarSide, cifarSide, 3},
		pixels: make([]byte, n*cifarRow), labels: make([]int32, n)}
}

// interleave turns the three planes of an image into pixels.
func interleave[T []byte | string](pixels []byte, planes T) {
	red, green, blue := planes[:cifarPlane], planes[cifarPlane:2*cifarPlane], planes[2*cifarPlane:cifarRow]
	for i := range cifarPlane {
		pixels[3*i], pixels[3*i+1], pixels[3*i+2] = red[i], green[i], blue[i]
	}
}

func notCIFAR(b []byte) error {
	return fmt.Errorf("starts with % x, not as a Python pickle (80 02) does, and is no CIFAR binary; fetch it again", b[:min(4, len(b))])
}
