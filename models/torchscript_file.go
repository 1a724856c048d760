package models

import (
	"archive/zip"
	"encoding/binary"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/liebm/liebm/torch"
)

// WriteTorchScript writes a module that torch.jit.load reads. entries are its attributes, constants of float32
// whose names are identifiers. methods is the TorchScript source of its methods, indented by two spaces, with self
// of type __torch__.<class>. It opens its own scope.
func WriteTorchScript(w io.Writer, class string, entries []torch.Entry, methods string) error {
	archive := zip.NewWriter(w)
	add := func(name string, data []byte) error {
		// Not compressed, like the files of torch.jit.save, so that it can be mapped.
		f, err := archive.CreateHeader(&zip.FileHeader{Name: strings.ToLower(class) + "/" + name, Method: zip.Store})
		if err == nil {
			_, err = f.Write(data)
		}
		if err != nil {
			return fmt.Errorf("torchscript: %s: %w", name, err)
		}
		return nil
	}
	err := torch.Do(func() error {
		var names, types strings.Builder
		attributes := pickle("}(")
		for i, e := range entries {
			if e.Tensor.DType() != torch.Float32 {
				return fmt.Errorf("torchscript: %s is %s, it must be float32", e.Name, e.Tensor.DType())
			}
			fmt.Fprintf(&names, "%q, ", e.Name)
			fmt.Fprintf(&types, "  %s : Tensor\n", e.Name)
			attributes += pickledText(e.Name) + pickledTensor(strconv.Itoa(i), e.Tensor)
			if err := add(fmt.Sprintf("data/%d", i), e.Tensor.Bytes()); err != nil {
				return err
			}
		}
		attributes += pickledText("training") + "\x89u" // False; SETITEMS
		source := fmt.Sprintf("class %s(Module):\n  __parameters__ = []\n  __buffers__ = [%s]\n%s  training : bool\n%s", class, names.String(), types.String(), methods)
		for _, part := range []struct{ name, data string }{
			{"data.pkl", string("\x80\x02" + global("__torch__", class) + ")\x81" + attributes + "b.")}, // NEWOBJ, BUILD, STOP
			{"code/__torch__.py", source},
			{"constants.pkl", "\x80\x02)."},
			{"version", "3\n"}, // of the operators' meanings: that of PyTorch 1.5 and later
		} {
			if err := add(part.name, []byte(part.data)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return archive.Close()
}

// pickle is a part of a program in pickle's protocol 2.
type pickle string

func global(module, name string) pickle { return pickle("c" + module + "\n" + name + "\n") }

func pickledText(s string) pickle {
	return pickle("X") + pickle(binary.LittleEndian.AppendUint32(nil, uint32(len(s)))) + pickle(s)
}

func integer(n int) pickle {
	return "\x8a\x08" + pickle(binary.LittleEndian.AppendUint64(nil, uint64(n))) // LONG1 of 8 bytes
}

func integers(ns []int) pickle {
	out := pickle("(")
	for _, n := range ns {
		out += integer(n)
	}
	return out + "t"
}

// pickledTensor rebuilds a contiguous tensor from the storage of that key.
func pickledTensor(key string, t torch.Tensor) pickle {
	shape, stride, step := t.Shape(), make([]int, t.Dim()), 1
	for i := len(shape) - 1; i >= 0; i-- {
		stride[i] = step
		step *= shape[i]
	}
	storage := "(" + pickledText("storage") + global("torch", "FloatStorage") + pickledText(key) + pickledText("cpu") + integer(t.Numel()) + "tQ"
	return global("torch._utils", "_rebuild_tensor_v2") + "(" + storage + integer(0) + integers(shape) + integers(stride) +
		"\x89" + global("collections", "OrderedDict") + ")RtR" // no gradient, no hooks
}
