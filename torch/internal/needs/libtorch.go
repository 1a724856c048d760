//go:build !libtorch_pinned

package needs

import "C"
