// Package gotorch joins networks written with github.com/wangkuiyi/gotorch to ours: tensors cross in
// both directions without a copy, and a gotorch module serves as an energy whose parameters our
// optimisers train.
//
//	net := gotorch.Wrap(loadMyGotorchNet()) // any gotorch nn.IModule with a Forward
//	defer nn.Close(net)
//	x = chain.Run(net.Energy, x, rng)        // mcmc.Langevin over it
//	adam := optim.NewAdam(nn.Params(net), o) // in the order of the fields
//
// The package exists under the build tag gotorch only, since gotorch needs its C library at link time;
// make gotorch builds that from the module cache into third_party/gotorch/, and env.sh lets cgo find
// it there. Elsewhere: sh third_party/gotorch.sh FOLDER, and CGO_LDFLAGS="-LFOLDER -Wl,-rpath,FOLDER".
//
// # Lifetimes
//
// A gotorch tensor is freed by a finalizer, ours by its scope. [From] and [To] give each side its
// own reference, so each side can free its tensor at any time.
//
// gotorch itself frees too early: a finalizer may run while an operator still reads a temporary, and
// relu(mul(a, b)) then crashes. This package prevents that inside [Run], [Module.Forward] and
// [Module.Energy]: the tensors that Go's collector finds meanwhile are freed after these functions return.
// gotorch also frees too late, because the collector does not see the memory of tensors. The three
// functions start a collection when C's memory has doubled and grown by 64 MB (with glibc 2.33 or newer,
// and on the CPU only).
//
// # Other effects on the process
//
// gotorch's init sets half as many threads as there are CPUs, and ends the process if there is one CPU. This
// package prevents that, and the first torch.Do sets the number of threads. gotorch's init also locks the main
// goroutine to its thread for good, because gotorch.GC relies on it. So the main goroutine needs microseconds
// more to exchange values with others.
//
// A C++ exception in gotorch's Backward or its optimisers ends the process. Use From(loss).Backward() and
// package optim. gotorch's Parameters() have a random order, so its own optimisers are not reproducible;
// nn.Params of a wrapped module has the order of the fields. Modules start in training mode: call Train(false)
// on a module with batch norm before you use it as an energy.
package gotorch
