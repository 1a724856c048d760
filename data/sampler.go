package data

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"math/rand/v2"
)

// Permutation is the order of n images in an epoch. It does not depend on the version of Go: ChaCha8 (a published
// cipher) is keyed with seed and epoch, each as 8 bytes little-endian, and the 16 bytes "liebm/data/order"; Fisher–Yates
// runs from the last place down; each draw below i+1 is by Lemire's multiply-and-reject.
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

// keyed is a stream of random numbers that depends on seed, index and the first 16 bytes of purpose only.
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

// A Sampler hands out batches of indices that depend on (seed, step) only, so a run that resumes needs nothing but its
// step. An epoch is a [Permutation] cut into whole batches. The images left at its end are not used in this epoch. A
// Sampler is for one goroutine.
type Sampler struct {
	seed  uint64
	epoch int // of order; -1: none yet
	order []int
}

// NewSampler samples from n images.
func NewSampler(seed uint64, n int) *Sampler { return &Sampler{seed, -1, make([]int, n)} }

// PerEpoch is the number of batches of size images in an epoch; 0 if there are fewer images.
func (s *Sampler) PerEpoch(size int) int { return len(s.order) / size }

// Batch returns the indices of the batch at step: size different images. The slice is valid until the next call. A size
// below 1 or above the number of images panics, so compare with PerEpoch first.
func (s *Sampler) Batch(step, size int) []int {
	n := len(s.order)
	if size < 1 || size > n || step < 0 {
		panic(fmt.Sprintf("data: batch of %d from %d images at step %d; use a smaller batch or a larger set", size, n, step))
	}
	per := n / size
	if epoch := step / per; epoch != s.epoch {
		permute(s.order, s.seed, epoch)
		s.epoch = epoch
	}
	at := step % per * size
	return s.order[at : at+size : at+size]
}
