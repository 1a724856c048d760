package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/internal/config"
)

// flagHelp returns the help line of a flag. It has two dashes, as in the examples, and shows the default once.
func flagHelp(f cli.Flag) string {
	text := strings.TrimSuffix(plainFlagHelp(f), " (default: false)")
	if strings.Count(text, "(default: ") > 1 {
		text = strings.TrimSuffix(text, " (default: 0)")
	}
	if len(f.Names()[0]) == 1 {
		text = "-" + text
	}
	return text
}

var plainFlagHelp = cli.FlagStringer

// plainly makes a wrong flag or command one line that guesses what was meant, in place of the whole help.
func plainly(a *cli.App) *cli.App {
	cli.FlagStringer = flagHelp
	a.OnUsageError = wrongFlag(a.Name)
	a.Action = wrongCommand(a.Name, a.Commands)
	answerPlainly(a.Name, a.Commands)
	return a
}

func answerPlainly(parent string, commands []*cli.Command) {
	for _, c := range commands {
		path := parent + " " + c.Name
		c.OnUsageError = wrongFlag(path)
		answerPlainly(path, c.Subcommands)
		action, needed := c.Action, required(c.Flags)
		if action == nil {
			c.Action = wrongCommand(path, c.Subcommands)
			continue
		}
		c.Action = func(ctx *cli.Context) error {
			if err := makeFolders(ctx, c.Flags); err != nil {
				return err
			}
			for _, name := range needed {
				if !ctx.IsSet(name) {
					return fmt.Errorf("--%s is missing: see %s --help", name, path)
				}
			}
			if ctx.NArg() > 0 && c.ArgsUsage == "" {
				return fmt.Errorf("%q is not a flag of %s, which takes flags only: see %[2]s --help", ctx.Args().First(), path)
			}
			return helpfully(action(ctx), c.Flags)
		}
	}
}

// makeFolders makes the folders of the files that a command writes, before it works for hours. It returns an error
// if they cannot be written. With --dry-run or --pages a command writes none of them.
func makeFolders(c flagValues, flags []cli.Flag) error {
	for _, f := range flags {
		text, ok := f.(*cli.StringFlag)
		if !ok || !slices.Contains([]string{"out", "plot", "stats-out"}, text.Name) || c.String(text.Name) == "" || c.Bool("dry-run") || c.String("pages") != "" {
			continue
		}
		path := c.String(text.Name)
		info, err := os.Stat(path)
		if err == nil && info.IsDir() && strings.Contains(text.Usage, "`FILE`") && !strings.HasSuffix(path, "/") {
			return fmt.Errorf("--%s %s is a folder: name a file", text.Name, path)
		}
		at := path
		if err != nil {
			at = filepath.Dir(filepath.Clean(path))
		}
		err = cmp.Or(os.MkdirAll(filepath.Dir(filepath.Clean(path)), 0o777), syscall.Access(at, 2)) // W_OK
		if err != nil {
			return fmt.Errorf("--%s %s cannot be written: %w: use another path, or change the permissions of %s", text.Name, path, err, at)
		}
	}
	return nil
}

// required are the names of required flags, which it makes optional. The cli package's own check prints the
// whole help, and asks subcommands for their parent's flags.
func required(flags []cli.Flag) (names []string) {
	for _, f := range flags {
		if s, ok := f.(*cli.StringFlag); ok && s.Required {
			names, s.Required, s.Usage = append(names, s.Name), false, s.Usage+" (required)"
		}
	}
	return names
}

// helpfully adds to an error the flag that allows data to fill more memory, or the one of these flags that leaves out images.
func helpfully(err error, flags []cli.Flag) error {
	if errors.Is(err, data.ErrTooBig) {
		err = fmt.Errorf("%w, or allow more: liebm --max-memory GIB …", err)
	}
	canSkip := slices.ContainsFunc(flags, func(f cli.Flag) bool { return f.Names()[0] == skipUnreadable })
	if canSkip && errors.Is(err, data.ErrBadImage) {
		err = fmt.Errorf("%w, or leave out such files with --%s", err, skipUnreadable)
	}
	return err
}

// wrongFlag explains why the flags of the command at path could not be read.
func wrongFlag(path string) cli.OnUsageErrorFunc {
	return func(c *cli.Context, err error, _ bool) error {
		name, unknown := strings.CutPrefix(err.Error(), "flag provided but not defined: -")
		if !unknown {
			return fmt.Errorf("%w: see %s --help", err, path)
		}
		var names []string
		for _, f := range c.Command.Flags {
			for _, n := range f.Names() {
				names = append(names, "--"+n)
			}
		}
		name = "--" + name
		return fmt.Errorf("%s has no flag %s: %s%s --help lists them", path, name, config.Guess(name, names), path)
	}
}

// wrongCommand shows the help of a command that needs a subcommand, or says that it has none of that
// name.
func wrongCommand(path string, commands []*cli.Command) cli.ActionFunc {
	return func(c *cli.Context) error {
		if name := c.Args().First(); name == "" || name == "help" {
			return cli.ShowSubcommandHelp(c)
		}
		var names []string
		for _, sub := range commands {
			names = append(names, sub.Name)
		}
		return fmt.Errorf("%s has no command %q: %s%s --help lists them", path, c.Args().First(), config.Guess(c.Args().First(), names), path)
	}
}
