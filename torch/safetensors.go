package torch

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

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

// WriteSafetensors writes the entries and the metadata in the safetensors format, with the same bytes as
// Python's safetensors. The metadata are sorted by name; in Python their order is random. It needs no open
// scope.
func WriteSafetensors(w io.Writer, entries []Entry, metadata map[string]string) error {
	return Do(func() error {
		sorted, err := inSafeOrder(entries)
		if err != nil {
			return fmt.Errorf("safetensors: %w", err)
		}
		head := safeHeader(sorted, metadata)
		if _, err := w.Write(append(binary.LittleEndian.AppendUint64(nil, uint64(len(head))), head...)); err != nil {
			return fmt.Errorf("safetensors: %w", err)
		}
		for _, e := range sorted {
			if _, err := w.Write(e.Tensor.Bytes()); err != nil {
				return fmt.Errorf("safetensors: tensor %s: %w", e.Name, err)
			}
		}
		return nil
	})
}

// inSafeOrder sorts by type, the largest alignment first, so that every tensor is aligned, and then by name.
func inSafeOrder(entries []Entry) ([]Entry, error) {
	sorted := slices.Clone(entries)
	for _, e := range sorted {
		if _, ok := toSafe[e.Tensor.DType()]; !ok {
			return nil, fmt.Errorf("tensor %s has type %s, which the format does not know", e.Name, e.Tensor.DType())
		}
	}
	slices.SortFunc(sorted, func(a, b Entry) int {
		return cmp.Or(cmp.Compare(toSafe[b.Tensor.DType()], toSafe[a.Tensor.DType()]), strings.Compare(a.Name, b.Name))
	})
	names := map[string]bool{}
	for _, e := range sorted {
		if names[e.Name] {
			return nil, fmt.Errorf("two tensors are called %q", e.Name)
		}
		names[e.Name] = true
	}
	return sorted, nil
}

// safeHeader is the JSON before the elements, padded so that they start at a multiple of 8. The Go library
// writes it in another order than Python, and encoding/json uses other escapes.
func safeHeader(entries []Entry, metadata map[string]string) []byte {
	var items []string
	if metadata != nil {
		var notes []string
		for _, k := range slices.Sorted(maps.Keys(metadata)) {
			notes = append(notes, quoted(k)+":"+quoted(metadata[k]))
		}
		items = append(items, `"__metadata__":{`+strings.Join(notes, ",")+"}")
	}
	end := 0
	for _, e := range entries {
		shape := strings.ReplaceAll(fmt.Sprint(e.Tensor.Shape()), " ", ",")
		start := end
		end += e.Tensor.Numel() * e.Tensor.DType().Size()
		items = append(items, fmt.Sprintf(`%s:{"dtype":"%s","shape":%s,"data_offsets":[%d,%d]}`, quoted(e.Name), toSafe[e.Tensor.DType()], shape, start, end))
	}
	head := []byte("{" + strings.Join(items, ",") + "}")
	for len(head)%8 != 0 {
		head = append(head, ' ')
	}
	return head
}

// quoted is a JSON string with only the escapes that JSON requires.
func quoted(s string) string {
	return `"` + jsonEscapes.Replace(strings.ToValidUTF8(s, "\ufffd")) + `"`
}

var jsonEscapes = func() *strings.Replacer {
	pairs := []string{`"`, `\"`, `\`, `\\`, "\b", `\b`, "\f", `\f`, "\n", `\n`, "\r", `\r`, "\t", `\t`}
	for c := range 0x20 {
		pairs = append(pairs, string(rune(c)), fmt.Sprintf(`\u%04x`, c)) // the first of two counts
	}
	return strings.NewReplacer(pairs...)
}()

// ReadSafetensors reads the tensors and the metadata of a safetensors file. The tensors are kept, and the
// caller must close them. A file that is shorter or longer than its header says is an error.
func ReadSafetensors(path string) (map[string]Tensor, map[string]string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	return ParseSafetensors(path, data)
}

// ParseSafetensors is ReadSafetensors of a file in memory. Errors call it name.
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
