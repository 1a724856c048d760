package torch

import (
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/nlpodyssey/safetensors"
)

// Entry is a tensor with its name, as in a state dict. Entries are ordered.
type Entry struct {
	Name   string
	Tensor Tensor
}

var toSafe = map[DType]safetensors.DType{
	Uint8: safetensors.U8, Int8: safetensors.I8, Int16: safetensors.I16, Int32: safetensors.I32, Int64: safetensors.I64,
	Float16: safetensors.F16, Float32: safetensors.F32, Float64: safetensors.F64, Bool: safetensors.BOOL, BFloat16: safetensors.BF16,
}

// WriteSafetensors writes the entries and the metadata in the safetensors format. A job: it needs
// no scope.
func WriteSafetensors(w io.Writer, entries []Entry, metadata map[string]string) error {
	return Do(func() error {
		views := make(map[string]view, len(entries))
		for _, e := range entries {
			if _, twice := views[e.Name]; twice {
				return fmt.Errorf("safetensors: two tensors are called %q", e.Name)
			}
			dtype, ok := toSafe[e.Tensor.DType()]
			if !ok {
				return fmt.Errorf("safetensors: tensor %s has type %s, which the format does not know", e.Name, e.Tensor.DType())
			}
			shape := []uint64{} // a scalar's is [], not null
			for _, n := range e.Tensor.Shape() {
				shape = append(shape, uint64(n))
			}
			views[e.Name] = view{dtype, shape, e.Tensor.Bytes()}
		}
		if err := safetensors.SerializeToWriter(views, metadata, w); err != nil {
			return fmt.Errorf("safetensors: %w", err)
		}
		return nil
	})
}

// view is a tensor to be written. (The library's own view refuses scalars.)
type view struct {
	dtype safetensors.DType
	shape []uint64
	data  []byte
}

func (v view) DType() safetensors.DType { return v.dtype }
func (v view) Shape() []uint64          { return v.shape }
func (v view) Data() []byte             { return v.data }
func (v view) DataLen() uint64          { return uint64(len(v.data)) }

// ReadSafetensors reads a whole safetensors file to kept tensors, which the caller closes, and the
// metadata. It is an error if the file is cut short, longer than its header says, or no
// safetensors file.
func ReadSafetensors(path string) (map[string]Tensor, map[string]string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	return ParseSafetensors(path, data)
}

// ParseSafetensors is ReadSafetensors of a file in memory; name stands for it in errors.
func ParseSafetensors(name string, data []byte) (tensors map[string]Tensor, metadata map[string]string, err error) {
	file, err := safetensors.Deserialize(data)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: not a whole safetensors file (%d bytes): %w", name, len(data), err)
	}
	_, head, err := safetensors.ReadMetadata(data)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", name, err)
	}
	tensors = map[string]Tensor{}
	err = Do(func() error {
		for _, v := range file.Tensors() {
			dtype, ok := fromSafe(v.TensorView.DType())
			if !ok {
				return fmt.Errorf("tensor %s has type %s, which has no tensor here", v.Name, v.TensorView.DType())
			}
			var shape []int
			for _, n := range v.TensorView.Shape() {
				shape = append(shape, int(n))
			}
			if slices.Min(append(shape, 0)) < 0 || len(shape) > 8 {
				return fmt.Errorf("tensor %s has shape %v", v.Name, v.TensorView.Shape())
			}
			tensors[v.Name] = FromBytes(v.TensorView.Data(), dtype, shape...).Keep()
		}
		return nil
	})
	if err != nil {
		for _, t := range tensors {
			t.Close()
		}
		return nil, nil, fmt.Errorf("%s: %w", name, err)
	}
	return tensors, head.Metadata(), nil
}

func fromSafe(d safetensors.DType) (DType, bool) {
	for ours, theirs := range toSafe {
		if theirs == d {
			return ours, true
		}
	}
	return 0, false
}
