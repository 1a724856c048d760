// Package torch calls libtorch, the C++ library of PyTorch: tensors, all ATen operators, autograd, random
// numbers, devices and files. docs/pytorch.md shows PyTorch calls beside the calls of this package.
//
// A [Tensor] is a handle of 8 bytes on a tensor of libtorch. It is copied like a time.Time. The zero Tensor
// is no tensor. Operators are methods with PyTorch's names. [Call] calls any other operator by the name of
// its schema.
//
// Scopes own tensors. [Do] opens a scope, and when it ends frees all tensors that were made inside. [Tidy]
// opens an inner scope, whose result moves to the outer one; a loop uses one for each iteration.
// [Tensor.Keep] takes a tensor out of all scopes, and then the caller must close it. There are no finalizers.
// Freeing a handle never breaks a graph, because autograd has its own references. [Live] is the number of
// tensors. Using a tensor after its scope is an error, not a crash, also if another goroutine ends the scope.
//
//	err := torch.Do(func() error {
//		w := torch.Zeros([]int{3}, torch.Float32).Leaf() // requires grad
//		for range 100 {
//			torch.Tidy(func() torch.Tensor {
//				loss := x.Matmul(w).Sub(y).Square().Mean()
//				grad := torch.Grad(loss, w, false) // see also Grads and Backward
//				torch.NoGrad(func() { w.AddInPlace(grad, -0.1) })
//				return torch.Tensor{}
//			})
//		}
//		return save(torch.ToSlice[float32](w)) // only Go values and kept tensors outlive Do
//	})
//
// Operators need an open scope and panic with *[Error], which has the operator, the shapes and the first line
// of libtorch's message. Do returns that error; other panics pass through. Functions that read or write files, or wait for
// other processes, return errors and open their own scopes.
//
// libtorch has a grad mode and an OpenMP pool per OS thread, so Do pins its goroutine to a thread. Any
// goroutine may read a tensor inside its own Do while the tensor's scope is open. Only the owner may keep or
// close it. The first Do sets the number of threads ([SetThreads]), lets glibc keep freed memory, and switches
// oneDNN off where its results are wrong ([WhyNoOneDNN]).
//
// Random numbers are functions of (seed, step, purpose); see [NewRNG]. They do not depend on what other parts
// of the program draw.
//
// The package reads and writes safetensors, numpy's .npy and .npz, images ([FromImage]) and gonum's matrices
// ([FromMat]), and reads the files of torch.save ([ReadStateDict]). Reading executes nothing in a file. A wrong
// file is an error that names it. No allocation is larger than the size of the file justifies.
//
// Processes that train together form a [Group]; see [GroupFromEnv].
package torch
