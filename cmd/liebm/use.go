package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/eval"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/train"
)

// gridColumns is how many images a use's grid shows.
const gridColumns = 16

// useFlags are those of every use of a run that writes a folder.
func useFlags(n int, more ...cli.Flag) []cli.Flag {
	return append([]cli.Flag{
		&cli.StringFlag{Name: "run", Usage: "run `FOLDER` of liebm train"},
		&cli.StringFlag{Name: "out", Usage: "`FOLDER` for grid.png, images.npz and result.json"},
		&cli.IntFlag{Name: "n", Value: n, Usage: "how many images"},
		&cli.Uint64Flag{Name: "seed", Usage: "of latents and noise"},
		jsonFlag(), deviceFlag(),
	}, more...)
}

// qFlag names q, and imagesFlag the images that a use reads.
func qFlag() cli.Flag {
	return &cli.StringFlag{Name: "q", Usage: "`FOLDER` of liebm train-q, where the run was trained without q"}
}

func imagesFlag() cli.Flag {
	return &cli.StringFlag{Name: "images", Usage: "a known set (cifar10:test), folder, archive or .npz (default: the test split of the run's data)"}
}

// use is one run of a command that uses a model.
type use struct {
	c      *cli.Context
	m      *train.Model
	record *eval.Record
	shown  []*data.Set // the grid's rows, from the top
}

// startUse opens the model that --run and --q name. The caller closes it.
func startUse(c *cli.Context, name string) (*use, error) {
	if err := need(c, "run", "out"); err != nil {
		return nil, err
	}
	if n := c.Int("n"); n < 1 {
		return nil, fmt.Errorf("--n %d: give at least 1", n)
	}
	m, err := openModel(c, c.String("run"))
	if err != nil {
		return nil, err
	}
	u := &use{c: c, m: m, record: newRecord(name)}
	seed := c.Uint64("seed")
	u.record.Seed, u.record.WeightsSHA256, u.record.Settings = &seed, m.SHA256, map[string]string{}
	if q := c.String("q"); q != "" {
		device, err := torch.ParseDevice(c.String("device"))
		if err == nil {
			err = m.LoadInference(q, device)
		}
		if err != nil {
			m.Close()
			return nil, err
		}
		u.record.Settings["q"], u.record.Settings["q_sha256"] = q, m.QSHA256
	}
	return u, nil
}

// images are the first --n of --images, or of the run's test split, and its record is told of them.
func (u *use) images() (*data.Set, error) {
	cfg, name := u.m.Config, u.c.String("images")
	if name == "" {
		name = cfg.Data.Name + ":" + string(data.Test)
		set, err := openData(cfg.Data, data.Test, cfg.Energy.Channels)
		if err != nil {
			return nil, fmt.Errorf("the run's test split: %w; --images names other images", err)
		}
		return u.head(name, set), nil
	}
	source, split := name, ""
	if _, err := os.Stat(name); err != nil {
		source, split, _ = strings.Cut(name, ":")
	}
	set, err := data.Open(source, data.Options{Split: data.Split(split), Size: cfg.Data.Size, RGB: cfg.Energy.Channels == 3})
	if err != nil {
		return nil, err
	}
	return u.head(name, set), nil
}

func (u *use) head(name string, set *data.Set) *data.Set {
	all := set
	set = all.Subset(indices(min(u.c.Int("n"), all.N))) // its own pixels: the file can go
	_ = all.Close()
	u.record.Of(eval.Input{Name: name, Kind: "set", N: set.N, Size: []int{set.H, set.W, set.C}, SHA256: set.SHA256()})
	return set
}

func indices(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// compare adds PSNR and SSIM of images against the originals under a name; both at the size that the
// data have, without the padding of training.
func (u *use) compare(name string, images, originals *data.Set) error {
	images, err := native(u.m.Config, images)
	if err != nil {
		return err
	}
	if originals, err = native(u.m.Config, originals); err != nil {
		return err
	}
	psnr, _, err := eval.PSNR(u.c.Context, images, originals)
	if err != nil {
		return err
	}
	u.record.Values["psnr"+name] = mean(psnr)
	if images.H < 11 || images.W < 11 {
		u.record.Warn(fmt.Sprintf("no SSIM: its window needs 11×11 pixels, the images have %d×%d", images.H, images.W))
		return nil
	}
	ssim, err := eval.SSIM(u.c.Context, images, originals, eval.Gauss)
	u.record.Values["ssim"+name] = mean(ssim)
	return err
}

// show adds a row to the grid.
func (u *use) show(sets ...*data.Set) { u.shown = append(u.shown, sets...) }

// finish writes the folder, keeps the record with the run, and prints it.
func (u *use) finish(result *data.Set, print func()) error {
	out := u.c.String("out")
	if err := os.MkdirAll(out, 0o777); err != nil {
		return err
	}
	cols := min(gridColumns, u.shown[0].N)
	if err := writeRows(filepath.Join(out, "grid.png"), u.m.Config, u.shown, cols); err != nil {
		return err
	}
	result, err := native(u.m.Config, result)
	if err != nil {
		return err
	}
	if err := data.WriteNPZ(filepath.Join(out, "images.npz"), result); err != nil {
		return err
	}
	if err := data.WriteAtomic(filepath.Join(out, "result.json"), func(w io.Writer) error { return printJSON(w, u.record) }); err != nil {
		return err
	}
	if err := keepInRun(u.c, u.record); err != nil {
		return err
	}
	for _, w := range u.record.Warnings {
		fmt.Fprintln(os.Stderr, "warning:", w)
	}
	if u.c.Bool("json") {
		return printJSON(os.Stdout, u.record)
	}
	print()
	return nil
}

// writeRows draws the first cols images of every set, a row a set.
func writeRows(path string, cfg train.Config, rows []*data.Set, cols int) error {
	var shape data.Shape
	var pixels []byte
	for _, set := range rows {
		set, err := native(cfg, set.Head(cols))
		if err != nil {
			return err
		}
		shape = set.Shape
		pixels = append(pixels, set.Pixels()...)
	}
	shape.N = cols * len(rows)
	img, err := data.Grid(pixels, shape, cols)
	if err != nil {
		return err
	}
	return data.WritePNG(path, img)
}
