// Package docs holds the pages that the program prints.
package docs

import _ "embed"

// Config is config.md: every key of a config with its default, range and meaning. A test of cmd/liebm writes it from the
// comments of the fields.
//
//go:embed config.md
var Config string
