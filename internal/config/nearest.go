package config

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/xrash/smetrics"
)

// keysOf lists the full paths of the keys of a group. The root is "".
func keysOf(known []setting, group string) string {
	var keys []string
	for _, s := range known {
		if parent, _ := splitPath(s.path); parent == group {
			keys = append(keys, s.path)
		}
	}
	return strings.Join(keys, ", ")
}

// splitPath cuts "chain.steps" into its group and its last word.
func splitPath(path string) (group, last string) {
	i := strings.LastIndexByte(path, '.')
	return path[:max(i, 0)], path[i+1:]
}

// unknownKey is the error for a key that no setting has. It names the keys that end in the same word or a part of it, else
// the nearest path, else the keys of the group.
func unknownKey(path string, known []setting) error {
	group, word := splitPath(path)
	var paths []string
	var elsewhere [3][]string // keys with this last word, those that it begins with, and those that it ends in
	for _, s := range known {
		paths = append(paths, s.path)
		switch _, last := splitPath(s.path); {
		case last == word:
			elsewhere[0] = append(elsewhere[0], s.path)
		case strings.HasPrefix(word, last+"_"):
			elsewhere[1] = append(elsewhere[1], s.path)
		case strings.HasSuffix(word, "_"+last):
			elsewhere[2] = append(elsewhere[2], s.path)
		}
	}
	near := nearest(path, paths)
	if i := slices.IndexFunc(elsewhere[:], func(keys []string) bool { return len(keys) > 0 }); i >= 0 {
		near = strings.Join(elsewhere[i], " or ")
	}
	if near != "" {
		return fmt.Errorf("unknown key %s: did you mean %s?", show(path), near)
	}
	if s := find(known, group); s == nil || !s.group {
		group = ""
	}
	return fmt.Errorf("unknown key %s: known are %s", show(path), keysOf(known, group))
}

// Guess returns "did you mean X? " with the entry of known that is nearest to word, or "" if none is near.
func Guess(word string, known []string) string {
	if near := nearest(word, known); near != "" {
		return "did you mean " + near + "? "
	}
	return ""
}

// nearest returns the entry of known that is nearest to word, or "" if none is near. An entry is near if, case
// and punctuation aside, at most a third of its letters have to be inserted, dropped or replaced. Of two
// entries at the same distance it returns the first.
func nearest(word string, known []string) string {
	best, found := math.MaxInt, ""
	for _, k := range known {
		a, b := letters(word), letters(k)
		if len(a) > 2*len(b)+2 {
			continue // too far, and perhaps too long to compare
		}
		if d := smetrics.WagnerFischer(a, b, 1, 1, 1); d < best && d <= (max(len(a), len(b))+2)/3 {
			best, found = d, k
		}
	}
	return found
}

func letters(s string) string {
	return strings.NewReplacer("-", "", "_", "", " ", "").Replace(strings.ToLower(s))
}
