package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/eval"
	"github.com/liebm/liebm/study"
	"github.com/liebm/liebm/train"
)

// gridColumns is how many images a grid shows in a row.
const gridColumns = 16

// outputFlags are the flags of the commands that use a run and write a folder.
func outputFlags(n int, more ...cli.Flag) []cli.Flag {
	return append([]cli.Flag{
		runFlag(), checkpointFlag(),
		&cli.StringFlag{Name: "out", Required: true, Usage: "`FOLDER` for grid.png, images.npz and result.json"},
		countFlag("n", n, 1, "how many images"),
		&cli.Uint64Flag{Name: "seed", Usage: "seed of latents and noise"},
		jsonFlag(), deviceFlag(),
		&cli.StringFlag{Name: "q", Usage: "`FOLDER` of liebm train-q, if the run was trained without q"},
	}, more...)
}

// imagesFlag names the images that a command reads.
func imagesFlag() cli.Flag {
	return &cli.StringFlag{Name: "images", Usage: "a known set (cifar10:test), folder, archive or .npz (default: the test split of the run's data)"}
}

// An output is what a command that uses a run writes to --out.
type output struct {
	results
	folder, q string
	n         int
	seed      uint64
	source    string // of images; empty: those that the run's data hold out
	skip      bool
	opened    *data.Set // that read returns images of; nil: none
	part      *data.Set // what read returned
	setup     study.Setup

	model  *train.Model
	record *eval.Record
	images *data.Set       // images.npz
	rows   []study.GridRow // grid.png, from the top
}

// withOutput is the Action of a command with outputFlags. The model has the q that --q names.
func withOutput(use func(c *cli.Context, o *output) error) cli.ActionFunc {
	return onRun(func(c *cli.Context, m *train.Model, s study.Setup) error {
		o := &output{results: results{run: c.String("run"), json: c.Bool("json")}, folder: c.String("out"), q: c.String("q"), n: c.Int("n"),
			seed: c.Uint64("seed"), source: c.String("images"), skip: c.Bool(skipUnreadable), setup: s, model: m}
		if o.q != "" {
			if err := m.LoadInference(o.q, s.Device); err != nil {
				return err
			}
		}
		err := use(c, o)
		if o.opened != nil {
			err = errors.Join(err, o.opened.Close())
		}
		return err
	})
}

// begin makes the record of a command that measures nothing.
func (o *output) begin(name string) {
	o.record = newRecord(name)
	o.record.Seed, o.record.WeightsSHA256, o.record.Settings = &o.seed, o.model.SHA256, map[string]string{}
	if o.model.QSHA256 != "" {
		o.record.Settings["q_sha256"] = o.model.QSHA256
	}
}

// read returns the first n of --images, or of the images that the run's data hold out. With last it takes
// the last n of the latter.
func (o *output) read(n int, last bool) (*data.Set, error) {
	cfg, start := o.model.Config, 0
	var set *data.Set
	var err error
	if o.source == "" {
		if set, err = cfg.Open(data.HeldOut); err != nil {
			return nil, fmt.Errorf("open the images that the run's data hold out: %w; or name other images with --images", err)
		}
		if last {
			start = max(0, set.N-n)
		}
	} else if set, err = cfg.OpenImages(o.source, data.Options{Skip: o.skip}); err != nil {
		return nil, err
	}
	o.opened = set
	part := set.Slice(start, min(start+n, set.N))
	if o.source != "" {
		part.Name, part.Split = o.source, "" // for the record
	}
	o.part = part
	return part, nil
}

// show adds rows to the grid: the first images of each set.
func (o *output) show(label string, sets ...*data.Set) {
	for _, set := range sets {
		o.rows = append(o.rows, study.GridRow{Label: label, Images: set.Head(gridColumns)})
	}
}

// write writes the folder, keeps the record with the run, and prints it as finish does.
func (o *output) write(format string, values ...any) error {
	if o.q != "" {
		o.record.Settings["q"] = o.q
	}
	for i := 0; o.part != nil && i < o.part.N && o.part.Origin(i) != ""; i++ {
		o.record.Inputs[0].Files = append(o.record.Inputs[0].Files, o.part.Origin(i))
	}
	if err := os.MkdirAll(o.folder, 0o777); err != nil {
		return err
	}
	if err := study.WriteRows(filepath.Join(o.folder, "grid.png"), o.model.Config, o.rows); err != nil {
		return err
	}
	images, err := o.model.Config.Crop(o.images)
	if err != nil {
		return err
	}
	if err := data.WriteNPZ(filepath.Join(o.folder, "images.npz"), images); err != nil {
		return err
	}
	if err := data.WriteJSON(filepath.Join(o.folder, "result.json"), o.record); err != nil {
		return err
	}
	return o.finish(o.record, format, values...)
}

func printWarnings(r *eval.Record) {
	for _, w := range r.Warnings {
		fmt.Fprintln(cleaned{os.Stderr}, "warning:", w)
	}
}

// show prints v as JSON if asJSON, or else as write does, with columns aligned at tabs.
func show(v any, asJSON bool, write func(w io.Writer)) error {
	if asJSON {
		return printJSON(os.Stdout, v)
	}
	t := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	write(t)
	return t.Flush()
}
