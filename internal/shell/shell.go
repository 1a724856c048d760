// Package shell writes words of commands that a person may copy into a shell.
package shell

import (
	"regexp"
	"strings"
)

// Word quotes a word where it must be quoted.
func Word(word string) string {
	if regexp.MustCompile(`^[\w./:=@%+,-]+$`).MatchString(word) {
		return word
	}
	return Quote(word)
}

// Quote quotes a text.
func Quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
