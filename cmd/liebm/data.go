package main

import (
	"fmt"
	"os"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"github.com/liebm/liebm/data"
)

func dataCommand() *cli.Command {
	path := &cli.StringFlag{Name: "path", Usage: "where the data lie (default: where they are usually installed)"}
	return &cli.Command{
		Name:  "data",
		Usage: "list, inspect and verify data sets",
		Subcommands: []*cli.Command{
			{Name: "list", Usage: "the data sets known by name, and whether they are here", Action: listData},
			{Name: "info", Usage: "what a data set holds", ArgsUsage: "NAME|PATH", Flags: []cli.Flag{path, jsonFlag()}, Action: dataInfo},
			{Name: "verify", Usage: "check a known data set byte by byte", ArgsUsage: "NAME", Flags: []cli.Flag{path}, Action: verifyData},
			{Name: "grid", Usage: "draw the first hundred images", ArgsUsage: "NAME|PATH", Flags: []cli.Flag{path,
				&cli.StringFlag{Name: "out", Usage: "PNG `FILE` to write"}}, Action: gridData},
		},
	}
}

func listData(*cli.Context) error {
	t := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	defer t.Flush()
	for _, name := range data.Names() {
		known, err := data.Lookup(name)
		if err != nil {
			return err
		}
		where, err := known.Locate("")
		if err != nil {
			where = "not here; from " + known.URL
		}
		fmt.Fprintf(t, "%s\t%s\t%d + %d images of %d×%d×%d\t%s\n", name, known.Title, known.Train, known.Test, known.H, known.W, known.C, where)
	}
	return nil
}

// argument is the one argument of a command.
func argument(c *cli.Context) (string, error) {
	if c.NArg() != 1 {
		return "", fmt.Errorf("liebm %s takes one argument, %s, after its flags", c.Command.FullName(), c.Command.ArgsUsage)
	}
	return c.Args().First(), nil
}

func dataInfo(c *cli.Context) error {
	name, err := argument(c)
	if err != nil {
		return err
	}
	set, err := data.Open(name, data.Options{Path: c.String("path")})
	if err != nil {
		return err
	}
	defer set.Close()
	info := map[string]any{"name": set.Name, "split": set.Split, "n": set.N, "height": set.H, "width": set.W, "channels": set.C,
		"labels": set.Labels != nil, "classes": set.Classes, "files": set.Files, "sha256": set.SHA256()}
	if c.Bool("json") {
		return printJSON(os.Stdout, info)
	}
	fmt.Println(set)
	fmt.Println("pixels' SHA-256", set.SHA256())
	for _, f := range set.Files {
		fmt.Println("from", f)
	}
	return nil
}

func verifyData(c *cli.Context) error {
	name, err := argument(c)
	if err != nil {
		return err
	}
	known, err := data.Lookup(name)
	if err != nil {
		return err
	}
	if err := known.Verify(c.String("path")); err != nil {
		return err
	}
	fmt.Printf("%s: every file is as published\n", known.Title)
	return nil
}

func gridData(c *cli.Context) error {
	if err := need(c, "out"); err != nil {
		return err
	}
	name, err := argument(c)
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
