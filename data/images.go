package data

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/liebm/liebm/internal/npz"
)

// An entry is one image of a source. Only files of one image each have a name, a split and a class.
type entry struct {
	path  string // of the file that it was read from
	name  string // relative to the folder or zip, with slashes
	split Split  // that the first of its folders with the name of a split tells, or ""
	above string // the folders above that one
	class string // its other folders
	label int32  // -1: none

	// load decodes the image. raw is the bytes for the checksum of the source. Several goroutines may call it.
	load func() (f frame, raw []byte, err error)
}

// isImageName reports whether a file is one image, by its name.
func isImageName(name string) bool {
	return isPicture(name) || strings.ToLower(path.Ext(name)) == ".npy"
}

// maxImage bounds the bytes of one image file.
const maxImage = 1 << 28

// addFile lists a file of one image that is in the folder of the source.
func (r *reader) addFile(full string, info fs.FileInfo) {
	name, err := filepath.Rel(r.root, full)
	if err != nil {
		name = full
	}
	r.addImage(full, filepath.ToSlash(name), uint64(info.Size()), func() ([]byte, error) { return os.ReadFile(full) })
}

// addImage lists a file of one image. The file is read later.
func (r *reader) addImage(full, name string, size uint64, read func() ([]byte, error)) {
	e := entry{path: full, name: name, label: -1, load: func() (frame, []byte, error) {
		if size > maxImage {
			return frame{}, nil, fmt.Errorf("%d bytes are too many for an image", size)
		}
		b, err := read()
		if err != nil {
			return frame{}, nil, readError(err)
		}
		f, err := decodeImage(b)
		return f, b, err
	}}
	var class []string
	for _, folder := range strings.Split(path.Dir(name), "/") {
		if s := folderSplit(folder); s != "" && e.split == "" {
			e.split, e.above = s, strings.Join(class, "/")
		} else {
			class = append(class, folder)
		}
	}
	e.class = strings.Join(class, "/")
	r.images = append(r.images, e)
}

// decodeImage reads a picture or a .npy of one image. A transparent picture is an error: the data set does not say on
// which background to put it.
func decodeImage(b []byte) (frame, error) {
	if npz.IsNPY(b) {
		return decodeNPYImage(b)
	}
	p, err := DecodePicture(b)
	if err == nil && p.Alpha {
		err = errors.New("transparent: put it on a background and save it as RGB")
	}
	return frame{p.Pix, p.H, p.W, p.C}, err
}

// measures reports whether an image is for measuring, by its split.
func (e entry) measures() bool { return e.split == Test || e.split == Valid }

func sides(h, w int) bool { return h >= 1 && w >= 1 && h <= maxSide && w <= maxSide }

// splitOrClass is an error if a folder such as train may be a class: it is the only split, and a folder beside it has images, too.
func splitOrClass(entries []entry) error {
	splits := map[string]Split{} // by the folder above them
	for _, e := range entries {
		if other, ok := splits[e.above]; ok && e.split != "" && e.split != other {
			return nil // two splits
		}
		if e.split != "" {
			splits[e.above] = e.split
		}
	}
	for _, e := range entries {
		folder := path.Dir(e.name)
		for above, split := range splits {
			if e.split == "" && folder != cmp.Or(above, ".") && (above == "" || strings.HasPrefix(folder, above+"/")) {
				return fmt.Errorf("the folder of the %s images may be a split or a class, since %s beside it has images, too; give the path of one folder, or rename one", split, folder)
			}
		}
	}
	return nil
}

// chooseImages returns the entries of the split, which the names of their folders tell. Labels are the folders of classes,
// as in torchvision's ImageFolder, or come from EDM's dataset.json. Splits that share a class have the same classes: a class keeps its
// label in a split that lacks another class. The result is in the memory of entries.
func chooseImages(entries []entry, split Split, datasetJSON []byte) (kept []entry, classes []string, found Split, err error) {
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	if err := splitOrClass(entries); err != nil {
		return nil, nil, "", err
	}
	if slices.ContainsFunc(entries, func(e entry) bool { return e.split != "" }) {
		found = split
	}
	names, others := map[string]bool{}, map[string]bool{} // folders of the split, and of the other splits
	for _, e := range entries {
		if found == "" || e.split == found {
			names[e.class] = true
		} else if e.split != "" && e.class != "" {
			others[e.class] = true
		}
	}
	kept = slices.DeleteFunc(entries, func(e entry) bool { return found != "" && e.split != found })
	if len(kept) == 0 && found != "" {
		return nil, nil, "", missingSplit{fmt.Errorf("no %s images there", split)}
	}
	for name := range others {
		if names[name] { // the splits have a class in common, so their folders are classes
			maps.Copy(names, others)
			break
		}
	}
	if datasetJSON != nil {
		return kept, nil, found, jsonLabels(kept, datasetJSON)
	}
	if len(names) < 2 {
		return kept, nil, found, nil
	}
	classes = slices.Sorted(maps.Keys(names))
	for i, e := range kept {
		at, _ := slices.BinarySearch(classes, e.class)
		kept[i].label = int32(at)
	}
	for i := range classes {
		classes[i] = path.Base(classes[i])
	}
	return kept, classes, found, nil
}

// folderSplit is the split that the name of a folder tells, as train and val2017 do, or "".
func folderSplit(name string) Split {
	switch strings.TrimRight(strings.ToLower(name), "0123456789-_") {
	case "train", "training":
		return Train
	case "val", "valid", "validation":
		return Valid
	case "test", "testing":
		return Test
	}
	return ""
}

// jsonLabels reads the dataset.json of EDM's dataset_tool.py: {"labels": [["00000/img00000000.png", 6], …]} or null.
func jsonLabels(entries []entry, b []byte) error {
	var file struct {
		Labels [][2]json.RawMessage `json:"labels"`
	}
	if err := json.Unmarshal(b, &file); err != nil {
		return fmt.Errorf("dataset.json: %w", err)
	}
	labels := map[string]int32{}
	for _, pair := range file.Labels {
		var name string
		var label int32
		if err := cmp.Or(json.Unmarshal(pair[0], &name), json.Unmarshal(pair[1], &label)); err != nil {
			return fmt.Errorf("dataset.json: %w; it must have pairs of name and class", err)
		}
		if label < 0 {
			return fmt.Errorf("dataset.json: class %d of %s is negative", label, name)
		}
		labels[name] = label
	}
	for i := range entries {
		label, ok := labels[entries[i].name]
		if !ok && len(labels) > 0 {
			return fmt.Errorf("dataset.json has no label for %s", entries[i].name)
		}
		if ok {
			entries[i].label = label
		}
	}
	return nil
}
