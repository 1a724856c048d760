package eval

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nlpodyssey/gopickle/pickle"
	"github.com/nlpodyssey/gopickle/pytorch"
	"github.com/nlpodyssey/gopickle/types"

	"github.com/liebm/liebm/torch"
)

// readState reads a state dict of float32 tensors from a .safetensors or from what torch.save
// wrote, as a zip or in the older form. The pickle may name nothing but tensors and dictionaries.
// The caller closes the tensors.
func readState(path string) (state []torch.Entry, err error) {
	if strings.ToLower(filepath.Ext(path)) == ".safetensors" {
		tensors, _, err := torch.ReadSafetensors(path)
		for name, t := range tensors {
			state = append(state, torch.Entry{Name: name, Tensor: t})
		}
		return state, err
	}
	value, err := unpickle(path)
	if err != nil {
		return nil, err
	}
	dict, ok := value.(*types.OrderedDict)
	if !ok {
		return nil, fmt.Errorf("%s holds a %T: want a state dict, which maps names to tensors", path, value)
	}
	err = torch.Do(func() error {
		for e := dict.List.Front(); e != nil; e = e.Next() {
			entry, ok := e.Value.(*types.OrderedDictEntry)
			if !ok {
				return fmt.Errorf("%s: its state dict is damaged", path)
			}
			name, named := entry.Key.(string)
			t, isTensor := entry.Value.(*pytorch.Tensor)
			if !named || !isTensor {
				return fmt.Errorf("%s: entry %v is a %T, not a tensor", path, entry.Key, entry.Value)
			}
			if strings.HasSuffix(name, ".num_batches_tracked") {
				continue // int64, and nothing to eval mode
			}
			storage, ok := t.Source.(*pytorch.FloatStorage)
			if !ok || slices.Min(append(t.Size, 0)) < 0 {
				return fmt.Errorf("%s: %s is %T %v: want float32", path, name, t.Source, t.Size)
			}
			whole := torch.FromSlice(storage.Data)
			view := torch.Call("aten::as_strided", whole, t.Size, t.Stride, t.StorageOffset).Tensor(0)
			state = append(state, torch.Entry{Name: name, Tensor: view.CloneAs(torch.Contiguous).Keep()})
			whole.Close()
		}
		return nil
	})
	if err != nil {
		for _, e := range state {
			e.Tensor.Close()
		}
	}
	return state, err
}

// unpickle runs the pickle in a .pth, without any class but the library's own. (The library panics
// on some files that make no sense.)
func unpickle(path string) (value any, err error) {
	defer func() {
		if p := recover(); p != nil {
			value, err = nil, fmt.Errorf("%s: its pickle makes no sense; fetch it again", path)
		}
	}()
	value, err = pytorch.LoadWithUnpickler(path, func(r io.Reader) pickle.Unpickler {
		u := pickle.NewUnpickler(r)
		u.FindClass = func(module, name string) (any, error) {
			return nil, fmt.Errorf("it asks for %.40s.%.40s, which no state dict needs: refused", module, name)
		}
		return u
	})
	if errors.Is(err, pytorch.ErrInvalidMagicNumber) || err == io.EOF || err == io.ErrUnexpectedEOF {
		err = errors.New("it is not a whole file of torch.save")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return value, nil
}
