package eval

import (
	"context"
	"fmt"
	"math"

	"github.com/liebm/liebm/torch"
)

// TSNEOptions are the options of [TSNE]. The zero value has the settings that van der Maaten and
// scikit-learn usually use.
type TSNEOptions struct {
	Perplexity float64 // 0 means 30
	Steps      int     // 0 means 1,000
	Seed       uint64  // of the initial points
	Watch      func(done, total int)
}

// TSNE returns points in the plane, [n][2], which have nearly the same neighbours as the features (van der Maaten & Hinton 2008),
// and the Kullback–Leibler divergence at the end. It is exact: O(n²) in time and memory, 32 MB a matrix at 2,000
// points.
func TSNE(ctx context.Context, e *Embedding, o TSNEOptions) (points [][2]float64, divergence float64, err error) {
	if o.Perplexity == 0 {
		o.Perplexity = 30
	}
	if o.Steps == 0 {
		o.Steps = 1000
	}
	n := e.Len()
	if float64(n) < 3*o.Perplexity+1 || o.Perplexity < 1 {
		return nil, 0, fmt.Errorf("t-SNE of %d points with perplexity %v: use a perplexity of at least 1, and more than three times as many points", n, o.Perplexity)
	}
	err = torch.Do(func() error {
		p, err := affinities(ctx, e.X.To(torch.Float64), o.Perplexity)
		if err != nil {
			return err
		}
		y := torch.NewRNG(o.Seed, 0, "t-SNE").Normal(n, 2).To(torch.Float64).MulScalar(1e-4)
		if y, divergence, err = descend(ctx, p, y, o); err != nil {
			return err
		}
		flat := y.Float64s()
		for i := range n {
			points = append(points, [2]float64{flat[2*i], flat[2*i+1]})
		}
		return nil
	})
	if err == nil && math.IsNaN(divergence) {
		err = fmt.Errorf("t-SNE of %s diverged: check that the features are finite", e.Features)
	}
	return points, divergence, err
}

// affinities is P: [n,n], symmetric, with sum 1. Bisection, for all rows at once, finds the width of each row's Gaussian
// that gives the perplexity.
func affinities(ctx context.Context, x torch.Tensor, perplexity float64) (torch.Tensor, error) {
	n := x.Size(0)
	x = x.Sub(x.MeanKeepDim(0))
	d := squaredDistances(x, x)
	d = d.DivScalar(d.Mean().Item() + math.SmallestNonzeroFloat64)
	self := torch.Eye(n, torch.Float64).MulScalar(-1e300)
	low, high := torch.Zeros([]int{n, 1}, torch.Float64), torch.Full([]int{n, 1}, 1e12, torch.Float64)
	beta := torch.Ones([]int{n, 1}, torch.Float64)
	row := func(beta torch.Tensor) torch.Tensor { return d.Mul(beta).Neg().Add(self).LogSoftmax(1) }
	err := steps(ctx, 100, nil, func(int) {
		logP := row(beta)
		entropy := logP.Exp().Mul(logP.Clamp(-1e3, 0)).SumKeepDim(1).Neg()
		flat := entropy.GreaterEqual(torch.Full([]int{1}, math.Log(perplexity), torch.Float64)) // then narrower
		low.CopyFrom(torch.Where(flat, beta, low))
		high.CopyFrom(torch.Where(flat, high, beta))
		untouched := high.GreaterEqual(torch.Full([]int{1}, 1e12, torch.Float64))
		beta.CopyFrom(torch.Where(untouched, low.MulScalar(2), low.Add(high).DivScalar(2)))
	})
	p := row(beta).Exp()
	return p.Add(p.T()).DivScalar(2 * float64(n)), err
}

// descend is gradient descent with momentum and gains. In the first quarter of the steps P is multiplied by 12.
func descend(ctx context.Context, p, y torch.Tensor, o TSNEOptions) (torch.Tensor, float64, error) {
	n := y.Size(0)
	const exaggeration = 12.0
	rate := max(float64(n)/exaggeration/4, 50)
	early := o.Steps / 4
	off := torch.Ones([]int{n, n}, torch.Float64).Sub(torch.Eye(n, torch.Float64))
	near := func(y torch.Tensor) torch.Tensor { // Student's kernel, 0 on the diagonal
		return off.Div(squaredDistances(y, y).AddScalar(1))
	}
	state := torch.Cat([]torch.Tensor{y, y.ZerosLike(), y.OnesLike()}, 1) // points, speed, gains
	err := steps(ctx, o.Steps, o.Watch, func(step int) {
		momentum, scale := 0.8, 1.0
		if step < early {
			momentum, scale = 0.5, exaggeration
		}
		y, speed, gains := state.Narrow(1, 0, 2), state.Narrow(1, 2, 2), state.Narrow(1, 4, 2)
		k := near(y)
		w := p.MulScalar(scale).Sub(k.Div(k.Sum())).Mul(k)
		grad := w.SumKeepDim(1).Mul(y).Sub(w.Matmul(y)).MulScalar(4)
		same := torch.Call("aten::gt.Scalar", grad.Mul(speed), 0).Tensor(0)
		g := torch.Where(same, gains.MulScalar(0.8), gains.AddScalar(0.2)).Clamp(0.01, 1e3)
		v := speed.MulScalar(momentum).Sub(grad.Mul(g).MulScalar(rate))
		moved := y.Add(v)
		state.CopyFrom(torch.Cat([]torch.Tensor{moved.Sub(moved.MeanKeepDim(0)), v, g}, 1))
	})
	y = state.Narrow(1, 0, 2)
	k := near(y)
	q := k.Div(k.Sum()).Clamp(1e-300, 1)
	return y, p.Mul(p.Clamp(1e-300, 1).Log().Sub(q.Log())).Sum().Item(), err
}
