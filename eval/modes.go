package eval

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/liebm/liebm/data"
)

// Modes says how many of the 1,000 classes of Stacked Fashion-MNIST a set of images covers, and how evenly, as the
// benchmark Stacked MNIST does.
type Modes struct {
	Covered int     // classes that at least one image has
	KL      float64 // KL(p‖u) in nats, of the share p of each class from that of the data, u = 1/1000
}

// ModesOf classifies each channel of colour images by c. The images have at least 28×28 pixels. With fewer than about ten thousand
// images some classes are missing by chance; the benchmark uses 26,000.
func ModesOf(ctx context.Context, c *Classifier, set *data.Set) (m Modes, err error) {
	if set.C != 3 || set.N == 0 {
		return m, fmt.Errorf("modes of %d images of %d channels: use colour images", set.N, set.C)
	}
	classes, err := c.Classify(ctx, set)
	if err != nil {
		return m, err
	}
	const n = 1000
	triples := make([]int32, set.N)
	for i := range triples {
		triples[i] = 100*classes[3*i] + 10*classes[3*i+1] + classes[3*i+2]
	}
	p := shares(triples, n)
	for _, share := range p {
		if share > 0 {
			m.Covered++
		}
	}
	m.KL = kl(p, slices.Repeat([]float64{1. / n}, n))
	return m, nil
}

// ClassKL is KL(p‖u) = Σ p·log(p/u) in nats. p are the shares of the classes among images, and u are the shares among real
// images. c classifies both. ClassKL is 0 if every class is as frequent as among the real images. It is infinite if images
// have a class that the real images lack.
func ClassKL(ctx context.Context, c *Classifier, images, real *data.Set) (float64, error) {
	var both [2][]float64
	for i, set := range []*data.Set{images, real} {
		classes, err := c.Classify(ctx, set)
		if err != nil {
			return 0, err
		}
		both[i] = shares(classes, 10)
	}
	return kl(both[0], both[1]), nil
}

// shares are the shares of n classes.
func shares(classes []int32, n int) []float64 {
	p := make([]float64, n)
	for _, class := range classes {
		p[class] += 1 / float64(len(classes))
	}
	return p
}

// kl is the Kullback–Leibler divergence KL(p‖q) in nats.
func kl(p, q []float64) (sum float64) {
	for i := range p {
		if p[i] > 0 {
			sum += p[i] * math.Log(p[i]/q[i])
		}
	}
	return sum
}
