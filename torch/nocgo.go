//go:build !cgo

package torch

import _ "github.com/liebm/liebm/torch/internal/needs" // does not compile without cgo, and says why
