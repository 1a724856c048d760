package torch

import "cmp"

// RNG is a source of random numbers for one purpose. Every draw seeds a new generator with a hash of
// (seed, step, purpose, index of the draw). So a run that resumes at a step draws the same numbers as a
// run that was not interrupted, and no draw depends on the draws of other parts of the program.
type RNG struct {
	key         uint64
	draws       uint64
	rank, world int // process whose rows are drawn, and number of processes; 0 means 1
	byRow       bool
	first       int // index of the first row
	share       int // rows of this process's share, of which a draw is a part; 0: a draw is the whole share
}

// NewRNG returns the source for one purpose at one step of a seeded run.
func NewRNG(seed uint64, step int, purpose string) *RNG {
	key := mix(seed + 0x9e3779b97f4a7c15)
	key = mix(key ^ uint64(step))
	for _, c := range []byte(purpose) {
		key = mix(key ^ uint64(c))
	}
	return &RNG{key: key}
}

// Fork returns an independent source for a part of r's purpose. r stays as it is.
func (r *RNG) Fork(part string) *RNG {
	f := *r
	f.key, f.draws = NewRNG(r.key, 0, part).key, 0
	return &f
}

// Rows returns a source that draws every row of a batch by itself; rows are the first dimension, and first is
// the index of the first one. The numbers of a row depend on r and its index only, so an image gets the same
// noise in a batch of any size. Perm does not depend on rows.
func (r *RNG) Rows(first int) *RNG {
	s := *r
	s.byRow, s.first = true, first
	return &s
}

// Share returns a source for one of several processes that share the rows of a batch. Normal, Uniform,
// Bernoulli, NormalLike and UniformLike then draw the rows of all processes and return those of process
// rank; rows are the first dimension. So a row's numbers do not depend on the number of processes. Perm
// returns the same permutation in all processes.
func (r *RNG) Share(rank, world int) *RNG {
	s := *r
	s.rank, s.world = rank, world
	return &s
}

// Part returns a source for some rows of a batch of n rows, starting at first. A draw of k rows gives rows first to first+k−1 of
// the rows that r would draw for the whole batch. With Share, n is the number of rows of this process's share.
func (r *RNG) Part(first, n int) *RNG {
	s := *r
	s.first, s.share = r.first+first, n
	return &s
}

// fill returns what f draws into a tensor of x's shape, dtype, device and memory format.
func (r *RNG) fill(x Tensor, f func(Tensor, *RNG) Tensor) Tensor {
	return Tidy(func() Tensor {
		if r.world <= 1 && !r.byRow && r.share == 0 {
			return f(x.Detach().EmptyLike(), r)
		}
		shape, format := x.Shape(), Contiguous
		if len(shape) == 0 {
			panic(&Error{Op: "share", Shapes: "[]", Msg: "a tensor without dimensions has no rows"})
		}
		if x.IsChannelsLast() {
			format = ChannelsLast
		}
		rows := shape[0]
		empty := func(n int, format MemoryFormat) Tensor {
			shape[0] = n
			return call1("aten::empty.memory_format", shape, x.DType(), Named{"device", x.Device()}, Named{"memory_format", format})
		}
		if !r.byRow {
			share := cmp.Or(r.share, rows)
			return f(empty(share*max(1, r.world), format), r).Narrow(0, r.rank*share+r.first, rows)
		}
		all, draw := empty(rows, Contiguous), r.next()
		for i := range rows {
			Tidy(func() Tensor { f(all.Narrow(0, i, 1), NewRNG(draw, r.first+i, "row")); return Tensor{} })
		}
		return all.Contiguous(format)
	})
}

func (r *RNG) next() uint64 {
	r.draws++
	return mix(r.key + r.draws*0x9e3779b97f4a7c15)
}

// mix is the finaliser of SplitMix64 (Steele et al. 2014): every input bit moves every output bit.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// Normal returns float32 draws from N(0, 1) on the CPU, like torch.randn.
func (r *RNG) Normal(shape ...int) Tensor {
	x := Empty(shape, Float32)
	defer x.Close()
	return r.NormalLike(x)
}

// NormalLike returns draws from N(0, 1) with x's shape, dtype, device and memory format.
func (r *RNG) NormalLike(x Tensor) Tensor {
	return r.fill(x, func(t Tensor, r *RNG) Tensor { return call1("aten::normal_", t, 0.0, 1.0, r) })
}

// Uniform returns float32 draws from U[lo, hi) on the CPU.
func (r *RNG) Uniform(lo, hi float64, shape ...int) Tensor {
	x := Empty(shape, Float32)
	defer x.Close()
	return r.UniformLike(x, lo, hi)
}

// UniformLike returns draws from U[lo, hi) with x's shape, dtype, device and memory format.
func (r *RNG) UniformLike(x Tensor, lo, hi float64) Tensor {
	return r.fill(x, func(t Tensor, r *RNG) Tensor { return call1("aten::uniform_", t, lo, hi, r) })
}

// Bernoulli returns float32 zeros and ones on the CPU, one with probability p.
func (r *RNG) Bernoulli(p float64, shape ...int) Tensor {
	x := Empty(shape, Float32)
	defer x.Close()
	return r.fill(x, func(t Tensor, r *RNG) Tensor { return call1("aten::bernoulli_.float", t, p, r) })
}

// Perm returns a random permutation of 0 … n−1 as int64, like torch.randperm.
func (r *RNG) Perm(n int) Tensor { return call1("aten::randperm.generator", n, r, Int64) }
