package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/eval"
)

func prepareCommand(path, split cli.Flag) *cli.Command {
	return &cli.Command{
		Name: "prepare", Usage: "decode, crop and resize a data set once, into one file that later runs map into memory", ArgsUsage: "NAME|PATH", Action: prepareData,
		Flags: []cli.Flag{path, split,
			&cli.StringFlag{Name: "out", Required: true, Usage: "`FILE`.liebm to write"},
			countFlag("size", 0, 1, "side of the images in pixels (default: as stored)"),
			&cli.StringFlag{Name: "crop", Usage: strings.Join(data.Crops(), ", ") + " (default: 148 for CelebA)"},
			&cli.BoolFlag{Name: "scale", Usage: "resize sets such as MNIST to --size too, instead of padding them"},
			&cli.BoolFlag{Name: "rgb", Usage: "repeat a gray channel three times; the default if a folder has colour pictures too"},
			skipFlag(),
			&cli.BoolFlag{Name: "download", Usage: "first fetch the published files, into --path or $LIEBM_DATA/NAME"},
			jsonFlag(),
		},
		Description: `After an interruption the same command continues. If the file is complete, it does nothing. It does not replace a
file that was made from another source.
To train on the file, give its path, as in --data celeba-train-64.liebm. A folder with several such files also works: the
split and the size select one.

	liebm data prepare --size 64 --out celeba-train-64.liebm --path ~/img_align_celeba.zip celeba
	liebm data prepare --download --out cifar10.liebm cifar10
	liebm data prepare --size 64 --crop center --skip-unreadable --out cats.liebm ~/pictures/cats`,
	}
}

func prepareData(c *cli.Context) error {
	name, err := argument(c.Command, c.Args().Slice())
	if err != nil {
		return err
	}
	known, lookupErr := data.Lookup(name)
	path := c.String("path")
	if c.Bool("download") {
		if lookupErr != nil {
			return lookupErr
		}
		if path, err = download(c.Context, known, path); err != nil {
			return err
		}
	}
	bar := newProgress("prepare")
	report, err := data.Prepare(c.Context, name, c.String("out"), data.PrepareOptions{
		Options: data.Options{Split: data.Split(c.String("split")), Path: path, Size: c.Int("size"), Crop: c.String("crop"),
			Scale: c.Bool("scale"), RGB: c.Bool("rgb"), Skip: c.Bool(skipUnreadable)},
		Watch: func(done, total int) { bar.count(done, cmp.Or(total, done+1)) },
	})
	if lookupErr == nil && errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w%s", err, commands(known, path))
	}
	if err != nil {
		return err
	}
	return show(report, c.Bool("json"), func(w io.Writer) { printReport(w, c.String("out"), report) })
}

func printReport(w io.Writer, out string, r data.Report) {
	switch {
	case r.Done:
		fmt.Fprintf(w, "%s is complete already, with this source and these options\n", out)
	case r.Resumed > 0:
		fmt.Fprintf(w, "%s: continued after %d images\n", out, r.Resumed)
	}
	fmt.Fprintf(w, "%s: %d images of %d×%d×%d%s\n", out, r.N, r.H, r.W, r.C, describe(r.Provenance))
	fmt.Fprintln(w, "pixels' SHA-256", r.Pixels)
	for _, s := range r.Skipped {
		fmt.Fprintln(w, "left out", s)
	}
}

// describe says how a set was prepared, as in ", crop 148, resize to 64".
func describe(r data.Provenance) string {
	text := ""
	if r.Crop != "" {
		text += ", crop " + r.Crop
	}
	if r.Fit != "" {
		text += fmt.Sprintf(", %s to %d", r.Fit, r.Size)
	}
	if r.RGB {
		text += ", gray as RGB"
	}
	if len(r.Skipped) > 0 {
		text += fmt.Sprintf(", %d left out", len(r.Skipped))
	}
	return text
}

// folderFor is the folder that the files of a set are downloaded to.
func folderFor(k data.Known, path string) string {
	return cmp.Or(path, filepath.Join(os.Getenv("LIEBM_DATA"), k.Name))
}

// commands are shell commands that fetch a set, each on its line.
func commands(k data.Known, path string) string {
	if len(k.Downloads) == 0 {
		return ""
	}
	var text strings.Builder
	fmt.Fprintf(&text, "\nto fetch it, run these, or liebm data prepare --download %s:", k.Name)
	for _, d := range k.Downloads {
		text.WriteString("\n  " + strings.ReplaceAll(d.Command(folderFor(k, path)), "\n", "\n  "))
	}
	return text.String()
}

// download fetches the missing files of a set, and returns their folder.
func download(ctx context.Context, k data.Known, path string) (string, error) {
	dir := folderFor(k, path)
	if len(k.Downloads) == 0 {
		return "", fmt.Errorf("%s has no file to download: see %s", k.Title, k.URL)
	}
	err := fetchFiles(ctx, k.Downloads, dir)
	if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("%w%s", err, commands(k, path))
	}
	return dir, err
}

// fetchFiles fetches the files that dir lacks, and checks all of them.
func fetchFiles(ctx context.Context, files []data.Download, dir string) error {
	for _, d := range files {
		bar := newProgress(d.File())
		err := d.Fetch(ctx, http.DefaultClient, dir, func(done, total int64) { bar.count(int(done), int(cmp.Or(total, done+1))) })
		if err != nil && ctx.Err() != nil {
			return fmt.Errorf("stopped; the same command continues the download: %w", ctx.Err())
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "%s: matches the published checksum\n", filepath.Join(dir, d.File()))
	}
	return nil
}

const inception = "inception"

func fetchData(c *cli.Context) error {
	name, err := argument(c.Command, c.Args().Slice())
	if err != nil {
		return err
	}
	if name == inception {
		d, dir := eval.InceptionDownload(), cmp.Or(c.String("path"), eval.InceptionFolders()[0])
		if err := fetchFiles(c.Context, []data.Download{d}, dir); err != nil {
			return fmt.Errorf("%w\nto fetch it by hand:\n  %s", err, strings.ReplaceAll(d.Command(dir), "\n", "\n  "))
		}
		return nil
	}
	known, err := data.Lookup(name)
	if err == nil {
		_, err = download(c.Context, known, c.String("path"))
	}
	return err
}
