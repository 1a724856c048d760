package train

import "github.com/liebm/liebm/torch"

// rows are the rows first to first+n of a batch of all.
type rows struct{ first, n, all int }

// of returns these rows of a batch: [all,…] → [n,…]. Those of none are none.
func (r rows) of(x torch.Tensor) torch.Tensor {
	if !x.Defined() || r.n == r.all {
		return x
	}
	return x.Narrow(0, r.first, r.n)
}

// split divides a batch of n images into batch_split parts. Their sizes differ by at most one.
func (c Config) split(n int) (parts []rows) {
	k := min(c.BatchSplit, n)
	for i := range k {
		first := i * n / k
		parts = append(parts, rows{first, (i+1)*n/k - first, n})
	}
	return parts
}

// byParts maps x by f, one part of the rows after the other, and joins the results: [n,…] → [n,…]. f treats every row
// by itself, and gets the draws of its rows. If there are several parts, the result carries no graph.
func (c Config) byParts(x torch.Tensor, rng *torch.RNG, f func(x torch.Tensor, rng *torch.RNG) torch.Tensor) torch.Tensor {
	return torch.Tidy(func() torch.Tensor {
		parts := c.split(x.Size(0))
		if len(parts) == 1 {
			return f(x, rng)
		}
		var out []torch.Tensor
		for _, p := range parts {
			out = append(out, torch.Tidy(func() torch.Tensor { return f(p.of(x), rng.Part(p.first, p.all)).Detach() }))
		}
		return torch.Cat(out, 0)
	})
}

// lossByParts returns the mean over n rows of a loss, and joins columns: [n,k]. f returns the mean and the columns of a
// part of the rows. The loss has the value and the gradients in params of the whole batch, and memory has the graph of
// one part at a time: when a part ends, the sum of the gradients so far takes the place of its graph.
func (c Config) lossByParts(n int, params []torch.Tensor, f func(p rows) (loss, columns torch.Tensor)) (loss, columns torch.Tensor) {
	parts := c.split(n)
	last := len(parts) - 1
	if last == 0 {
		return f(parts[0])
	}
	share := func(p rows, loss torch.Tensor) torch.Tensor { return loss.MulScalar(float64(p.n) / float64(n)) }
	value, sums, depends := torch.Scalar(0).ToDevice(params[0].Device()), make([]torch.Tensor, len(params)), make([]bool, len(params))
	for i, p := range params {
		sums[i] = p.Detach().ZerosLike()
	}
	var all []torch.Tensor
	for _, p := range parts[:last] {
		all = append(all, torch.Tidy(func() torch.Tensor {
			loss, columns := f(p)
			loss = share(p, loss)
			for i, g := range torch.Grads(loss, params, torch.GradOptions{}) {
				if depends[i] = g.Defined(); depends[i] {
					sums[i].AddInPlace(g, 1)
				}
			}
			value.AddInPlace(loss.Detach(), 1)
			return columns.Detach()
		}))
	}
	loss, columns = f(parts[last])
	loss = share(parts[last], loss).Add(value)
	for i, p := range params {
		if depends[i] {
			zero := torch.Tidy(func() torch.Tensor { return p.Sub(p.Detach()).Mul(sums[i]).Sum() }) // its gradient is sums[i]
			loss = loss.Add(zero)
		}
	}
	return loss, torch.Cat(append(all, columns), 0)
}
