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
	flags, commands := a.Flags, a.Commands
	first, rest := args[:1:1], []string{}
	words := args[1:]
	for len(words) > 0 && words[0] != "--" {
		if n := min(flagWords(flags, words), len(words)); n > 0 {
			first, words = append(first, words[:n]...), words[n:]
			continue
		}
		i := slices.IndexFunc(commands, func(c *cli.Command) bool { return c.HasName(words[0]) })
		if i >= 0 && len(rest) == 0 {
			flags, commands = commands[i].Flags, commands[i].Subcommands
			first = append(first, words[0])
		} else {
			rest = append(rest, words[0])
		}
		words = words[1:]
	}
	return slices.Concat(first, rest, words)
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
