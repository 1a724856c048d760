package data

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"math/rand/v2"
)

// Permutation is the order in which epoch visits n images. It will not change with Go's releases:
// ChaCha8 (a published cipher) keyed with seed and epoch, each as 8 bytes little-endian, and then 16
// bytes "liebm/data/order"; Fisher–Yates from the last place down; Lemire's multiply-and-reject for
// each draw below i+1.
func Permutation(seed uint64, epoch, n int) []int {
	order := make([]int, n)
	permute(order, seed, epoch)
	return order
}

func permute(order []int, seed uint64, epoch int) {
	for i := range order {
		order[i] = i
	}
	source := keyed(seed, uint64(epoch), "liebm/data/order")
	for i := len(order) - 1; i > 0; i-- {
		j := below(source, uint64(i+1))
		order[i], order[j] = order[j], order[i]
	}
}

// keyed is a stream of random numbers that belongs to (seed, index, purpose) alone. Of purpose
// the first 16 bytes count.
func keyed(seed, index uint64, purpose string) *rand.ChaCha8 {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	binary.LittleEndian.PutUint64(key[8:], index)
	copy(key[16:], purpose)
	return rand.NewChaCha8(key)
}

// below draws from 0…n−1 without bias.
func below(source *rand.ChaCha8, n uint64) uint64 {
	high, low := bits.Mul64(source.Uint64(), n)
	if low < n {
		for reject := -n % n; low < reject; {
			high, low = bits.Mul64(source.Uint64(), n)
		}
	}
	return high
}

// A Sampler hands out batches of indices as a pure function of (seed, step): a run that resumes
// needs nothing but its step. Each epoch is a [Permutation], cut into whole batches; what is left
// over at its end is dropped, and drawn in other epochs. It is for one goroutine.
type Sampler struct {
	seed  uint64
	n     int
	epoch int // of order
	order []int
}

// NewSampler samples from n images.
func NewSampler(seed uint64, n int) *Sampler { return &Sampler{seed: seed, n: n, epoch: -1} }

// PerEpoch is the number of whole batches of size in an epoch: 0 if the set is smaller than one.
func (s *Sampler) PerEpoch(size int) int { return s.n / size }

// Batch is the indices of step's batch of size images, without repetition. The slice is good until
// the next call. A size below 1 or above the number of images panics: compare with PerEpoch first.
func (s *Sampler) Batch(step, size int) []int {
	if size < 1 || size > s.n || step < 0 {
		panic(fmt.Sprintf("data: batch of %d from %d images at step %d; take a smaller batch or a larger set", size, s.n, step))
	}
	per := s.n / size
	if epoch := step / per; epoch != s.epoch {
		if s.order == nil {
			s.order = make([]int, s.n)
		}
		permute(s.order, s.seed, epoch)
		s.epoch = epoch
	}
	at := step % per * size
	return s.order[at : at+size : at+size]
}
