package eval

import (
	"context"
	"fmt"
	"math"

	"github.com/liebm/liebm/data"
)

// Modes says which of the 1,000 classes of Stacked Fashion-MNIST images cover, as the benchmark Stacked MNIST does.
type Modes struct {
	Covered int     // classes that at least one image has
	KL      float64 // KL(p‖u) in nats, of the share p of each class from that of the data, u = 1/1000
}

// ModesOf classifies each channel of colour images, of 28 pixels or more each way, by c. Fewer images than some ten
// thousand miss classes by chance; the benchmark uses 26,000.
func ModesOf(ctx context.Context, c *Classifier, set *data.Set) (m Modes, err error) {
	if set.C != 3 || set.N == 0 {
		return m, fmt.Errorf("modes of %d images of %d channels: use colour images", set.N, set.C)
	}
	classes, err := c.Classify(ctx, set)
	if err != nil {
		return m, err
	}
	counts := make([]float64, 1000)
	for i := range set.N {
		r, g, b := classes[3*i], classes[3*i+1], classes[3*i+2]
		counts[100*r+10*g+b]++
	}
	for _, n := range counts {
		if n > 0 {
			m.Covered++
			p := n / float64(set.N)
			m.KL += p * math.Log(p*float64(len(counts)))
		}
	}
	return m, nil
}
