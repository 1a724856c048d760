package main

import (
	"context"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/liebm/liebm/train"
)

// runApp runs liebm with these arguments, the program's name first.
func runApp(ctx context.Context, args []string) error {
	a := app()
	if args[len(args)-1] == "--generate-bash-completion" {
		return a.RunContext(ctx, args) // the cli package looks for this word at the end
	}
	args, err := runFolders(args)
	if err != nil {
		return err
	}
	return a.RunContext(ctx, flagsFirst(a, args))
}

// runFolders puts folders in place of the names of runs that come with liebm, as in --run pretrained:fmnist.
func runFolders(args []string) (folders []string, err error) {
	for _, arg := range args {
		flag, value := "", arg
		if name, v, joined := strings.Cut(arg, "="); joined && strings.HasPrefix(arg, "-") {
			flag, value = name+"=", v
		}
		dir, err := train.RunFolder(value)
		if err != nil {
			return nil, err
		}
		folders = append(folders, flag+dir)
	}
	return folders, nil
}

// flagsFirst puts a command's flags before its other arguments, since the cli package stops at the
// first that is no flag: "fid A B --json" is what people type.
func flagsFirst(a *cli.App, args []string) []string {
	if i := slices.Index(args, "--resume"); i > 0 && i+1 < len(args) && args[i+1] == auto {
		args = slices.Concat(args[:i], []string{"--resume=" + auto}, args[i+2:])
	}
	flags, commands, at := a.Flags, a.Commands, 1
	for at < len(args) {
		if n := flagWords(flags, args[at:]); n > 0 {
			at = min(at+n, len(args))
			continue
		}
		i := slices.IndexFunc(commands, func(c *cli.Command) bool { return c.HasName(args[at]) })
		if i < 0 {
			break
		}
		flags, commands = commands[i].Flags, commands[i].Subcommands
		at++
	}
	first, rest := slices.Clone(args[:at]), []string(nil)
	for at < len(args) {
		if args[at] == "--" {
			rest = append(rest, args[at:]...)
			break
		}
		n := min(max(flagWords(flags, args[at:]), 1), len(args)-at)
		if strings.HasPrefix(args[at], "-") && args[at] != "-" {
			first = append(first, args[at:at+n]...)
		} else {
			rest = append(rest, args[at:at+n]...)
		}
		at += n
	}
	return append(first, rest...)
}

// flagWords is how many of the words belong to the flag at their start: 0 if there is none.
func flagWords(flags []cli.Flag, words []string) int {
	name, ok := strings.CutPrefix(words[0], "-")
	if !ok || name == "" || name == "-" {
		return 0
	}
	name, _, whole := strings.Cut(strings.TrimPrefix(name, "-"), "=")
	for _, f := range flags {
		_, isBool := f.(*cli.BoolFlag)
		if isBool = isBool || f.Names()[0] == "resume"; !whole && !isBool && slices.Contains(f.Names(), name) {
			return 2
		}
	}
	return 1
}
