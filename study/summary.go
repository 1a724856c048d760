package study

import (
	"encoding/json"
	"io"

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
