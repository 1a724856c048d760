package study

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/liebm/liebm/eval"
)

// A Summary has the newest value of each name in the records of a run, and the records that these values come from.
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

// checkpointOf is the SHA-256 of the checkpoint that a record measured, or empty. A record of samples also has that of the network that
// measured them.
func checkpointOf(r *eval.Record) string {
	for _, in := range r.Inputs {
		if in.WeightsSHA256 != "" {
			return in.WeightsSHA256
		}
	}
	return r.WeightsSHA256
}

// ofCheckpoint are the records of a checkpoint.
func ofCheckpoint(records []eval.Record, sha256 string) (own []*eval.Record) {
	for i := range records {
		if checkpointOf(&records[i]) == sha256 {
			own = append(own, &records[i])
		}
	}
	return own
}

// ofNewest are the records of the checkpoint that was measured last, and those that name none.
func ofNewest(records []eval.Record) (own []*eval.Record) {
	newest := ""
	for i := range records {
		newest = cmp.Or(checkpointOf(&records[i]), newest)
	}
	for i := range records {
		if of := checkpointOf(&records[i]); of == newest || of == "" {
			own = append(own, &records[i])
		}
	}
	return own
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

// A Line is one number of a summary. An empty Title continues the line above.
type Line struct {
	Title string
	Value float64
	Note  string
}

// Lines are the Fréchet distances of samples, of G alone and of training images, IS, accuracies of probes, errors of
// reconstructions, and times, as far as they were measured.
func (s *Summary) Lines() (lines []Line) {
	values, title := maps.Clone(s.Values), ""
	for _, end := range []string{"", "_no_mcmc"} {
		if seconds, ok := values["seconds"+end]; ok {
			values["speed"+end] = 1 / seconds
		}
	}
	add := func(key, note string) {
		if v, ok := values[key]; ok {
			lines = append(lines, Line{title, v, note})
			title = ""
		}
	}
	for _, key := range distanceKeys {
		if r := s.Of(key); r != nil {
			n := 0
			if len(r.Inputs) > 0 {
				n = r.Inputs[0].N
			}
			title = r.Metric
			add(key, fmt.Sprintf("after MCMC, NFE %d, n %d, features %s", r.NFE, n, r.Network))
			add(key+"_no_mcmc", "G alone, NFE 1")
			add(key+"_floor", "training images, the floor")
		}
	}
	title = "IS"
	add("is", fmt.Sprintf("± %.2f, after MCMC", s.Values["is_std"]))
	add("is_no_mcmc", fmt.Sprintf("± %.2f, G alone", s.Values["is_std_no_mcmc"]))
	title = "modes of 1,000"
	add("modes", fmt.Sprintf("reverse KL %.3f, of %d samples after MCMC", s.Values["reverse_kl"], stackedModes))
	for _, on := range []string{"h", "f"} {
		title = "accuracy on features of " + on
		add("knn5_"+on, "5-NN")
		add("linear_"+on, "linear probe")
	}
	title = "MSE of reconstructions"
	add("mse", "of pixels in the training range")
	add("mse_prior_stats", "if G has the batch-norm statistics of the prior's latents")
	title = "images per second"
	add("speed", "after MCMC")
	add("speed_no_mcmc", "G alone")
	for _, stage := range []string{"pretrain", "train"} {
		title = "seconds to " + stage
		add("seconds_to_"+stage, "")
	}
	return lines
}

// Measured reports whether there are figures to show.
func (s *Summary) Measured() bool { return len(s.Lines())+len(s.Outliers()) > 0 }

// Outliers are the names of the sets of outliers that were measured, sorted.
func (s *Summary) Outliers() (names []string) {
	for key := range s.Values {
		if name, ok := strings.CutPrefix(key, "auroc/"); ok && !strings.HasSuffix(name, "/low") && !strings.HasSuffix(name, "/high") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Gamma is γ of the score s(x) against a set of outliers, or empty.
func (s *Summary) Gamma(set string) string { return s.Of("auroc/" + set).Settings["gamma"] }

// AUROC is the area under the ROC curve of a score against a set, as text. It is empty if it was not measured.
func (s *Summary) AUROC(score, set string) string {
	if v, ok := s.Values[score+"/"+set]; ok {
		return number(v)
	}
	return ""
}
