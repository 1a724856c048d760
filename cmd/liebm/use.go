package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/eval"
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
		device, err := device(c)
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

// images are the first n of --images, or of what the run's data hold out; with last the last n of the
// latter. The record is told of them.
func (u *use) images(n int, last bool) (*data.Set, error) {
	cfg, name := u.m.Config, u.c.String("images")
	if name == "" {
		split := data.HeldOut(cfg.Data.Name)
		name = cfg.Data.Name + ":" + string(split)
		set, err := cfg.Open(split)
		if err != nil {
			return nil, fmt.Errorf("the %s split of the run's data: %w; --images names other images", split, err)
		}
		start := 0
		if last {
			start = max(0, set.N-n)
		}
		return u.part(name, set, start, n), nil
	}
	set, err := cfg.OpenImages(name, data.Options{})
	if err != nil {
		return nil, err
	}
	return u.part(name, set, 0, n), nil
}

// part copies n images of a set from start on, so that its file can go.
func (u *use) part(name string, all *data.Set, start, n int) *data.Set {
	set := all.Subset(indices(start, min(n, all.N-start)))
	_ = all.Close()
	u.record.Of(eval.InputOf(name, set))
	return set
}

// indices are n numbers from start on.
func indices(start, n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = start + i
	}
	return out
}

// compare adds PSNR and SSIM of images against the originals under a name; both at the size that the
// data have, without the padding of training.
func (u *use) compare(name string, images, originals *data.Set) error {
	images, err := u.m.Config.Crop(images)
	if err != nil {
		return err
	}
	if originals, err = u.m.Config.Crop(originals); err != nil {
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

// show adds a row to the grid for each set.
func (u *use) show(sets ...*data.Set) { u.shown = append(u.shown, sets...) }

// showHeads is show of as many images as a grid is wide.
func (u *use) showHeads(sets ...*data.Set) {
	for _, set := range sets {
		u.show(set.Head(gridColumns))
	}
}

// finish writes the folder, to which more may add, keeps the record with the run, and prints it.
func (u *use) finish(result *data.Set, more func(out string) error, print func()) error {
	out := u.c.String("out")
	if err := os.MkdirAll(out, 0o777); err != nil {
		return err
	}
	if err := writeRows(filepath.Join(out, "grid.png"), u.m.Config, u.shown); err != nil {
		return err
	}
	if more != nil {
		if err := more(out); err != nil {
			return err
		}
	}
	result, err := u.m.Config.Crop(result)
	if err != nil {
		return err
	}
	if err := data.WriteNPZ(filepath.Join(out, "images.npz"), result); err != nil {
		return err
	}
	if err := writeJSON(filepath.Join(out, "result.json"), u.record); err != nil {
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

// writeRows draws a row of images for every set, without the padding of training.
func writeRows(path string, cfg train.Config, rows []*data.Set) error {
	all, err := cfg.Crop(join(rows...))
	if err != nil {
		return err
	}
	img, err := data.Grid(all.Pixels(), all.Shape, rows[0].N)
	if err != nil {
		return err
	}
	return data.WritePNG(path, img)
}

// join is the images of sets of one shape, one after the other.
func join(sets ...*data.Set) *data.Set {
	shape, pixels := sets[0].Shape, []byte(nil)
	shape.N = 0
	for _, set := range sets {
		shape.N += set.N
		pixels = append(pixels, set.Pixels()...)
	}
	out, err := data.New(shape, pixels, nil)
	if err != nil {
		panic(err) // of sets, which have images
	}
	return out
}
