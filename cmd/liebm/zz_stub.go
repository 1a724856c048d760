package main
import "github.com/urfave/cli/v2"
func writeReport(dir string) (string, error) { return dir, nil }
func reportCommand() *cli.Command { return &cli.Command{Name:"report"} }
