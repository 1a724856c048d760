package data

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"iter"
	"math"
	"slices"
	"sync"

	"github.com/liebm/liebm/torch"
)

// A Split is a part of a data set that its makers intended for one purpose.
type Split string

// Most sets have the first two. CelebA, CelebA-HQ and ImageNet 32 have validation images. SVHN has extra ones, which are
// easier.
const (
	Train Split = "train"
	Test  Split = "test"
	Valid Split = "valid"
	Extra Split = "extra"
)

// Shape is the shape of n images of h×w pixels with c channels, channels last.
type Shape struct{ N, H, W, C int }

// ImageBytes is h·w·c, the distance from one image to the next.
func (s Shape) ImageBytes() int { return s.H * s.W * s.C }

func (s Shape) String() string { return fmt.Sprintf("%d×%d×%d×%d", s.N, s.H, s.W, s.C) }

// A Set is a data set in memory or mapped from its file. It is read-only and safe for concurrent use until it is closed.
type Set struct {
	Shape
	Name    string   // "fmnist", or for an unknown set the name of its file or folder
	Split   Split    // "" if neither content nor name tells
	Labels  []int32  // one per image, or nil
	Classes []string // names of the labels, or nil
	Files   []string // files it was read from
	Skipped []string // images that were left out, and why: see Options.Skip
	Fit     string   // how images got their size: "pad", "resize", or "" if it is their own

	Division *Division // of a set that Open divided; else nil

	record *Provenance // of a prepared set
	pixels []byte      // n·h·w·c bytes, NHWC
	unmap  func() error
	sum    func() string
	origin func(i int) string // see Origin; nil: none is known

	measured bool // the source has images for measuring too: test or validation images
}

// New makes a set of pixels, NHWC, and labels, which may be nil. The set keeps both slices.
func New(shape Shape, pixels []byte, labels []int32) (*Set, error) {
	if shape.N < 1 || shape.H < 1 || shape.W < 1 || shape.C < 1 || len(pixels) != shape.N*shape.ImageBytes() {
		return nil, fmt.Errorf("data: %d bytes for images of %v, not n·h·w·c of at least one image", len(pixels), shape)
	}
	if labels != nil && len(labels) != shape.N {
		return nil, fmt.Errorf("data: %d labels for %d images: give one each, or none", len(labels), shape.N)
	}
	return newSet(shape, pixels, labels), nil
}

func newSet(shape Shape, pixels []byte, labels []int32) *Set {
	pixels = slices.Clip(pixels) // an index beyond the end of a Head panics
	return &Set{Shape: shape, Labels: labels, pixels: pixels, sum: sync.OnceValue(func() string {
		sum := sha256.Sum256(pixels)
		return hex.EncodeToString(sum[:])
	})}
}

// derive is a copy of s with other pixels.
func (s *Set) derive(shape Shape, pixels []byte) *Set {
	out, other := *s, newSet(shape, pixels, nil)
	out.Shape, out.pixels, out.sum, out.unmap = shape, other.pixels, other.sum, nil
	return &out
}

// Origin is the file from which image i was decoded. It is a path in the folder or archive that the set was read from or
// prepared from. For a prepared set of arrays it is the file of the arrays. For all other sets that were not made of image
// files it is "".
func (s *Set) Origin(i int) string {
	if s.origin == nil || i < 0 || i >= s.N {
		return ""
	}
	return s.origin(i)
}

// Pixels is all images, NHWC: a view. Do not write to it.
func (s *Set) Pixels() []byte { return s.pixels }

// Image is the bytes of image i: [h,w,c], a view like Pixels.
func (s *Set) Image(i int) []byte {
	size := s.ImageBytes()
	return s.pixels[i*size : (i+1)*size : (i+1)*size]
}

// Label is the class of image i, or -1 in a set without labels.
func (s *Set) Label(i int) int {
	if s.Labels == nil {
		return -1
	}
	return int(s.Labels[i])
}

// Moments returns the mean and the standard deviation of every channel's pixels in [0,1]. The deviation is at least one grey
// level, so that pixels can be divided by it.
func (s *Set) Moments() (mean, std []float64) {
	counts := make([][256]int, s.C)
	for i, v := range s.pixels {
		counts[i%s.C][v]++
	}
	n := float64(s.N * s.H * s.W)
	for _, count := range counts {
		var m, square float64
		for v, k := range count {
			m += float64(k) * float64(v) / 255 / n
		}
		for v, k := range count {
			d := float64(v)/255 - m
			square += float64(k) * d * d / n
		}
		mean, std = append(mean, m), append(std, max(math.Sqrt(square), 1.0/255))
	}
	return mean, std
}

// Concat is the images of sets of one size, one set after the other, without labels. It panics if the
// sizes differ.
func Concat(sets ...*Set) *Set {
	shape, pixels := sets[0].Shape, []byte(nil)
	shape.N = 0
	for _, s := range sets {
		if s.H != shape.H || s.W != shape.W || s.C != shape.C {
			panic(fmt.Sprintf("data: images of %v cannot follow images of %v", s.Shape, sets[0].Shape))
		}
		shape.N += s.N
		pixels = append(pixels, s.pixels...)
	}
	out := newSet(shape, pixels, nil)
	out.Name = sets[0].Name
	return out
}

// Gather copies images idx to dst: [len(idx),h,w,c]. It does not allocate. An index out of range or a short dst panics.
func (s *Set) Gather(dst []byte, idx []int) {
	size, dst := s.ImageBytes(), slices.Clip(dst)
	for j, i := range idx {
		copy(dst[j*size:(j+1)*size], s.pixels[i*size:(i+1)*size])
	}
}

// GatherLabels copies the labels of images idx to dst. The set must have labels.
func (s *Set) GatherLabels(dst []int32, idx []int) {
	for j, i := range idx {
		dst[j] = s.Labels[i]
	}
}

// Head is the first n images, or all if there are fewer: a view, usable until s is closed. If the set is sorted by class,
// like folders of classes, Head copies n random images instead, always the same ones.
func (s *Set) Head(n int) *Set {
	n = min(max(n, 0), s.N)
	if n < s.N && len(s.Labels) > 0 && s.Labels[0] != s.Labels[s.N-1] && slices.IsSorted(s.Labels) {
		return s.Subset(Permutation(0, 0, s.N)[:n])
	}
	return s.Slice(0, n)
}

// Slice is the images from start to end, without end: a view, usable until s is closed. Bounds outside of
// the set panic.
func (s *Set) Slice(start, end int) *Set {
	shape, size := s.Shape, s.ImageBytes()
	shape.N = end - start
	out := s.derive(shape, s.pixels[start*size:end*size])
	if s.Labels != nil {
		out.Labels = s.Labels[start:end:end]
	}
	if origin := s.origin; origin != nil {
		out.origin = func(i int) string { return origin(start + i) }
	}
	return out
}

// Batches yields the images in order, size at a time, as views usable until s is closed. The last batch
// may be smaller. With each batch comes the index of its first image. A size below 1 panics.
//
//	for start, batch := range set.Batches(100) {
//		x := batch.Floats() // images start … start+batch.N−1
//	}
func (s *Set) Batches(size int) iter.Seq2[int, *Set] {
	if size < 1 {
		panic(fmt.Sprintf("data: batches of %d images; use a size of at least 1", size))
	}
	return func(yield func(start int, batch *Set) bool) {
		for start := 0; start < s.N; start += size {
			if !yield(start, s.Slice(start, min(start+size, s.N))) {
				return
			}
		}
	}
}

// Floats returns all images as [n,c,h,w] float32 in [0,1]. It is for small sets and for [Set.Batches].
func (s *Set) Floats() torch.Tensor { return Floats(s.pixels, s.N, s.H, s.W, s.C) }

// Subset is a set with copies of images idx, in that order.
func (s *Set) Subset(idx []int) *Set {
	shape := s.Shape
	shape.N = len(idx)
	pixels := make([]byte, shape.N*s.ImageBytes())
	s.Gather(pixels, idx)
	out := s.derive(shape, pixels)
	if s.Labels != nil {
		out.Labels = make([]int32, len(idx))
		s.GatherLabels(out.Labels, idx)
	}
	if origin := s.origin; origin != nil {
		idx = slices.Clone(idx)
		out.origin = func(i int) string { return origin(idx[i]) }
	}
	return out
}

// SHA256 is the checksum of Pixels in hex, computed by the first call. It depends on padding and on Head, not on the
// format or compression of the files.
func (s *Set) SHA256() string { return s.sum() }

// Close unmaps the file of a mapped set. Views of its pixels, and sets of Head, must not be used afterwards. A second call
// does nothing.
func (s *Set) Close() error {
	unmap := s.unmap
	s.unmap, s.pixels, s.N = nil, nil, 0
	s.sum = func() string { panic("data: SHA256 of a closed set; ask before Close") }
	if unmap == nil {
		return nil
	}
	return unmap()
}

func (s *Set) String() string {
	name := s.Name
	if s.Split != "" {
		name += " " + string(s.Split)
	}
	return fmt.Sprintf("%s: %d images of %d×%d×%d", name, s.N, s.H, s.W, s.C)
}

// concat joins the images of several parts of one shape into one set.
func concat(parts []*part) *Set {
	first := parts[0].Set
	if len(parts) == 1 {
		return first
	}
	shape := first.Shape
	shape.N = 0
	for _, p := range parts {
		shape.N += p.N
	}
	pixels := make([]byte, 0, shape.N*shape.ImageBytes())
	var labels []int32
	var files []string
	for _, p := range parts {
		pixels, labels, files = append(pixels, p.pixels...), append(labels, p.Labels...), append(files, p.Files...)
		p.Close() // 30 MB each: let them go as they are copied
	}
	set := newSet(shape, pixels, labels)
	set.Name, set.Split, set.Files = first.Name, first.Split, files
	return set
}
