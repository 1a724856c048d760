// Package torch is a thin layer over libtorch: tensors, every ATen operator, autograd, randomness
// and devices.
//
// A [Tensor] is an 8-byte handle. Operators are methods named as in PyTorch; [Call] reaches every
// other operator by its schema name. Tensors belong to scopes: [Do] opens one and frees, on the way
// out, whatever was made inside, by any function; [Tidy] is an inner scope whose result moves out;
// Keep takes a tensor out of all scopes, and whoever keeps closes. There are no finalizers and the
// garbage collector sees nothing. Freeing a handle never breaks a graph: autograd holds its own.
//
//	err := torch.Do(func() error {
//		x := torch.FromSlice([]float32{1, 2, 3}).Leaf() // requires grad
//		y := x.Square().Sum()
//		fmt.Println(torch.Grad(y, x, false))            // 2, 4, 6
//		return nil
//	})
//
// Errors come in two ways. An operator, from tensors to tensors, needs an open scope and panics
// with *[Error] (operator, shapes, libtorch's first line); Do turns that type, and no other, into
// its error. Every other exported function returns an error.
//
// libtorch keeps its grad mode and OpenMP pool per OS thread, so Do pins its goroutine. Any
// goroutine may read a tensor while its scope is open; only the owner keeps or closes it. The
// first Do sets the number of threads (see [SetThreads]) and tells glibc to keep freed memory,
// whose pages the next operator would fault in again.
//
// Files of others: safetensors, what torch.save wrote ([ReadStateDict]), numpy's .npy and .npz, images
// ([FromImage]) and gonum's matrices ([FromMat]). Reading executes nothing, a file that makes no
// sense is an error that names it, and no more memory is taken than its size justifies.
//
// Randomness is keyed, not streamed: [NewRNG] names a source by (seed, step, purpose).
//
// Processes that train together form a [Group]: libtorch's c10d, found through [GroupFromEnv].
package torch
