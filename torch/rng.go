package torch

// RNG is a source of randomness named by what it is for. Every draw seeds a fresh generator from
// (seed, step, purpose, index of the draw), so a run that resumes at a step draws what it would
// have drawn, and no draw depends on what other parts of the program consumed.
type RNG struct {
	key         uint64
	draws       uint64
	rank, world int // whose rows this one draws; world 0: all
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

// Fork returns an independent source for a part of this one's purpose. It draws nothing.
func (r *RNG) Fork(part string) *RNG {
	f := NewRNG(r.key, 0, part)
	f.rank, f.world = r.rank, r.world
	return f
}

// Share returns the source for process rank's rows of what world processes draw together: Normal,
// Uniform, Bernoulli and those like a tensor draw for all processes' rows, whose dimension is the
// first, and return its own. So a row is the same however many processes share the rows. A
// permutation is of the whole, the same in all.
func (r *RNG) Share(rank, world int) *RNG {
	s := *r
	s.rank, s.world = rank, world
	return &s
}

// fill returns what f draws into a tensor of x's shape, dtype, device and memory format.
func (r *RNG) fill(x Tensor, f func(Tensor) Tensor) Tensor {
	return Tidy(func() Tensor {
		if r.world <= 1 {
			return f(x.Detach().EmptyLike())
		}
		shape, format := x.Shape(), Contiguous
		if x.IsChannelsLast() {
			format = ChannelsLast
		}
		rows := shape[0]
		shape[0] *= r.world
		all := call1("aten::empty.memory_format", shape, x.DType(), Named{"device", x.Device()}, Named{"memory_format", format})
		return f(all).Narrow(0, r.rank*rows, rows)
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
	return r.fill(x, func(t Tensor) Tensor { return call1("aten::normal_", t, 0.0, 1.0, r) })
}

// Uniform returns float32 draws from U[lo, hi) on the CPU.
func (r *RNG) Uniform(lo, hi float64, shape ...int) Tensor {
	x := Empty(shape, Float32)
	defer x.Close()
	return r.UniformLike(x, lo, hi)
}

// UniformLike returns draws from U[lo, hi) with x's shape, dtype, device and memory format.
func (r *RNG) UniformLike(x Tensor, lo, hi float64) Tensor {
	return r.fill(x, func(t Tensor) Tensor { return call1("aten::uniform_", t, lo, hi, r) })
}

// Bernoulli returns float32 zeros and ones on the CPU, one with probability p.
func (r *RNG) Bernoulli(p float64, shape ...int) Tensor {
	x := Empty(shape, Float32)
	defer x.Close()
	return r.fill(x, func(t Tensor) Tensor { return call1("aten::bernoulli_.float", t, p, r) })
}

// Perm returns a random permutation of 0 … n−1 as int64, like torch.randperm.
func (r *RNG) Perm(n int) Tensor { return call1("aten::randperm.generator", n, r, Int64) }
