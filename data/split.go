package data

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
)

// HeldOut asks Open for the images that training does not read. These are the test images or, if there are none, the validation
// images. A set without both is divided, see [Options.HoldOut]. If it is not divided, training reads all of its images. Then Open
// returns all images, and their split is Train.
const HeldOut Split = "held out"

// A Division says how Open divided a set that has no test or validation images.
type Division struct {
	Share  float64 `json:"share"` // about this share of the images is held out
	Seed   uint64  `json:"seed"`
	N      int     `json:"n"`      // number of images held out
	SHA256 string  `json:"sha256"` // of their pixels
}

// A missingSplit says that a source has images, but none of the split.
type missingSplit struct{ error }

// openPart opens a split of a set, and divides the set if it lacks images for measuring.
func openPart(source string, o Options) (*Set, error) {
	want := o.Split
	if known, err := Lookup(source); err == nil {
		if want == HeldOut {
			o.Split = Test
			if known.Test == 0 {
				o.Split = Valid
			}
		}
		return openWhole(source, o)
	}
	if want == HeldOut {
		for _, o.Split = range []Split{Test, Valid} {
			set, err := openWhole(source, o)
			if err == nil && set.Split == o.Split {
				return set, nil
			}
			if err == nil { // no name tells a split, so these are all images
				return set.divide(want, o)
			}
			if !errors.As(err, &missingSplit{}) {
				return nil, err
			}
		}
		o.Split = Train
	}
	set, err := openWhole(source, o)
	if err == nil && want == "" && o.HoldOut > 0 && cmp.Or(set.Split, Train) == Train {
		want = Train
	}
	if err != nil || want != HeldOut && (want != Train || set.Split == Train && set.measured) {
		return set, err
	}
	return set.divide(want, o)
}

// divide returns the images of s for training, or with HeldOut the others. It closes s. The key of an image is a hash of
// its pixels and the seed. Images with small keys are held out, two of them at least. So copies of an image are on one
// side, and neither names nor other images move an image to the other side.
func (s *Set) divide(want Split, o Options) (*Set, error) {
	s.Split = Train
	if o.HoldOut == 0 {
		return s, nil
	}
	keys := make([]uint64, s.N)
	for i, key := range ordered(context.Background(), s.N, func(i int) uint64 {
		h := sha256.New()
		_ = binary.Write(h, binary.LittleEndian, o.Seed) // a hash does not fail
		h.Write(s.Image(i))
		return binary.LittleEndian.Uint64(h.Sum(nil))
	}) {
		keys[i] = key
	}
	limit := max(uint64(math.Ldexp(o.HoldOut, 64)), slices.Sorted(slices.Values(keys))[min(1, s.N-1)])
	var sides [2][]int
	for i, key := range keys {
		side := 0
		if key <= limit {
			side = 1
		}
		sides[side] = append(sides[side], i)
	}
	if len(sides[0]) == 0 {
		return nil, errors.Join(fmt.Errorf("data: %s: %d different images are too few to hold out some and train on the others; use more images", s.Name, s.N), s.Close())
	}
	sum := sha256.New()
	for _, i := range sides[1] {
		sum.Write(s.Image(i))
	}
	d := &Division{Share: o.HoldOut, Seed: o.Seed, N: len(sides[1]), SHA256: hex.EncodeToString(sum.Sum(nil))}
	side, split := sides[0], Train
	if want == HeldOut {
		side, split = sides[1], Test
	}
	part := s.Subset(side)
	part.Split, part.Division = split, d
	return part, s.Close()
}
