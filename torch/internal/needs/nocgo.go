//go:build !cgo

// Package needs does not compile where cgo or libtorch is missing. Package torch imports it, so that the
// build stops with one line that says what to do.
package needs

const _ int = "liebm needs cgo: install g++ and build with CGO_ENABLED=1"
