package study

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/liebm/liebm/internal/config"
)

// A Study is a table or a figure of the paper, or a comparison of our own: the models that it compares, the published
// figures if there are any, and the trends that it tests.
type Study struct {
	Name  string // as in table9; see [Names]
	Title string
	Note  string // for readers of the results; may be empty

	data      string     // prefix of the presets at the paper's scale
	mini      string     // the same at the mini scale; empty: fmnist
	published []string   // the paper's columns
	ours      []quantity // our columns
	rows      []row
	claims    []claim
	curves    []string // variants whose distance in the course of training is drawn

	pictures drawing // beside the results; nil: there is nothing to draw

	// text makes the whole page of a study that trains nothing; nil: the page is a table of rows.
	text func() (string, error)
}

// A drawing draws pictures of a study whose models are in a folder.
type drawing func(ctx context.Context, w *work, s Study, f *folder) ([]Figure, error)

// A row has one published figure for each of the study's columns, and the variant that is ours. A row
// without a variant shows another method's figures.
type row struct {
	label     string
	published []string
	variant   string

	// variation selects among the numbers of one model. "energy" scores by F(f(x)) alone, "no_mcmc" is G
	// without the chain, and "/refined" is a stage of restoration.
	variation string
}

// Names lists the studies that [Named] knows.
func Names() (names []string) {
	for _, s := range studies {
		names = append(names, s.Name)
	}
	return names
}

// Named returns a study by name: table1 to table12, fig6 to fig9, or one that is not in the paper. See [Names].
func Named(name string) (Study, error) {
	if i := slices.IndexFunc(studies, func(s Study) bool { return s.Name == name }); i >= 0 {
		return studies[i], nil
	}
	return Study{}, fmt.Errorf("no study is called %q: %sthere are %s", name, config.Guess(name, Names()), strings.Join(Names(), ", "))
}

// variants are the names of those that the study reads.
func (s Study) variants() (names []string) {
	var read []string
	for _, r := range s.rows {
		read = append(read, r.variant)
	}
	read = append(read, s.curves...)
	for _, c := range s.claims {
		read = append(read, c.better.variant, c.worse.variant)
	}
	for _, name := range read {
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// measures reports whether the study has numbers of a measurement.
func (s Study) measures(what measurement) bool {
	return slices.ContainsFunc(s.ours, func(q quantity) bool { return q.from == what })
}

// timed reports whether models train for a time, not for a number of steps.
func (s Study) timed() bool {
	return slices.ContainsFunc(s.variants(), func(name string) bool { return variantNamed(name).seconds > 0 })
}

// A quantity is one of our columns, or several, which depend on the scale and the data set.
type quantity struct {
	from    measurement
	columns func(sc Scale, data string) []column
}

// A column of a table has a title and the name of the number that it shows.
type column struct{ title, metric string }

// classBalance is the title of class_kl.
const classBalance = "KL of classes"

// always is a quantity with the same columns at every scale.
func always(from measurement, columns ...column) quantity {
	return quantity{from, func(Scale, string) []column { return columns }}
}

var (
	distance = quantity{ofSamples, func(sc Scale, data string) []column {
		columns := []column{{sc.distanceTitle(), sc.distance()}}
		if !sc.paper && Classified(data) {
			columns = append(columns, column{classBalance, "class_kl"})
		}
		return columns
	}}
	inceptionScore = quantity{ofSamples, func(sc Scale, _ string) []column {
		if !sc.paper {
			return nil // no Inception
		}
		return []column{{"IS", "is"}}
	}}
	nfe       = always(ofSamples, column{"NFE", "nfe"})
	seconds   = always(ofSamples, column{"seconds", "seconds"}) // per sample
	areas     = quantity{ofSamples, func(sc Scale, data string) []column { return areaColumns(sc.outliers(data)) }}
	inference = always(ofInference, column{"cos(h(x), h(G(μ)))", "cosine"}, column{"class kept, G(μ)", "class_agreement"},
		column{"cos(h(x), h(G(m̃)))", "cosine_sampled"}, column{"class kept, G(m̃)", "class_agreement_sampled"})
	modes            = always(ofModes, column{"modes", "modes"}, column{"reverse KL", "reverse_kl"})
	hDistance        = always(ofSamples, column{"FD on h", "fd_h"})
	nearAreas        = always(ofNearOutliers, append(areaColumns(nearSets()), column{"class left out", "auroc/" + LeftOut})...)
	givenAreas       = quantity{ofGivenOutliers, func(sc Scale, _ string) []column { return areaColumns(sc.given()) }}
	spreadOfF        = always(ofSamples, column{"sd of F", "energy_std"})
	madeNearAreas    = always(ofNearOutliers, areaColumns(NearOutliers)...)
	longChainNumbers = quantity{ofChains, func(sc Scale, data string) (all []column) {
		add := func(title, metric string, steps []int) {
			for _, n := range steps {
				all = append(all, column{fmt.Sprintf("%s, T = %d", title, n), fmt.Sprintf("%s/%d", metric, n)})
			}
		}
		add("E", "energy", chainSteps)
		add(sc.distanceTitle(), sc.distance(), chainSteps[:len(chainSteps)-1])
		if Classified(data) {
			add("class kept", "class_agreement", chainSteps[1:])
		}
		add("move", "move", chainSteps[1:])
		return all
	}}
	equalTime = quantity{ofEqualTime, func(sc Scale, _ string) []column {
		return []column{{"seconds of training", "seconds_to_train"}, {"training images a second", "images_per_second"}, {sc.distanceTitle(), sc.distance()},
			{"precision", "precision"}, {"recall", "recall"}, {classBalance, "class_kl"}, {"seconds a sample", "seconds"},
			{"peak memory of training in MB", "memory_mb"}}
	}}
	reconstruction = always(ofReconstruction, column{"MSE", "mse"}, column{"MSE in [0, 1]", "mse_unit"}, column{"MSE, G's statistics of the prior", "mse_prior_stats"})
	restoration    = quantity{ofRestoration, func(sc Scale, _ string) (all []column) {
		for _, task := range sc.tasks() {
			title := map[string]string{Colorize: "colorization", SR4: "4× SR", SR8: "8× SR"}[task]
			all = append(all, column{title + " PSNR", "psnr/" + task}, column{title + " SSIM", "ssim/" + task})
		}
		return all
	}}
	accuracy = always(ofProbes, column{"linear probe", "linear"}, column{"5-NN", "knn5"})
)

// areaColumns have the AUROC against each of these sets of outliers.
func areaColumns(sets []string) (all []column) {
	for _, name := range sets {
		all = append(all, column{name, "auroc/" + name})
	}
	return all
}

// columns are ours at a scale.
func (s Study) columns(sc Scale) (all []column) {
	for _, q := range s.ours {
		all = append(all, q.columns(sc, sc.dataOf(s))...)
	}
	return all
}

// vary is the name of a variation of a number: auroc/constant becomes auroc_energy/constant, and psnr/sr8
// becomes psnr/sr8/start.
func vary(metric, variation string) string {
	if variation == "" || variation[0] == '/' {
		return metric + variation
	}
	head, tail, cut := strings.Cut(metric, "/")
	if !cut {
		return head + "_" + variation
	}
	return head + "_" + variation + "/" + tail
}
