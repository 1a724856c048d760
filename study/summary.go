package study

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/liebm/liebm/eval"
)

// A Summary is what records say about a run: every value once, the newest one, and the records that the
// values are from.
type Summary struct {
	Values  eval.Values    `json:"values"`
	Records []*eval.Record `json:"records"` // the oldest first
}

// Summarize makes a summary of records, the oldest first. A later record's value replaces an earlier one
// of the same name.
func Summarize(records []*eval.Record) *Summary {
	s := &Summary{Values: eval.Values{}}
	for i := len(records) - 1; i >= 0; i-- {
		fresh := false
		for key, v := range records[i].Values {
			if _, ok := s.Values[key]; !ok {
				s.Values[key], fresh = v, true
			}
		}
		if fresh {
			s.Records = append([]*eval.Record{records[i]}, s.Records...)
		}
	}
	return s
}

// Of returns the record that has the value of this name; nil if there is none.
func (s *Summary) Of(key string) *eval.Record {
	for i := len(s.Records) - 1; i >= 0; i-- {
		if _, ok := s.Records[i].Values[key]; ok {
			return s.Records[i]
		}
	}
	return nil
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// A Distance is one line about a Fréchet distance: its name, or "" to continue the one above.
type Distance struct {
	Title string
	Value float64
	Note  string
}

// Distances are the Fréchet distances of samples, of G alone and of training images, as far as they were
// measured.
func (s *Summary) Distances() (lines []Distance) {
	for _, key := range []string{"fid", "fd", "fd_h"} {
		r := s.Of(key)
		if r == nil {
			continue
		}
		n := 0
		if len(r.Inputs) > 0 {
			n = r.Inputs[0].N
		}
		title := r.Metric
		for _, line := range []struct{ suffix, note string }{
			{"", fmt.Sprintf("after MCMC, NFE %d, n %d, features %s", r.NFE, n, r.Network)},
			{"_no_mcmc", "G alone, NFE 1"},
			{"_floor", "training images, the floor"},
		} {
			if v, ok := s.Values[key+line.suffix]; ok {
				lines = append(lines, Distance{title, v, line.note})
				title = ""
			}
		}
	}
	return lines
}

// Outliers are the sets that inliers were told from, sorted.
func (s *Summary) Outliers() (names []string) {
	for key := range s.Values {
		if name, ok := strings.CutPrefix(key, "auroc/"); ok && !strings.HasSuffix(name, "/low") && !strings.HasSuffix(name, "/high") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
