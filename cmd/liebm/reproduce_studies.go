package main

import (
	"fmt"
	"slices"

	"github.com/liebm/liebm/internal/config"
)

// A study is a table or figure of the paper: its rows with the published figures, what ours are read
// from, and what the paper says that it shows.
type study struct {
	Name, Title string
	Data        string   // the preset's data set at paper scale
	Published   []string // the paper's columns
	Ours        []kind   // ours
	Rows        []row
	Claims      []claim
	Curves      []string // cells whose distance during training is drawn; with curves the end is drawn too
	Note        string

	// Pictures leaves pictures beside the results, if it is set, and returns their names and captions.
	Pictures func(p *plan, g grid) ([][2]string, error)

	// Text is the whole result, where nothing is trained.
	Text func() (string, error)
}

// A row is a published line of figures, one for each of the study's columns, and the cell that ours
// come from; a row without a cell is another method's, and stands for comparison.
type row struct {
	Label     string
	Figures   []string
	Cell      string
	Variation string // which measurement of the cell: "energy", F(f(x)) alone; "no_mcmc", G alone; "cosine"
}

// A kind is a column of ours, or several, which depend on the scale.
type kind int

const (
	distance kind = iota // FD, or FID at paper scale
	inceptionScore
	nfe
	outlierAreas // AUROC, a column for each set of outliers
	seconds      // per sample
	reconstruction
	restoration
	accuracy // of probes
)

// A measurement is a group of numbers that are measured of a cell together, when a study needs them.
type measurement string

const (
	ofSamples        measurement = "samples" // distances, areas, seconds
	ofReconstruction measurement = "reconstruction"
	ofRestoration    measurement = "restoration"
	ofProbes         measurement = "probes"
)

// measurements are those that the study's columns read.
func (s study) measurements() (all []measurement) {
	for _, k := range s.Ours {
		what := ofSamples
		switch k {
		case reconstruction:
			what = ofReconstruction
		case restoration:
			what = ofRestoration
		case accuracy:
			what = ofProbes
		}
		if !slices.Contains(all, what) {
			all = append(all, what)
		}
	}
	return all
}

// A claim is a trend that the paper reports: for every seed, one reading should be better than another.
type claim struct {
	Text          string
	Better, Worse reading
	Larger        bool    // the larger one is better, as for an AUROC
	Slack         float64 // the share by which Better may be worse and still count as similar
}

// A reading is one number of one cell.
type reading struct{ Cell, Metric string }

// cells are those that the study reads.
func (s study) cells() (names []string) {
	add := func(name string) {
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, r := range s.Rows {
		add(r.Cell)
	}
	for _, name := range s.Curves {
		add(name)
	}
	for _, c := range s.Claims {
		add(c.Better.Cell)
		add(c.Worse.Cell)
	}
	return names
}

func studyNames() (names []string) {
	for _, s := range studies() {
		names = append(names, s.Name)
	}
	return names
}

func studyNamed(name string) (study, error) {
	all := studies()
	if i := slices.IndexFunc(all, func(s study) bool { return s.Name == name }); i >= 0 {
		return all[i], nil
	}
	return study{}, fmt.Errorf("%s is nothing that can be reproduced: %sthere are %v", name, config.Guess(name, studyNames()), studyNames())
}
