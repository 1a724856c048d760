package main

import (
	"embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/eval"
	"github.com/liebm/liebm/train"
)

//go:embed report.html.tmpl
var reportFiles embed.FS

var reportTemplate = template.Must(template.New("report.html.tmpl").Funcs(template.FuncMap{
	"number": func(v float64) string { return fmt.Sprintf("%.4g", v) },
	"sha":    func(s string) string { return s[:min(len(s), 12)] },
}).ParseFS(reportFiles, "report.html.tmpl"))

func reportCommand() *cli.Command {
	return &cli.Command{
		Name:  "report",
		Usage: "write one self-contained HTML page about a run",
		Description: `Shows samples, curves, distances, the outliers' histogram and the config; liebm eval first makes
it complete.

	liebm report --run runs/em`,
		Flags: []cli.Flag{&cli.StringFlag{Name: "run", Usage: "run `FOLDER` of liebm train"}},
		Action: func(c *cli.Context) error {
			if err := need(c, "run"); err != nil {
				return err
			}
			path, err := writeReport(c.String("run"))
			if err == nil {
				fmt.Println(path)
			}
			return err
		},
	}
}

// page is what the template shows; a part that the run lacks is empty.
type page struct {
	Name     string
	Run      string
	Config   string
	Info     *train.RunInfo
	Summary  *summary
	Outliers []string
	Grids    []picture // after MCMC, G alone, data
	Progress []picture // a few grids along the way
	Charts   []chart
	Scores   template.HTML
	Results  []eval.Record // of liebm metrics
}

type picture struct {
	Caption string
	Src     template.URL
}

type chart struct {
	Caption string
	SVG     template.HTML
}

// writeReport writes report.html into a run folder and returns its path.
func writeReport(dir string) (string, error) {
	p := &page{Name: filepath.Base(filepath.Clean(dir)), Run: dir}
	for _, part := range []func(string) error{p.readConfig, p.readInfo, p.readSummary, p.readResults, p.readPictures, p.readMetrics} {
		if err := part(dir); err != nil {
			return "", fmt.Errorf("report %s: %w", dir, err)
		}
	}
	path := filepath.Join(dir, "report.html")
	return path, data.WriteAtomic(path, func(w io.Writer) error { return reportTemplate.Execute(w, p) })
}

// optional reads a file that a run may lack.
func optional(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return text, err
}

func (p *page) readConfig(dir string) error {
	text, err := os.ReadFile(filepath.Join(dir, "config.yaml"))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("it holds no run (no config.yaml): name a folder of liebm train")
	}
	p.Config = string(text)
	return err
}

func (p *page) readInfo(dir string) error {
	text, err := optional(filepath.Join(dir, "run.json"))
	if err != nil || text == nil {
		return err
	}
	p.Info = &train.RunInfo{}
	if err := json.Unmarshal(text, p.Info); err != nil {
		return fmt.Errorf("run.json: %w", err)
	}
	return nil
}

func (p *page) readSummary(dir string) error {
	text, err := optional(filepath.Join(dir, "summary.json"))
	if err != nil || text == nil {
		return err
	}
	p.Summary = &summary{}
	if err := json.Unmarshal(text, p.Summary); err != nil {
		return fmt.Errorf("summary.json: %w: make it again with liebm eval --run %s", err, dir)
	}
	p.Outliers = slices.Sorted(maps.Keys(p.Summary.AUROC))
	if p.Scores, err = drawHistogram(p.Summary.Histogram); err != nil {
		return fmt.Errorf("summary.json: %w: make it again with liebm eval --run %s", err, dir)
	}
	return nil
}

func (p *page) readResults(dir string) (err error) {
	p.Results, err = eval.ReadRecords(filepath.Join(dir, resultsFile))
	return err
}

func (p *page) readPictures(dir string) error {
	for _, g := range []struct{ file, caption string }{
		{"samples.png", "after MCMC"}, {"samples_no_mcmc.png", "G alone, the same latents"}, {"data.png", "data"},
	} {
		if err := p.add(&p.Grids, filepath.Join(dir, g.file), g.caption); err != nil {
			return err
		}
	}
	steps, err := filepath.Glob(filepath.Join(dir, "samples", "step-*.png"))
	if err != nil {
		return err
	}
	const shown = 6
	for i := range min(shown, len(steps)) { // evenly spread, the last one included
		file := steps[(len(steps)-1)*i/max(1, min(shown, len(steps))-1)]
		name := strings.TrimSuffix(filepath.Base(file), ".png")
		step := strings.TrimLeft(strings.TrimPrefix(name, "step-"), "0")
		if err := p.add(&p.Progress, file, "step "+step); err != nil {
			return err
		}
	}
	return nil
}

// add embeds a PNG, if it is there.
func (p *page) add(to *[]picture, file, caption string) error {
	bytes, err := optional(file)
	if err != nil || bytes == nil {
		return err
	}
	*to = append(*to, picture{caption, template.URL("data:image/png;base64," + base64.StdEncoding.EncodeToString(bytes))})
	return nil
}

func (p *page) readMetrics(dir string) error {
	path := filepath.Join(dir, "metrics.jsonl")
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	records, err := train.ReadMetrics(path)
	if err != nil {
		return err
	}
	for _, c := range []struct {
		caption string
		names   []string
		log     bool
	}{
		{"Fréchet distance of G alone during training, 2,000 samples", []string{"fd"}, false},
		{"L_G (Eq. 8)", []string{"loss_g"}, true},
		{"L_E (Eq. 4)", []string{"loss_e"}, false},
		{"energy F(f(x)) of data and of negative samples", []string{"energy_real", "energy_fake"}, false},
		{"latent cosine cos(g(f(x)), z)", []string{"cosine"}, false},
		{"rms(x^T − x⁰) of G's chains", []string{"move_rms"}, true},
	} {
		svg, err := drawCurves(records, c.names, c.log)
		if err != nil {
			return err
		}
		if svg != "" {
			p.Charts = append(p.Charts, chart{c.caption, svg})
		}
	}
	return nil
}
