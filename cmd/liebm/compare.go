package main

import (
	"errors"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/liebm/liebm/internal/shell"
	"github.com/liebm/liebm/study"
)

func compareCommand() *cli.Command {
	return &cli.Command{
		Name:      "compare",
		Usage:     "compare trainings: moves of chains, energy gaps, divergences, distances",
		ArgsUsage: "RUN...",
		Description: `Writes FILE.md, FILE.json and two or three plots from the metrics and results of run folders. Folders that are named
NAME-seedN make one row for each NAME. Settings are shown where they differ from those of the first folder. The distance
is the first of fid, fd and fd_h that all runs have; fd_h compares runs with the same encoder only.

	liebm compare --out results/clip runs/clipped-seed1 runs/clipped-seed2 runs/unclipped-seed1`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "out", Required: true, Usage: "`FILE` to write, without its ending"},
			&cli.StringFlag{Name: "title", Value: "Trainings compared", Usage: "title of the page"},
			&cli.StringFlag{Name: "note", Usage: "a paragraph for the page"},
		},
		Action: func(c *cli.Context) error {
			if c.NArg() == 0 {
				return errors.New("no run is given: name run folders, as in liebm compare --out FILE runs/a runs/b")
			}
			out := filepath.Clean(c.String("out")) // with a folder, also where only a name is given
			dir, name := filepath.Dir(out), filepath.Base(out)
			words := append([]string{"liebm", "compare", "--out", name}, c.Args().Slice()...) // the page has the title and the note
			for i := range words {
				words[i] = shell.Word(words[i])
			}
			r, err := study.CompareRuns(c.String("title"), strings.Join(words, " "), c.Args().Slice())
			if err != nil {
				return err
			}
			r.Note = c.String("note")
			return r.Write(dir, name)
		},
	}
}
