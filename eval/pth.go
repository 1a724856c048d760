package eval

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/liebm/liebm/torch"
)

// readState reads a state dict of float32 tensors from a .safetensors or a file of torch.save. The caller closes the
// tensors.
func readState(path string) (state []torch.Entry, err error) {
	if strings.ToLower(filepath.Ext(path)) == ".safetensors" {
		tensors, _, err := torch.ReadSafetensors(path)
		for name, t := range tensors {
			state = append(state, torch.Entry{Name: name, Tensor: t})
		}
		return state, err
	}
	entries, err := torch.ReadStateDict(path)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name, ".num_batches_tracked") { // int64, not used in eval mode
			e.Tensor.Close()
			continue
		}
		state = append(state, e)
		if e.Tensor.DType() != torch.Float32 {
			err = fmt.Errorf("%s: %s is %s %v: use float32", path, e.Name, e.Tensor.DType(), e.Tensor.Shape())
		}
	}
	if err != nil {
		closeAll(state)
	}
	return state, err
}

func closeAll(entries []torch.Entry) {
	for _, e := range entries {
		e.Tensor.Close()
	}
}
