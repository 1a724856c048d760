package torch

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"os"
	"strings"

	"github.com/nlpodyssey/gopickle/types"

	"github.com/liebm/liebm/internal/inflate"
)

// ReadStateDict reads the tensors in a file of torch.save, in the zip format or the older one. The file may
// have a state dict or dicts in dicts: the tensor in {"model": {"fc.weight": …}} gets the name
// "model.fc.weight". Items of a list are named by their index, and a single tensor has the name "". The
// tensors are on the CPU, in the order of the file. They are kept, and the caller must close them. Tensors
// that shared memory share it again, as with torch.load.
//
// Nothing in the file is executed. Classes other than those of tensors and dicts are errors that name the
// class. Errors name the file.
func ReadStateDict(path string) ([]Entry, error) {
	entries, _, err := ReadCheckpoint(path)
	return entries, err
}

// ReadCheckpoint is ReadStateDict and also returns the file's numbers and strings by name: "epoch" → 3.
// They are int, float64, bool or string.
func ReadCheckpoint(path string) ([]Entry, map[string]any, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	return ParseCheckpoint(path, data)
}

// ParseCheckpoint is ReadCheckpoint of a file in memory. Errors call it name.
func ParseCheckpoint(name string, data []byte) ([]Entry, map[string]any, error) {
	entries, scalars, err := parseCheckpoint(data)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", name, err)
	}
	return entries, scalars, nil
}

func parseCheckpoint(data []byte) ([]Entry, map[string]any, error) {
	p := pth{size: len(data), storages: map[string]*pthStorage{}}
	var value any
	var err error
	switch {
	case bytes.HasPrefix(data, []byte("PK")):
		value, err = p.zip(data)
	case len(data) > 2 && data[0] == 0x80:
		value, err = p.legacy(data)
	case len(data) > 262 && string(data[257:262]) == "ustar":
		err = errors.New("a tar, as PyTorch before 0.2 saved: load it there and save it again")
	default:
		err = fmt.Errorf("no file of torch.save: it starts with % x", data[:min(4, len(data))])
	}
	if err != nil {
		return nil, nil, err
	}
	flat := flattening{left: 64*len(data) + 1<<16, names: map[string]bool{}, scalars: map[string]any{}}
	if err := flat.visit("", value, 0); err != nil {
		return nil, nil, err
	}
	entries, err := p.build(flat.tensors)
	if err != nil {
		return nil, nil, err
	}
	return entries, flat.scalars, nil
}

// pth is a file of torch.save that is being read.
type pth struct {
	size     int // of the file
	storages map[string]*pthStorage
}

// pthStorage is the memory of one or several tensors.
type pthStorage struct {
	dtype DType
	numel int
	data  []byte // a view of the file
}

// zip reads the format of PyTorch 1.6 and later: top/data.pkl, and each storage in top/data/<key>.
func (p *pth) zip(file []byte) (any, error) {
	archive, err := zip.NewReader(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		return nil, fmt.Errorf("cut short or damaged: %w; fetch it again", err)
	}
	records, top := map[string]*zip.File{}, ""
	for _, f := range archive.File {
		if records[f.Name] != nil {
			return nil, fmt.Errorf("damaged: two records are called %.80q; fetch it again", f.Name)
		}
		records[f.Name] = f
		if folder, ok := strings.CutSuffix(f.Name, "data.pkl"); ok && strings.Count(folder, "/") <= 1 {
			top = folder
		}
	}
	if records[top+"data.pkl"] == nil {
		return nil, errors.New("a zip without the data.pkl of torch.save")
	}
	if records[top+"constants.pkl"] != nil {
		return nil, errors.New("a TorchScript archive, which is a program: save model.state_dict() instead")
	}
	program, err := record(file, records[top+"data.pkl"])
	if err != nil {
		return nil, err
	}
	value, _, err := p.rules().Load(program)
	if err != nil {
		return nil, err
	}
	bigEndian := false
	if f := records[top+"byteorder"]; f != nil {
		order, err := record(file, f)
		if err != nil {
			return nil, err
		}
		bigEndian = string(order) == "big"
	}
	read := 0 // records may overlap, and each becomes a tensor of its own
	for key, s := range p.storages {
		f := records[top+"data/"+key]
		if f == nil {
			return nil, fmt.Errorf("damaged: its storage %.40q is missing; fetch it again", key)
		}
		if s.data, err = record(file, f); err != nil {
			return nil, err
		}
		if want := s.numel * s.dtype.Size(); len(s.data) != want {
			return nil, fmt.Errorf("damaged: its storage %.40q has %d bytes, %d %s need %d; fetch it again", key, len(s.data), s.numel, s.dtype, want)
		}
		if read += len(s.data); read > len(file) {
			return nil, errors.New("damaged: its records overlap; fetch it again")
		}
		if bigEndian {
			s.data = swapped(s.data, s.dtype.Size())
		}
	}
	return value, nil
}

// record returns the contents of a record as a view of the file. torch.save compresses nothing.
func record(file []byte, f *zip.File) ([]byte, error) {
	if f.Method != zip.Store {
		return nil, fmt.Errorf("its record %.80q is compressed, as torch.save never leaves it: unpack it and zip -0 it again", f.Name)
	}
	return inflate.Stored(file, f)
}

// legacyMagic is the first object in a file of torch.save before 1.6.
const legacyMagic = "1950a86a20f9469cfc6c"

// legacy reads the format of PyTorch before 1.6. The file has five pickles: a magic number, a version, a
// description of the system, the object, and the keys of its storages. The storages follow, each as a
// count and little-endian elements.
func (p *pth) legacy(file []byte) (any, error) {
	var values [5]any
	rest := file
	for i := range values {
		value, n, err := p.rules().Load(rest)
		if err != nil {
			return nil, err
		}
		values[i], rest = value, rest[n:]
		magic, _ := values[0].(*big.Int)
		if magic == nil || magic.Text(16) != legacyMagic {
			return nil, errors.New("a pickle, but none of torch.save; save it with torch.save(model.state_dict(), path)")
		}
		if i == 1 && value != 1001 {
			return nil, fmt.Errorf("damaged: its version of torch.save is %.20s, not 1001; fetch it again", fmt.Sprint(value))
		}
	}
	keys, ok := values[4].(*types.List)
	if !ok {
		return nil, errors.New("damaged: it does not list its storages; fetch it again")
	}
	for _, k := range *keys {
		key, _ := k.(string)
		s := p.storages[key]
		if s == nil || s.data != nil {
			return nil, fmt.Errorf("damaged: the storage %.40q is listed twice, or no tensor uses it; fetch it again", key)
		}
		want := s.numel * s.dtype.Size()
		if len(rest) < 8+want || binary.LittleEndian.Uint64(rest) != uint64(s.numel) {
			return nil, fmt.Errorf("damaged or cut short at its storage %.40q of %d %s; fetch it again", key, s.numel, s.dtype)
		}
		s.data, rest = rest[8:8+want], rest[8+want:]
	}
	for key, s := range p.storages {
		if s.data == nil {
			return nil, fmt.Errorf("damaged: its storage %.40q is missing; fetch it again", key)
		}
	}
	if len(rest) > 0 {
		return nil, fmt.Errorf("damaged: %d bytes follow its last storage; fetch it again", len(rest))
	}
	return values[3], nil
}

// build makes the tensors, as views of one tensor for each storage.
func (p *pth) build(tensors []namedPth) (entries []Entry, err error) {
	err = Do(func() error {
		whole := map[*pthStorage]Tensor{}
		for _, t := range tensors {
			if err := t.check(p.size); err != nil {
				return fmt.Errorf("tensor %.120q: %w", t.name, err)
			}
			s := t.storage
			if !whole[s].Defined() {
				whole[s] = FromBytes(s.data, s.dtype, s.numel)
			}
			view := call1("aten::as_strided", whole[s], t.shape, t.stride, t.offset)
			entries = append(entries, Entry{t.name, view.Keep()})
		}
		return nil
	})
	if err != nil {
		for _, e := range entries {
			e.Tensor.Close()
		}
		return nil, err
	}
	return entries, nil
}
