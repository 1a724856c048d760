package study

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/liebm/liebm/eval"
	"github.com/liebm/liebm/internal/config"
	"github.com/liebm/liebm/models"
	"github.com/liebm/liebm/train"
)

// A Comparison compares trainings: how far chains moved, how far E separated data from negative samples,
// and how often training diverged. See [CompareRuns].
type Comparison struct {
	Title    string     `json:"title"`
	Command  string     `json:"command"` // that made it
	Note     string     `json:"note,omitempty"`
	Groups   []RunGroup `json:"groups"`
	Distance string     `json:"distance"`         // fid, fd or fd_h, the first that all runs have; empty: none
	Trends   []Trend    `json:"trends,omitempty"` // the distances of every group against the first one's, seed by seed
	Pairs    []Pair     `json:"pairs,omitempty"`  // every number of every group against the first one's, seed by seed
}

// A RunGroup is the runs of one config from several seeds.
type RunGroup struct {
	Name     string        `json:"name"`
	Settings []string      `json:"settings"` // that differ from the first group's
	Runs     []ComparedRun `json:"runs"`
}

// A ComparedRun has the figures of one training, from its run folder.
type ComparedRun struct {
	Seed        uint64          `json:"seed"`
	Steps       int             `json:"steps"`             // that were made
	Divergences []int           `json:"divergences"`       // their steps
	Last        eval.Values     `json:"last"`              // the metrics, and the energy gap, as means over the last fifth of the steps
	Results     eval.Values     `json:"results,omitempty"` // of the checkpoint that was measured last, as by liebm eval; results of earlier versions lack it
	Curve       []CurvePoint    `json:"curve"`
	Config      json.RawMessage `json:"config"`
	Encoder     string          `json:"encoder,omitempty"` // SHA-256 of the run's encoder
}

// A CurvePoint is one line of a run's metrics.
type CurvePoint struct {
	Step int     `json:"step"`
	Move float64 `json:"move_rms"` // rms(x^T − x⁰) of G's chains
	Gap  float64 `json:"gap"`      // mean energy of data minus mean energy of negative samples

	Share float64 `json:"latent_share,omitempty"` // of the latent term, see latentShare; 0: the run has no cosine posterior, or an earlier version read it
}

// latentShare is the share of the latent term in L_E of Eq. 4: |γ·cos| / (|γ·cos| + |gap|). cos is the mean of cos(g(f(x)), z) over the
// data, and gap is the mean of F(f(x)) over the data minus the mean over negative samples. Without a margin, −L_E is gap + γ·cos. The
// share is 0 if the energies of data and negative samples alone make the loss, and 1 if the cosine alone does. It is known for the cosine
// posterior only: metrics have no log p(z|x) of another one.
func latentShare(gamma, cosine, gap float64) float64 {
	latent := math.Abs(gamma * cosine)
	if latent == 0 {
		return 0
	}
	return latent / (latent + math.Abs(gap))
}

// CompareRuns reads run folders. Folders that are named NAME-seedN are one group. Settings are those of a group's first
// run, at its start: a run that diverged went on with a smaller δ² and a smaller rate of E.
func CompareRuns(title, command string, dirs []string) (*Comparison, error) {
	c := &Comparison{Title: title, Command: command}
	var first train.Config
	for i, dir := range dirs {
		name, _, _ := strings.Cut(filepath.Base(dir), "-seed")
		cfg, run, err := compared(dir)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			first = cfg
		}
		at := slices.IndexFunc(c.Groups, func(g RunGroup) bool { return g.Name == name })
		if at < 0 {
			cfg.Seed = first.Seed
			changes, err := config.Changes(first, cfg)
			if err != nil {
				return nil, err
			}
			at, c.Groups = len(c.Groups), append(c.Groups, RunGroup{Name: name, Settings: changes})
		}
		if slices.ContainsFunc(c.Groups[at].Runs, func(r ComparedRun) bool { return r.Seed == run.Seed }) {
			return nil, fmt.Errorf("%s: group %s has another run of seed %d: runs of a group need different seeds", dir, name, run.Seed)
		}
		c.Groups[at].Runs = append(c.Groups[at].Runs, run)
	}
	c.judge()
	return c, nil
}

// judge compares the distance of every group with the first one's. Distances on different encoders cannot be compared.
func (c *Comparison) judge() {
	first := c.Groups[0].Name
	c.Distance, c.Trends, c.Pairs = "", nil, nil
	if i := slices.IndexFunc(distanceKeys, c.shares); i >= 0 {
		c.Distance = distanceKeys[i]
	}
	for _, g := range c.Groups[1:] {
		cells := map[string][]Cell{g.Name: g.cells(c.Groups[0]), first: c.Groups[0].cells(g)}
		t := claim{text: g.Name + " is better than " + first, better: reading{g.Name, c.Distance}, worse: reading{first, c.Distance}}.judge(Mini(), cells)
		if t.Seeds > 0 {
			c.Trends = append(c.Trends, t)
		}
		p := Pair{First: g.Name, Second: first}
		values, _ := paired(cells[g.Name], cells[first])
		for _, name := range c.numbers() {
			if n := contrast(values, name, name); n.Seeds > 0 {
				p.Numbers = append(p.Numbers, n)
			}
		}
		if len(p.Numbers) > 0 {
			c.Pairs = append(c.Pairs, p)
		}
	}
}

// cells are the runs as models of a study. A run counts if the run of the same seed in other made as many steps, or if one of them
// diverged.
func (g RunGroup) cells(other RunGroup) (cells []Cell) {
	for _, r := range g.Runs {
		for _, o := range other.Runs {
			if o.Seed == r.Seed && (o.Steps == r.Steps || o.diverged() != "" || r.diverged() != "") {
				cells = append(cells, Cell{Seed: r.Seed, Values: r.values(), Diverged: r.diverged()})
			}
		}
	}
	return cells
}

// diverged says at which step a run diverged for good, or is empty. The metrics of such a run end right before its last divergence.
// A run that went back has lost the metrics since its checkpoint, or has gone further.
func (r ComparedRun) diverged() string {
	var cfg struct{ Log struct{ Metrics int } }
	if len(r.Divergences) == 0 || json.Unmarshal(r.Config, &cfg) != nil {
		return ""
	}
	last := r.Divergences[len(r.Divergences)-1]
	if r.Steps >= last || r.Steps+cfg.Log.Metrics < last {
		return ""
	}
	return fmt.Sprintf("step %d", last)
}

// evaluated begins the names of numbers that are from a run's results.
const evaluated = "eval/"

// values are all numbers of a run.
func (r ComparedRun) values() eval.Values {
	all := maps.Clone(r.Last)
	for name, v := range r.Results {
		all[evaluated+name] = v
	}
	return all
}

// numbers are the names of the numbers that runs are compared by: those of the metrics, and those of results that tell how good a
// model is. Counts and speeds are left out, and distances on different encoders.
func (c *Comparison) numbers() (names []string) {
	for _, g := range c.Groups {
		for _, r := range g.Runs {
			for name := range r.values() {
				result, ok := strings.CutPrefix(name, evaluated)
				count := strings.HasSuffix(name, "_n") || name == "steps_per_second" || ok && !tellsQuality(result)
				if !count && (!strings.HasPrefix(result, onEncoder) || c.shares(onEncoder)) {
					names = append(names, name)
				}
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// shares reports whether all runs that have a distance have the one with this key. For the distance on h they must also have the
// same h. Without an h it is measured on an untrained network and cannot be compared.
func (c *Comparison) shares(key string) bool {
	found, h := false, c.Groups[0].Runs[0].Encoder
	for _, g := range c.Groups {
		for _, r := range g.Runs {
			has := func(key string) bool { _, ok := r.Last[key]; return ok }
			if slices.ContainsFunc(distanceKeys, has) && !has(key) || key == onEncoder && (h == "" || r.Encoder != h) {
				return false
			}
			found = found || has(key)
		}
	}
	return found
}

// compared reads one run folder, and its config at the start.
func compared(dir string) (cfg train.Config, run ComparedRun, err error) {
	steps, cfg, err := train.Divergences(dir)
	if err != nil {
		return cfg, run, err
	}
	cfg.Data.Path = "" // a place on this machine, not a setting of the training
	run.Divergences = append([]int{}, steps...)
	if run.Config, err = config.JSON(cfg); err != nil {
		return cfg, run, err
	}
	lines, err := train.ReadMetrics(filepath.Join(dir, metricsFile))
	if err != nil {
		return cfg, run, err
	}
	run.Seed, run.Encoder = cfg.Seed, encoderSHA256(dir)
	for _, line := range lines {
		if move, ok := line.Values["move_rms"]; ok {
			at := CurvePoint{Step: line.Step, Move: move, Gap: line.Values["energy_real"] - line.Values["energy_fake"]}
			line.Values["gap"] = at.Gap
			if cosine, ok := line.Values["cosine"]; ok && cmp.Or(cfg.Energy.Posterior, models.Cosine) == models.Cosine {
				at.Share = latentShare(cfg.Energy.Gamma, cosine, at.Gap)
				line.Values["latent_share"] = at.Share
			}
			run.Curve = append(run.Curve, at)
		}
		run.Steps = max(run.Steps, line.Step)
	}
	run.Last = lastMeans(lines, run.Steps*4/5)
	records, err := eval.ReadRecords(filepath.Join(dir, ResultsFile))
	if err != nil {
		return cfg, run, err
	}
	run.Results = eval.Values{}
	for _, r := range ofNewest(records) {
		for name, v := range r.Values {
			if slices.Contains([]string{"value", "mean", "std"}, name) { // as of FID, IS and KID
				name = r.Metric + "/" + name
			}
			run.Results[name] = v // a later record replaces an earlier one
		}
	}
	return cfg, run, nil
}

// lastMeans are means of every metric over the lines after a step.
func lastMeans(lines []train.MetricsLine, after int) eval.Values {
	sum, n := eval.Values{}, map[string]float64{}
	for _, line := range lines {
		for name, v := range line.Values {
			if line.Step > after {
				sum[name] += v
				n[name]++
			}
		}
	}
	for name := range sum {
		sum[name] /= n[name]
	}
	return sum
}

// hasShare reports whether a run of the group has the share of the latent term.
func (g RunGroup) hasShare() bool {
	return slices.ContainsFunc(g.Runs, func(r ComparedRun) bool {
		return slices.ContainsFunc(r.Curve, func(at CurvePoint) bool { return at.Share > 0 })
	})
}

// Write leaves the comparison in a folder, as NAME.json, NAME.md and two plots, or three if runs have the share of the latent term.
func (c *Comparison) Write(dir, name string) error {
	move := chart{title: c.Title, x: "step", y: "rms(x^T − x⁰)", log: true, settled: true, legend: topRight, width: 7, height: 4}
	gap := chart{title: c.Title, x: "step", y: "energy gap", settled: true, legend: topRight, width: 7, height: 4}
	share := chart{title: c.Title, x: "step", y: "|γ·cos| / (|γ·cos| + |gap|)", legend: topRight, width: 7, height: 4}
	for _, g := range c.Groups {
		move.lines = append(move.lines, g.line(func(at CurvePoint) float64 { return at.Move }))
		gap.lines = append(gap.lines, g.line(func(at CurvePoint) float64 { return at.Gap }))
		if g.hasShare() {
			share.lines = append(share.lines, g.line(func(at CurvePoint) float64 { return at.Share }))
		}
	}
	plots := map[string][]byte{}
	for ending, chart := range map[string]chart{"-move.svg": move, "-gap.svg": gap, "-latent.svg": share} {
		svg, err := chart.svg()
		if err != nil {
			return err
		}
		plots[ending] = svg
	}
	return writePage(dir, name, c, c.Markdown(name), plots)
}

// line is the mean of a number over the group's seeds, with their deviation.
func (g RunGroup) line(of func(CurvePoint) float64) chartLine {
	var curves [][]Point
	for _, r := range g.Runs {
		var curve []Point
		for _, at := range r.Curve {
			curve = append(curve, Point{at.Step, of(at)})
		}
		curves = append(curves, curve)
	}
	points, spread := meanCurve(curves)
	return chartLine{g.Name, xys(points), spread}
}

// Markdown is the comparison as a page, whose files are called name.
func (c *Comparison) Markdown(name string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n", c.Title)
	if c.Note != "" {
		fmt.Fprintf(&b, "%s\n\n", c.Note)
	}
	fmt.Fprintf(&b, "    %s\n\nMeans over the last fifth of the steps, and over seeds (± standard deviation). The move is rms(x^T − x⁰) of G's chains.\n"+
		"The gap is the mean energy of data less that of negative samples. Settings are those that differ from the first row. Verdicts and\n"+
		"differences are those of runs of one seed that made the same number of steps.\n\n", c.Command)
	if c.Distance == "" {
		fmt.Fprintf(&b, "No distance was measured for all runs on the same features. To compare their samples, use liebm metrics fid.\n\n")
	}
	metrics, heads := []string{"move_rms", "gap", c.Distance}, []string{"move", "gap", cmp.Or(c.Distance, "distance")}
	shares := slices.ContainsFunc(c.Groups, RunGroup.hasShare)
	if shares {
		fmt.Fprintf(&b, "The latent share is |γ·cos| / (|γ·cos| + |gap|): the part of E's loss that is of the latent term. Runs without a cosine have none.\n\n")
		metrics, heads = slices.Insert(metrics, 2, "latent_share"), slices.Insert(heads, 2, "latent share")
	}
	tableHead(&b, "| runs | settings | seeds | steps | divergences (at steps) | "+strings.Join(heads, " | ")+" |")
	for _, g := range c.Groups {
		values := map[string][]float64{}
		var steps, divergences []int
		for _, r := range g.Runs {
			for metric, v := range r.Last {
				values[metric] = append(values[metric], v)
			}
			if !slices.Contains(steps, r.Steps) {
				steps = append(steps, r.Steps)
			}
			divergences = append(divergences, r.Divergences...)
		}
		diverged := fmt.Sprint(len(divergences))
		if len(divergences) > 0 {
			diverged += " (" + numbersOf(divergences) + ")"
		}
		var means []string
		for _, metric := range metrics {
			means = append(means, spread(values[metric]))
		}
		fmt.Fprintf(&b, "| %s | %s | %d | %s | %s | %s |\n", g.Name, strings.Join(g.Settings, ", "), len(g.Runs), numbersOf(steps), diverged, strings.Join(means, " | "))
	}
	if len(c.Trends) > 0 {
		fmt.Fprintf(&b, "\n%s\n\n", verdictNote)
		tableHead(&b, "| claim, of the distance | here | seeds | better | worse | gain | 95 % interval | tie band |")
	}
	for _, t := range c.Trends {
		fmt.Fprintf(&b, "| %s | %s | %s | ± %.2g |\n", t.Text, t.verdict(), t.line(), t.Tie)
	}
	c.differences(&b)
	fmt.Fprintf(&b, "\n![Moves of chains](%s-move.svg)\n\n![Energy gaps](%s-gap.svg)\n", name, name)
	if shares {
		fmt.Fprintf(&b, "\n![Share of the latent term](%s-latent.svg)\n", name)
	}
	return b.String()
}

// differences writes every number of the pairs.
func (c *Comparison) differences(b *strings.Builder) {
	if len(c.Pairs) == 0 {
		return
	}
	fmt.Fprint(b, "\n## All numbers\n\nMeans over the seeds that both rows have, and the mean difference: these runs less the first row. Names are those of metrics.jsonl.\n")
	if slices.ContainsFunc(c.numbers(), func(name string) bool { return strings.HasPrefix(name, evaluated) }) {
		fmt.Fprintf(b, "Names with %s are those of results.jsonl, by liebm eval and liebm metrics: there, a distance is that after the chain.\n", evaluated)
	}
	tableHead(b, "\n| runs | number | seeds | these runs | "+c.Groups[0].Name+" | difference | 95 % interval |")
	for _, p := range c.Pairs {
		for _, n := range p.Numbers {
			if !largerIsBetter(n.Name) { // then a gain is a fall
				n.Gain = 0 - n.Gain // and no -0
				if n.Interval != nil {
					n.Interval = &[2]float64{0 - n.Interval[1], 0 - n.Interval[0]}
				}
			}
			fmt.Fprintf(b, "| %s | %s | %s |\n", p.First, n.Name, n.line())
		}
	}
}

// numbersOf are numbers with commas between them.
func numbersOf(numbers []int) string {
	return strings.ReplaceAll(strings.Trim(fmt.Sprint(numbers), "[]"), " ", ", ")
}
