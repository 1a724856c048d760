package torch

// RNG is a source of randomness named by what it is for. Every draw seeds a fresh generator from
// (seed, step, purpose, index of the draw), so a run that resumes at a step draws what it would
// have drawn, and no draw depends on what other parts of the program consumed.
type RNG struct {
	key   uint64
	draws uint64
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
	return NewRNG(r.key, 0, part)
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
func (r *RNG) Normal(shape ...int) Tensor { return r.NormalLike(Empty(shape, Float32)) }

// NormalLike returns draws from N(0, 1) with x's shape, dtype, device and memory format.
func (r *RNG) NormalLike(x Tensor) Tensor {
	return Tidy(func() Tensor { return call1("aten::normal_", x.Detach().EmptyLike(), 0.0, 1.0, r) })
}

// Uniform returns float32 draws from U[lo, hi) on the CPU.
func (r *RNG) Uniform(lo, hi float64, shape ...int) Tensor {
	return r.UniformLike(Empty(shape, Float32), lo, hi)
}

// UniformLike returns draws from U[lo, hi) with x's shape, dtype, device and memory format.
func (r *RNG) UniformLike(x Tensor, lo, hi float64) Tensor {
	return Tidy(func() Tensor { return call1("aten::uniform_", x.Detach().EmptyLike(), lo, hi, r) })
}

// Bernoulli returns float32 zeros and ones on the CPU, one with probability p.
func (r *RNG) Bernoulli(p float64, shape ...int) Tensor {
	return Tidy(func() Tensor { return call1("aten::bernoulli_.float", Empty(shape, Float32), p, r) })
}

// Perm returns a random permutation of 0 … n−1 as int64, like torch.randperm.
func (r *RNG) Perm(n int) Tensor { return call1("aten::randperm.generator", n, r, Int64) }
