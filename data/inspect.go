package data

import (
	"fmt"
	"slices"
)

// Info describes the training images of a source, without reading all of them.
type Info struct {
	Shape           // for files of one image each: a side length and a number of channels that suit most of them
	Name     string // of the known set, or of the file or folder
	Known    bool   // it is a known set, and Open finds its splits by its name
	Pictures bool   // files of one image each, which may differ in size
	Glyphs   bool   // the known set has digits or letters, which should not be flipped
	Measured bool   // it has test or validation images; if not, Open can hold some images out
}

// enough is the number of files that Inspect decodes.
const enough = 32

// Inspect describes the training images at source: a known name or a path. If as is the name of a known set, Inspect
// also finds out whether the images at a path are this set, by their content or by the number of pictures.
func Inspect(source, as string) (info Info, err error) {
	if k, err := Lookup(source); err == nil {
		return k.info(), nil
	}
	path, _, err := locate(source, Options{})
	if err != nil {
		return info, fmt.Errorf("data: %w", err)
	}
	r := reader{}
	defer r.release()
	if k, err := Lookup(as); err == nil {
		r.known = &k
	}
	if err := r.scan(path, Train); err != nil {
		return info, fmt.Errorf("data: %w", err)
	}
	r.preferPrepared(0)
	if len(r.parts) == 0 && len(r.images) > 0 {
		info, err = r.inspectPictures(path)
	} else {
		info, err = r.inspectArrays(path)
	}
	if err != nil {
		return info, fmt.Errorf("data: %w", err)
	}
	info.Measured = info.Measured || r.measured
	return info, nil
}

func (k Known) info() Info {
	return Info{Shape{k.Train, k.H, k.W, k.C}, k.Name, true, k.photos, k.glyphs, true}
}

func (r *reader) inspectArrays(path string) (Info, error) {
	set, err := r.assemble(path)
	if err != nil {
		return Info{}, err
	}
	k, err := Lookup(set.Name)
	if err == nil && (set.record == nil && set.N == k.Train || set.record != nil && r.measured) {
		info := k.info()
		info.Shape = set.Shape
		return info, nil
	}
	return Info{Shape: set.Shape, Name: stem(path)}, nil
}

// inspectPictures describes files of one image each. If some are in colour, gray ones can be read as RGB.
func (r *reader) inspectPictures(path string) (Info, error) {
	from, err := r.chosen(path)
	if err != nil {
		return Info{}, err
	}
	if r.known != nil && r.known.photos && r.known.checkStream(from, Train) == nil {
		return r.known.info(), nil
	}
	sides, _, colour, err := from.look()
	if len(sides) == 0 {
		return Info{}, err
	}
	slices.Sort(sides)
	side, c := sides[len(sides)/2], 1
	if colour {
		c = 3
	}
	return Info{Shape: Shape{from.total, side, side, c}, Name: from.name, Pictures: true}, nil
}

// look decodes a few of the pictures. It returns the shorter side of each, whether some are gray and some in colour, and
// an error if one of them cannot be read.
func (s *stream) look() (sides []int, gray, colour bool, err error) {
	for some := range slices.Chunk(s.entries, chunkSize) {
		for i := 0; i < len(some) && len(sides) < enough; i += len(some)/4 + 1 {
			f, _, bad := some[i].load()
			if bad != nil {
				err = fmt.Errorf("%s: %w", some[i].path, bad)
				continue
			}
			sides, gray, colour = append(sides, min(f.h, f.w)), gray || f.c == 1, colour || f.c == 3
		}
	}
	return sides, gray, colour, err
}
