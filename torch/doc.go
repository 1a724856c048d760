// Package torch is a thin layer over libtorch: tensors, every ATen operator, autograd, randomness,
// devices and files. docs/pytorch.md maps PyTorch to it, line by line.
//
// Tensors. A [Tensor] is an 8-byte handle, copied like a time.Time; the zero Tensor means "none".
// Operators are methods named as in PyTorch; [Call] reaches every other by its schema name.
//
// Scopes own tensors. [Do] opens one and frees, on the way out, whatever was made inside, by any
// function. [Tidy] is an inner scope whose result moves out: a loop has one per iteration.
// [Tensor.Keep] takes a tensor out of all scopes, and whoever keeps closes. There are no finalizers
// and the garbage collector sees nothing. Freeing a handle never breaks a graph: autograd holds its
// own. [Live] counts; a tensor used too late is an error, not a crash.
//
//	err := torch.Do(func() error {
//		w := torch.Zeros([]int{3}, torch.Float32).Leaf() // requires grad
//		for range 100 {
//			torch.Tidy(func() torch.Tensor {
//				loss := x.Matmul(w).Sub(y).Square().Mean()
//				grad := torch.Grad(loss, w, false) // or Grads of many, or Backward
//				torch.NoGrad(func() { w.AddInPlace(grad, -0.1) })
//				return torch.Tensor{}
//			})
//		}
//		return save(torch.ToSlice[float32](w)) // out of Do come Go values and kept tensors
//	})
//
// Errors. An operator, from tensors to tensors, needs an open scope and panics with *[Error]:
// operator, shapes, libtorch's first line. Do turns that type, and no other, into its error. Every
// other exported function is a job: it opens its own scope and returns an error.
//
// Threads. libtorch keeps its grad mode and OpenMP pool per OS thread, so Do pins its goroutine.
// Any goroutine may read a tensor inside a Do of its own while the tensor's scope is open; only the
// owner keeps or closes it. The first Do sets the number of threads (see [SetThreads]), tells glibc
// to keep freed memory, whose pages the next operator would fault in again, and switches oneDNN off
// where it computes wrongly ([WhyNoOneDNN]).
//
// Randomness is keyed, not streamed: [NewRNG] names a source by (seed, step, purpose), and the draws
// of one part of a program do not depend on another's.
//
// Files of others: safetensors, what torch.save wrote ([ReadStateDict]), numpy's .npy and .npz, images
// ([FromImage]) and gonum's matrices ([FromMat]). Reading executes nothing, a file that makes no
// sense is an error that names it, and no more memory is taken than its size justifies.
//
// Processes that train together form a [Group]: libtorch's c10d, found through [GroupFromEnv].
package torch
