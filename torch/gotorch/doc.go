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
// A gotorch tensor is freed by a finalizer, ours by its scope. [From] and [To] give each side a
// reference of its own, so that neither needs to know when the other lets go.
//
// gotorch itself frees too early: a finalizer may run while an operator still reads a temporary, and
// relu(mul(a, b)) then crashes. Importing this package mends that for code that runs inside [Run],
// [Module.Forward] or [Module.Energy]: what Go's collector finds there is freed after they returned.
// gotorch also frees too late, because that collector does not see what tensors weigh. When the
// memory that C holds has doubled, and grown by 64 MB, they start a collection (with glibc 2.33 or
// newer, and on the CPU only).
//
// # Other effects on the process
//
// gotorch's init asks for half as many threads as there are CPUs, or ends the process where that is
// none: mended here, and the first torch.Do sets the count anyway. It also locks the main goroutine to
// its thread for good. That stays, since gotorch.GC relies on it; it costs microseconds when the main
// goroutine exchanges values with others.
//
// gotorch has no guard around Backward and its optimisers: there a C++ exception ends the process. Use
// From(loss).Backward() and package optim. Its Parameters() come in random order, so that its own
// optimisers are not reproducible; nn.Params of a wrapped module has the order of the fields. Modules
// start in training mode: call Train(false) on one with batch norm before it serves as an energy.
package gotorch
