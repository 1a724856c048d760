package eval

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
	"github.com/liebm/liebm/torch/optim"
)

// fashionWeights is a file of `liebm eval features --out eval/fashion.safetensors`.
//
//go:embed fashion.safetensors
var fashionWeights []byte

// Classifier is a small convolutional classifier of 28×28 gray images. Its last hidden layer serves as features of
// clothes. Larger images are cropped to their middle.
type Classifier struct {
	Conv1, Conv2, Conv3 *nn.Conv2d
	Hidden, Out         *nn.Linear

	name string
}

func newClassifier(seed uint64) (*Classifier, error) {
	c := &Classifier{name: "fashion-cnn untrained"}
	return c, torch.Do(func() error {
		same := nn.Conv2dOptions{Padding: 1}
		c.Conv1, c.Conv2, c.Conv3 = nn.NewConv2d(1, 32, 3, same), nn.NewConv2d(32, 64, 3, same), nn.NewConv2d(64, 64, 3, same)
		c.Hidden, c.Out = nn.NewLinear(64*3*3, 128, nn.LinearOptions{}), nn.NewLinear(128, 10, nn.LinearOptions{})
		nn.Init(c, torch.NewRNG(seed, 0, "classifier weights"))
		return nil
	})
}

// FashionFeatures loads the classifier of Fashion-MNIST that comes with liebm. It was trained on the training split only.
// The caller closes it.
func FashionFeatures() (*Classifier, error) {
	tensors, _, err := torch.ParseSafetensors("the built-in fashion.safetensors", fashionWeights)
	if err != nil {
		return nil, err
	}
	defer func() {
		for _, t := range tensors {
			t.Close()
		}
	}()
	c, err := newClassifier(0)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(fashionWeights)
	c.name = "fashion-cnn " + hex.EncodeToString(sum[:4])
	return c, nn.Load(c, "", tensors)
}

// Close frees the weights.
func (c *Classifier) Close() { nn.Close(c) }

// Name names network and weights.
func (c *Classifier) Name() string { return c.name }

// Dim is the number of features.
func (c *Classifier) Dim() int { return 128 }

// Batch is the number of images to measure at once.
func (c *Classifier) Batch() int { return measureBatch }

// Forward returns the features of images [n,1,h,w] in [0,1], h and w at least 28: [n,128].
func (c *Classifier) Forward(x torch.Tensor) torch.Tensor {
	for _, dim := range []int{2, 3} {
		if size := x.Size(dim); size > 28 {
			x = x.Narrow(dim, (size-28)/2, 28)
		}
	}
	x.AssertShape(-1, 1, 28, 28)
	h := c.Conv1.Forward(x).ReLU().MaxPool2d(2, 2, 0)
	h = c.Conv2.Forward(h).ReLU().MaxPool2d(2, 2, 0)
	h = c.Conv3.Forward(h).ReLU().MaxPool2d(2, 2, 0)
	return c.Hidden.Forward(h.Contiguous(torch.Contiguous).Flatten(1)).ReLU()
}

// Logits are the scores of the classes: [n,1,h,w] → [n,10].
func (c *Classifier) Logits(x torch.Tensor) torch.Tensor { return c.Out.Forward(c.Forward(x)) }

// TrainClassifier trains the feature network on a labelled set and returns its weights as a safetensors file. watch may be
// nil.
func TrainClassifier(ctx context.Context, set *data.Set, epochs int, seed uint64, watch func(step, steps int, loss float64)) ([]byte, error) {
	if set.Labels == nil {
		return nil, errors.New("train a classifier: the set has no labels")
	}
	c, err := newClassifier(seed)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	const batch = 128
	sampler := data.NewSampler(seed, set.N)
	n := epochs * sampler.PerEpoch(batch)
	pixels, labels := make([]byte, batch*set.ImageBytes()), make([]int32, batch)
	flip := data.Augment{FlipProb: 0.5}
	err = torch.Do(func() error {
		adam := optim.NewAdam(nn.Params(c), optim.AdamOptions{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: 1e-5})
		defer adam.Close()
		return steps(ctx, n, nil, func(step int) {
			idx := sampler.Batch(step, batch)
			set.Gather(pixels, idx)
			set.GatherLabels(labels, idx)
			x := flip.Apply(data.Floats(pixels, batch, set.H, set.W, set.C), torch.NewRNG(seed, step, "classifier"))
			loss := c.Logits(x).CrossEntropy(torch.FromSlice(labels).To(torch.Int64))
			adam.Step(loss, 1e-3*optim.Linear(step, n, 0.3, 0.01))
			if watch != nil {
				watch(step+1, n, loss.Item())
			}
		})
	})
	if err != nil {
		return nil, err
	}
	var file bytes.Buffer
	err = torch.WriteSafetensors(&file, nn.Entries("", c), map[string]string{
		"made_by": "liebm eval features", "data": set.SHA256(), "epochs": fmt.Sprint(epochs), "seed": fmt.Sprint(seed)})
	return file.Bytes(), err
}

// Classify returns the class of every channel of every image: those of the first image's channels,
// then those of the second image's, and so on.
func (c *Classifier) Classify(ctx context.Context, set *data.Set) (classes []int32, err error) {
	logits := func(x torch.Tensor) torch.Tensor { return c.Logits(x.Reshape(-1, 1, set.H, set.W)) }
	err = torch.Do(func() error {
		_, err := forEach(ctx, measureBatch, c.Out.Weight.Size(0), logits, FromSet(set), nil, func(f torch.Tensor) {
			classes = append(classes, torch.ToSlice[int32](f.ArgMax(1).To(torch.Int32))...)
		})
		return err
	})
	return classes, err
}
