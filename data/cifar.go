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
	if isIDX(b) || isPickle(b) {
		return false
	}
	_, err := layoutOf(b)
	return err == nil
}

// layoutOf is the layout that the size and the labels of b fit.
func layoutOf(b []byte) (layout, error) {
	err := fmt.Errorf("%d bytes are not a whole number of CIFAR rows (%d bytes each, or %d in CIFAR-100): cut short; fetch it again",
		len(b), layouts[0].stride(), layouts[1].stride())
	for _, l := range layouts {
		if len(b) > 0 && len(b)%l.stride() == 0 {
			if err = l.check(b); err == nil {
				return l, nil
			}
		}
	}
	return layout{}, err
}

func parseCIFARBinary(b []byte) (*part, error) {
	l, err := layoutOf(b)
	if err != nil {
		return nil, err
	}
	p := newCIFAR(l.name, len(b)/l.stride())
	for i := range p.N {
		row := b[i*l.stride() : (i+1)*l.stride()]
		p.Labels[i] = int32(row[l.label])
		interleave(p.pixels[i*cifarRow:], row[len(l.limits):], 3)
	}
	return p, nil
}

func newCIFAR(name string, n int) *part {
	set := newSet(Shape{n, cifarSide, cifarSide, 3}, make([]byte, n*cifarRow), make([]int32, n))
	set.Name = name
	return &part{Set: set, kind: cifar}
}

// labelled is a part of rows without labels, and of the labels beside them: first … first+classes−1 there, from 0 here.
func labelled(name string, rows []byte, labels []int, first, classes int) (*part, error) {
	if len(labels) < 1 || len(rows) != len(labels)*cifarRow {
		return nil, fmt.Errorf("%d labels for %d images, not one each; fetch it again", len(labels), len(rows)/cifarRow)
	}
	p := newCIFAR(name, len(labels))
	for i, l := range labels {
		if l < first || l >= first+classes {
			return nil, fmt.Errorf("label %d is %d: %s has %d…%d", i, l, name, first, first+classes-1)
		}
		p.Labels[i] = int32(l - first)
		interleave(p.pixels[i*cifarRow:], rows[i*cifarRow:(i+1)*cifarRow], 3)
	}
	return p, nil
}

// interleave writes c planes as pixels of c channels.
func interleave(pixels, planes []byte, c int) {
	size := len(planes) / c
	for i := range size {
		for k := range c {
			pixels[i*c+k] = planes[k*size+i]
		}
	}
}
