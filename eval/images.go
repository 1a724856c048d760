package eval

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/torch"
)

// Images are images of one size. They are read in order, a batch at a time, so that memory does not grow with their
// number. See [FromSet] and [Open].
type Images struct {
	Name string // path, or name of the data set
	Kind string // "set", "folder", "npz" or "run"
	N    int    // including the files of a folder that cannot be read

	// Of samples of a run, for their description.
	Seed          *uint64
	NFE           int
	WeightsSHA256 string

	// Group are the processes that share the batches of a measurement; nil: this process alone. Every process reads all
	// images, computes the features of a part of the batches, and gets those of all.
	Group *torch.Group

	// read calls do with all images, at most batch at a time, and adds to the description of them.
	read func(ctx context.Context, batch int, do func(shape data.Shape, pixels []byte) error, of *Input) error
}

// Input describes the images, or the statistics, that a result is about.
type Input struct {
	Name    string   `json:"name"`
	Kind    string   `json:"kind"`
	N       int      `json:"n"`
	Size    []int    `json:"size,omitempty"`  // height, width, channels
	SHA256  string   `json:"sha256"`          // of the pixels, NHWC, in order; of the file for statistics
	Files   []string `json:"files,omitempty"` // the file of each image, in order; only in records of commands that make an image from each image
	Skipped []string `json:"skipped,omitempty"`
	Notes   []string `json:"notes,omitempty"`

	// Of samples of a run.
	Seed          *uint64 `json:"seed,omitempty"`
	NFE           int     `json:"nfe,omitempty"`
	WeightsSHA256 string  `json:"weights_sha256,omitempty"`
}

// leaveOut adds the files that were left out, out of a total.
func (in *Input) leaveOut(skipped []string, of int) {
	const most = 10
	if in.Skipped = skipped; len(skipped) == 0 {
		return
	}
	lines := slices.Clone(skipped[:min(most, len(skipped))])
	if more := len(skipped) - most; more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", more))
	}
	in.Notes = append(in.Notes, fmt.Sprintf("%d of %d files could not be read and are left out:\n  %s", len(skipped), of, strings.Join(lines, "\n  ")))
}

// InputOf describes a whole set under a name.
func InputOf(name string, set *data.Set) Input {
	in := Input{Name: name, Kind: "set", N: set.N, Size: []int{set.H, set.W, set.C}, SHA256: set.SHA256()}
	in.leaveOut(set.Skipped, set.N+len(set.Skipped))
	return in
}

// FromSet is the images of a set, usable until the set is closed.
func FromSet(set *data.Set) *Images {
	return &Images{Name: set.Name, Kind: "set", N: set.N, read: func(ctx context.Context, size int, do func(data.Shape, []byte) error, of *Input) error {
		of.leaveOut(set.Skipped, set.N+len(set.Skipped))
		for _, batch := range set.Batches(size) {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := do(batch.Shape, batch.Pixels()); err != nil {
				return err
			}
		}
		return nil
	}}
}

// Each calls do with all images, at most batch at a time: n images of h×w×c bytes, which do must not keep. It describes
// the images it read.
func (s *Images) Each(ctx context.Context, batch int, do func(shape data.Shape, pixels []byte) error) (Input, error) {
	input := Input{Name: s.Name, Kind: s.Kind, Seed: s.Seed, NFE: s.NFE, WeightsSHA256: s.WeightsSHA256}
	sum := sha256.New()
	err := s.read(ctx, batch, func(shape data.Shape, pixels []byte) error {
		if input.Size == nil {
			input.Size = []int{shape.H, shape.W, shape.C}
		}
		input.N += shape.N
		sum.Write(pixels)
		return do(shape, pixels)
	}, &input)
	input.SHA256 = hex.EncodeToString(sum.Sum(nil))
	return input, err
}

// Set reads all images into memory.
func (s *Images) Set(ctx context.Context) (*data.Set, Input, error) {
	var shape data.Shape
	var pixels []byte
	input, err := s.Each(ctx, measureBatch, func(b data.Shape, p []byte) error {
		shape = b
		pixels = append(pixels, p...)
		return nil
	})
	if err != nil {
		return nil, input, err
	}
	shape.N = input.N
	set, err := data.New(shape, pixels, nil)
	if err != nil {
		return nil, input, fmt.Errorf("%s: %w", s.Name, err)
	}
	set.Name = s.Name
	return set, input, nil
}
