// Command pytorch reads the weights of a PyTorch network into a Go network, and compares the outputs
// of both:
//
//	go run ./examples/pytorch
//
// The script testdata/net.py trains the network in PyTorch and writes the two files.
package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"

	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
)

// net has the fields of the class Net in net.py: a field Conv is the attribute conv, and its weight has
// the name conv.weight in the file.
type net struct {
	Conv *nn.Conv2d
	BN   *nn.BatchNorm
	FC   *nn.Linear
}

func newNet() *net {
	return &net{
		Conv: nn.NewConv2d(1, 8, 3, nn.Conv2dOptions{Padding: 1, NoBias: true}),
		BN:   nn.NewBatchNorm(8),
		FC:   nn.NewLinear(8*4*4, 10, nn.LinearOptions{}),
	}
}

// Forward maps images to scores. x: [n,1,8,8] → [n,10].
func (m *net) Forward(x torch.Tensor, mode nn.Mode) torch.Tensor {
	h := m.BN.Forward(m.Conv.Forward(x), mode).ReLU().AvgPool2d(2)
	return m.FC.Forward(h.Contiguous(torch.Contiguous).Flatten(1))
}

// named returns the tensors of a file by name, and a function that frees them.
func named(entries []torch.Entry) (tensors map[string]torch.Tensor, free func()) {
	tensors = map[string]torch.Tensor{}
	for _, e := range entries {
		tensors[e.Name] = e.Tensor
	}
	return tensors, func() {
		for _, e := range entries {
			e.Tensor.Close()
		}
	}
}

// load reads the weights in the file at path into m. Reading executes nothing in the file.
func load(m *net, path string) error {
	entries, err := torch.ReadStateDict(path)
	if err != nil {
		return err
	}
	weights, free := named(entries)
	defer free()
	return nn.Load(m, "", weights) // copies them; names and shapes must fit
}

// run loads dir/net.pth and prints the largest difference from the outputs in dir/expected.npz.
func run(out io.Writer, dir string) error {
	return torch.Do(func() error {
		m := newNet()
		defer nn.Close(m)
		if err := load(m, filepath.Join(dir, "net.pth")); err != nil {
			return err
		}
		entries, err := torch.ReadNPZ(filepath.Join(dir, "expected.npz"))
		if err != nil {
			return err
		}
		expected, free := named(entries)
		defer free()
		y := m.Forward(expected["x"], nn.Eval)
		difference := y.Sub(expected["y"]).Abs().Max().Item()
		fmt.Fprintf(out, "%d parameters, largest difference from PyTorch %.1e\n", nn.CountParams(m), difference)
		return nil
	})
}

func main() {
	dir := flag.String("dir", "examples/pytorch/testdata", "folder with net.pth and expected.npz")
	flag.Parse()
	if err := run(os.Stdout, *dir); err != nil {
		log.Fatal(err)
	}
}
