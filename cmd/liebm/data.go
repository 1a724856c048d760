package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/liebm/liebm/data"
)

func dataCommand() *cli.Command {
	path := &cli.StringFlag{Name: "path", Usage: "`PATH` of the data (default: where they are usually installed)"}
	split := &cli.StringFlag{Name: "split", Usage: "train, test, valid or extra (default: train)"}
	return &cli.Command{
		Name:  "data",
		Usage: "list, inspect, fetch, verify and prepare data sets",
		Subcommands: []*cli.Command{
			{Name: "list", Usage: "list the data sets known by name, and where they are on this machine", Action: listData, Flags: []cli.Flag{jsonFlag()},
				Description: `Data sets are looked for below $LIEBM_DATA and below ` + data.Root + `. Name any other set by its path.

	liebm data list
	LIEBM_DATA=~/data liebm data list --json`},
			{Name: "info", Usage: "describe a data set", ArgsUsage: "NAME|PATH", Flags: []cli.Flag{path, split, jsonFlag()}, Action: dataInfo,
				Description: `	liebm data info fmnist
	liebm data info --split test --json ~/svhn
	liebm data info celeba-train-64.liebm`},
			{Name: "verify", Usage: "check a known data set, or a file, byte by byte", ArgsUsage: "NAME|PATH", Flags: []cli.Flag{path}, Action: verifyData,
				Description: `With the name of a set, checks all its files. With a path, checks that file, whatever its name. A prepared
file contains its own checksum.

	liebm data verify cifar10
	liebm data verify --path ~/downloads cifar10
	liebm data verify celeba-train-64.liebm`},
			{Name: "fetch", Usage: "download a known data set or Inception's weights, and check them", ArgsUsage: "NAME|inception",
				Flags: []cli.Flag{&cli.StringFlag{Name: "path", Usage: "`FOLDER` for the files (default: $LIEBM_DATA/NAME, or ./NAME without LIEBM_DATA; for inception: see below)"}}, Action: fetchData,
				Description: `The files are checked by their published SHA-256. An interrupted download goes on. liebm looks for
Inception's weights in $LIEBM_DATA/inception and in the cache of torch.hub, where pytorch-fid puts them.

	liebm data fetch inception
	LIEBM_DATA=~/data liebm data fetch cifar10`},
			prepareCommand(path, split),
			{Name: "grid", Usage: "draw a hundred images: the first ones, or random ones of a set that is sorted by class", ArgsUsage: "NAME|PATH", Flags: []cli.Flag{path,
				pictureFlag("out", "PNG `FILE` to write", "png")}, Action: gridData},
		},
	}
}

func listData(c *cli.Context) error {
	type row struct {
		Name   string             `json:"name"`
		Title  string             `json:"title"`
		H      int                `json:"height"`
		W      int                `json:"width"`
		C      int                `json:"channels"`
		Images map[data.Split]int `json:"images"`
		Path   string             `json:"path"` // "": not on this machine
		URL    string             `json:"url"`
	}
	var rows []row
	var text strings.Builder
	for _, name := range data.Names() {
		known, _ := data.Lookup(name) // a known name
		r := row{known.Name, known.Title, known.H, known.W, known.C, map[data.Split]int{}, "", known.URL}
		var counts []string
		for _, s := range known.Splits() {
			r.Images[s] = known.Count(s)
			counts = append(counts, fmt.Sprintf("%d %s", known.Count(s), s))
		}
		where, err := known.Locate("")
		if err == nil {
			r.Path = where
		} else {
			where = "not on this machine; from " + known.URL
		}
		rows = append(rows, r)
		fmt.Fprintf(&text, "%s\t%s\t%d×%d×%d\t%s\t%s\n", name, known.Title, known.H, known.W, known.C, strings.Join(counts, ", "), where)
	}
	return show(rows, c.Bool("json"), func(w io.Writer) { fmt.Fprint(w, &text) })
}

func dataInfo(c *cli.Context) error {
	name, err := argument(c.Command, c.Args().Slice())
	if err != nil {
		return err
	}
	set, err := data.Open(name, data.Options{Path: c.String("path"), Split: data.Split(c.String("split"))})
	if err != nil {
		return err
	}
	defer set.Close()
	low, high := slices.Min(set.Pixels()), slices.Max(set.Pixels())
	info := map[string]any{"name": set.Name, "split": set.Split, "n": set.N, "height": set.H, "width": set.W, "channels": set.C,
		"labels": set.Labels != nil, "classes": set.Classes, "files": set.Files, "sha256": set.SHA256(), "range": []int{int(low), int(high)},
		"prepared": set.Prepared()}
	return show(info, c.Bool("json"), func(w io.Writer) {
		fmt.Fprintf(w, "%v\npixels %d…%d, %d classes\npixels' SHA-256 %s\n", set, low, high, len(set.Classes), set.SHA256())
		for _, f := range set.Files {
			fmt.Fprintln(w, "from", f)
		}
		if r := set.Prepared(); r != nil {
			fmt.Fprintf(w, "prepared from %s%s\n", r.Source, describe(*r))
		}
	})
}

func verifyData(c *cli.Context) error {
	name, err := argument(c.Command, c.Args().Slice())
	if err != nil {
		return err
	}
	known, err := data.Lookup(name)
	if info, statErr := os.Stat(name); err != nil && statErr == nil && info.Mode().IsRegular() {
		what, err := data.Verify(name)
		if err == nil {
			fmt.Printf("%s: %s, all checksums match\n", name, what)
		}
		return err
	}
	if err != nil {
		return err
	}
	err = known.Verify(c.String("path"))
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w%s", err, commands(known, c.String("path")))
	}
	if err == nil {
		fmt.Printf("%s: all files match the published checksums\n", known.Title)
	}
	return err
}

func gridData(c *cli.Context) error {
	name, err := argument(c.Command, c.Args().Slice())
	if err != nil {
		return err
	}
	set, err := data.Open(name, data.Options{Path: c.String("path")})
	if err != nil {
		return err
	}
	defer set.Close()
	head := set.Head(100)
	img, err := data.Grid(head.Pixels(), head.Shape, 10)
	if err != nil {
		return err
	}
	return data.WritePNG(c.String("out"), img)
}
