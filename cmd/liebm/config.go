package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/liebm/liebm/docs"
	"github.com/liebm/liebm/internal/config"
)

func configCommand() *cli.Command {
	return &cli.Command{
		Name:      "config",
		Usage:     "explain the keys of a config: default, range and meaning",
		ArgsUsage: "[KEY...]",
		Description: `Prints the keys that --set and YAML files change, as docs/config.md has them. KEY is a key or a group. The
defaults are those of fmnist-em and fmnist-simclr. For another preset, liebm train --preset NAME --out x --dry-run
prints all values.

	liebm config chain batch
	liebm config opt_e.lr`,
		Action: printKeys,
	}
}

func printKeys(c *cli.Context) error {
	var known []string
	title, found := "", map[string]bool{}
	for line := range strings.Lines(docs.Config) {
		if text, ok := strings.CutPrefix(line, "## "); ok {
			title = text
		}
		cells := strings.Split(strings.Trim(line, "| \n"), " | ")
		key := strings.Trim(cells[0], "`")
		if len(cells) != 4 || key == cells[0] {
			continue
		}
		known = append(known, key)
		chosen := c.NArg() == 0
		for _, name := range c.Args().Slice() {
			if key == name || strings.HasPrefix(key, name+".") {
				chosen, found[name] = true, true
			}
		}
		if chosen {
			fmt.Printf("%s  %s: %s (%s)\n", title, key, cells[1], cells[2])
			fmt.Printf("      %s\n", strings.ReplaceAll(cells[3], `\|`, "|"))
			title = ""
		}
	}
	for _, name := range c.Args().Slice() {
		if !found[name] {
			return fmt.Errorf("no key or group %s: %sliebm config lists them", name, config.Guess(name, known))
		}
	}
	return nil
}

func completionCommand() *cli.Command {
	return &cli.Command{
		Name:      "completion",
		Usage:     "print the completion of commands and flags for bash and zsh",
		ArgsUsage: "[bash|zsh]",
		Description: `Put this line into ~/.bashrc or ~/.zshrc:

	source <(liebm completion)`,
		Action: func(*cli.Context) error {
			fmt.Print(`[ -z "$ZSH_VERSION" ] || { autoload -U +X compinit bashcompinit && compinit && bashcompinit; }
_liebm() {
	local word="${COMP_WORDS[COMP_CWORD]}"
	local before=("${COMP_WORDS[@]:0:COMP_CWORD}")
	[[ "$word" != -* ]] || before+=("$word")
	COMPREPLY=($(compgen -W "$("${before[@]}" --generate-bash-completion 2>/dev/null)" -- "$word"))
}
complete -o bashdefault -o default -F _liebm liebm
`)
			return nil
		},
	}
}
