package main

import (
	"fmt"
	"io"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/liebm/liebm/eval"
	"github.com/liebm/liebm/study"
	"github.com/liebm/liebm/train"
)

func metricsCommand() *cli.Command {
	return &cli.Command{
		Name:  "metrics",
		Usage: "measure images, scores or runs: FID, IS, KID, AUROC, PSNR, SSIM, probes",
		Description: `Images are a folder (png, jpg, …), an .npz of uint8 samples [n,h,w,c] under arr_0, a known data
set (cifar10, or cifar10:test), any other file that liebm data opens (a zip, a .liebm of liebm data
prepare), or a run of liebm train, from which --n samples are drawn.
Every result is a record with n, seed, SHA-256 of weights and data, mode and versions. --json prints
the record, --out appends it to a file, and liebm report shows the records of a run.

Several processes share samples, features and scores of all metrics but time (docs/parallel.md).

	liebm data fetch inception
	liebm metrics fid samples.npz cifar10
	torchrun --no_python --nproc_per_node 2 liebm metrics fid runs/em cifar10`,
		Subcommands: []*cli.Command{fidCommand(), isCommand(), kidCommand(), prCommand(), oodCommand(),
			psnrCommand(), ssimCommand(), probeCommand(), tsneCommand(), timeCommand()},
	}
}

// metricFlags are the flags of every metric that reads images.
func metricFlags(more ...cli.Flag) []cli.Flag {
	return append(more,
		skipFlag(),
		countFlag("n", 50_000, 1, "samples to draw from a run"), checkpointFlag(),
		&cli.BoolFlag{Name: "no-mcmc", Usage: "draw from a run's G alone, without the chain"},
		&cli.Uint64Flag{Name: "seed", Usage: "seed of samples, splits and subsets"},
		recordFlag(), jsonFlag(), deviceFlag(),
	)
}

// inceptionFlags are metricFlags, and those of Inception.
func inceptionFlags(mode eval.Resizing, more ...cli.Flag) []cli.Flag {
	return metricFlags(append([]cli.Flag{
		weightsFlag("", auto),
		&cli.StringFlag{Name: "mode", Value: string(mode), Usage: "how images are resized: pytorch (pytorch-fid), tf (TTUR, torch-fidelity, ADM) or clean (clean-fid)"},
	}, more...)...)
}

func newRecord(metric string) *eval.Record { return eval.NewRecord(metric, versions()) }

// A measurement measures the sets of images that the arguments name. It returns no record in processes that are not rank 0.
type measurement func(c *cli.Context, names []string, o study.ImageOptions, s study.Setup) (*eval.Record, error)

// onImages is the Action of a metric of n sets of images, whose work processes share. line is what it prints of a record.
func onImages(n int, measure measurement, line func(r *eval.Record) string) cli.ActionFunc {
	return func(c *cli.Context) error {
		if slices.Contains(c.Args().Slice(), "") {
			return fmt.Errorf("an argument is empty: %s %s", c.Command.HelpName, c.Command.ArgsUsage)
		}
		if c.NArg() != n {
			return fmt.Errorf("%d arguments are given, %d are needed: %s %s", c.NArg(), n, c.Command.HelpName, c.Command.ArgsUsage)
		}
		o := study.ImageOptions{Skip: c.Bool(skipUnreadable), N: c.Int("n"), Samples: train.SampleOptions{Seed: c.Uint64("seed"), NoMCMC: c.Bool("no-mcmc")}}
		if weights := c.String("weights"); weights != auto {
			o.Inception = weights
		}
		if mode := c.String("mode"); mode != "" {
			var err error
			if o.Mode, err = eval.ParseMode(mode); err != nil {
				return err
			}
		}
		setup, err := sharedSetup(c.Context, c)
		if err != nil {
			return err
		}
		defer setup.Group.Close()
		r, err := measure(c, c.Args().Slice(), o, setup)
		if err != nil || r == nil {
			return err
		}
		return readResults(c, c.Args().Slice()).finish(r, "%s\n", line(r))
	}
}

// results says what becomes of a record.
type results struct {
	run  string // folder that keeps it; may be empty
	out  string // file that it is appended to; may be empty
	json bool
}

// readResults reads --out, --json, and --run or the first argument that is a run.
func readResults(c flagValues, args []string) results {
	r := results{c.String("run"), c.String("out"), c.Bool("json")}
	if i := slices.IndexFunc(args, study.IsRun); r.run == "" && i >= 0 {
		r.run = args[i]
	}
	return r
}

// finish keeps a record, and prints its warnings and the record: as JSON, or as format says.
func (to results) finish(r *eval.Record, format string, values ...any) error {
	if to.run != "" {
		if err := study.Keep(to.run, r); err != nil {
			return err
		}
	}
	if to.out != "" {
		if err := r.Append(to.out); err != nil {
			return err
		}
	}
	printWarnings(r)
	return show(r, to.json, func(w io.Writer) { fmt.Fprintf(w, format, values...) })
}

func fidCommand() *cli.Command {
	return &cli.Command{
		Name:      "fid",
		Usage:     "Fréchet Inception distance between two sets of images or statistics",
		ArgsUsage: "A B",
		Description: `The default mode is that of pytorch-fid. A and B may also be files of statistics (mu, sigma). With --stats-out
and A alone, the command writes such a file. Use more than 2,048 images, the number of features; 50,000 are usual.

	liebm metrics fid samples.npz cifar10
	liebm metrics fid runs/em cifar10 --n 50000
	liebm metrics fid cifar10 --stats-out cifar10-train.npz`,
		Flags: inceptionFlags(eval.PyTorch, &cli.StringFlag{Name: "stats-out", Usage: "write A's statistics to this `FILE`.npz, in the format of pytorch-fid"}),
		Action: func(c *cli.Context) error {
			out, n := c.String("stats-out"), 2
			if out != "" && c.NArg() == 1 {
				n = 1
			}
			return onImages(n, func(c *cli.Context, names []string, o study.ImageOptions, s study.Setup) (*eval.Record, error) {
				return study.AssessFID(c.Context, names[0], append(names, "")[1], study.FIDOptions{StatsOut: out}, o, s)
			}, func(r *eval.Record) string {
				if n == 1 {
					return fmt.Sprintf("statistics of %s images in %s (%s)", imagesOf(r, 0), out, r.Network)
				}
				return fmt.Sprintf("%s %.4f (%s, n %s and %s)", r.Metric, r.Values["value"], r.Network, imagesOf(r, 0), imagesOf(r, 1))
			})(c)
		},
	}
}

// imagesOf is the number of images of an input. Files of statistics need not state it.
func imagesOf(r *eval.Record, input int) string {
	if n := r.Inputs[input].N; n > 0 {
		return fmt.Sprint(n)
	}
	return "unstated"
}

func isCommand() *cli.Command {
	return &cli.Command{
		Name:      "is",
		Usage:     "inception score",
		ArgsUsage: "A",
		Description: `Computed from the 1,008 logits without bias, in --splits parts, in the order of the images. The default
mode is that of torch-fidelity and ADM.

	liebm metrics is samples.npz`,
		Flags: inceptionFlags(eval.TF, countFlag("splits", 10, 1, "number of parts"), &cli.BoolFlag{Name: "shuffle", Usage: "assign images to splits at random, by --seed"}),
		Action: onImages(1, func(c *cli.Context, names []string, o study.ImageOptions, s study.Setup) (*eval.Record, error) {
			is := eval.ISOptions{Splits: c.Int("splits"), Shuffle: c.Bool("shuffle"), Seed: c.Uint64("seed")}
			return study.AssessIS(c.Context, names[0], is, o, s)
		}, func(r *eval.Record) string {
			return fmt.Sprintf("IS %.4f ± %.4f (%s splits, shuffle %s, %s, n %d)", r.Values["mean"], r.Values["std"], r.Settings["splits"], r.Settings["shuffle"], r.Network, r.Inputs[0].N)
		}),
	}
}

func kidCommand() *cli.Command {
	return &cli.Command{
		Name:      "kid",
		Usage:     "kernel Inception distance; unlike FID, its mean does not depend on the number of images",
		ArgsUsage: "A B",
		Description: `MMD² with the kernel (x·y/2048 + 1)³ over subsets drawn without replacement.

	liebm metrics kid samples.npz cifar10`,
		Flags: inceptionFlags(eval.TF, countFlag("subsets", 100, 1, "number of subsets"), countFlag("subset-size", 1000, 2, "images of a subset")),
		Action: onImages(2, func(c *cli.Context, names []string, o study.ImageOptions, s study.Setup) (*eval.Record, error) {
			kid := eval.KIDOptions{Subsets: c.Int("subsets"), Size: c.Int("subset-size"), Seed: c.Uint64("seed")}
			return study.AssessKID(c.Context, names[0], names[1], kid, o, s)
		}, func(r *eval.Record) string {
			return fmt.Sprintf("KID %.6f ± %.6f (%s subsets of %s, %s, n %d and %d)", r.Values["mean"], r.Values["std"], r.Settings["subsets"], r.Settings["subset_size"], r.Network, r.Inputs[0].N, r.Inputs[1].N)
		}),
	}
}

func prCommand() *cli.Command {
	return &cli.Command{
		Name:      "pr",
		Usage:     "improved precision and recall of generated against real images",
		ArgsUsage: "GENERATED REAL",
		Description: `Each image is the centre of a ball that reaches to its k-th nearest neighbour in the same set. Precision is
the share of generated images that lie in a ball of a real image. Recall is the share of real images that lie in
a ball of a generated image.

	liebm metrics pr samples.npz cifar10`,
		Flags: inceptionFlags(eval.TF, countFlag("k", 3, 1, "a ball reaches to the k-th nearest neighbour of its centre")),
		Action: onImages(2, func(c *cli.Context, names []string, o study.ImageOptions, s study.Setup) (*eval.Record, error) {
			return study.AssessPrecisionRecall(c.Context, names[0], names[1], c.Int("k"), o, s)
		}, func(r *eval.Record) string {
			return fmt.Sprintf("precision %.4f  recall %.4f (k %s, %s, n %d and %d)", r.Values["precision"], r.Values["recall"], r.Settings["k"], r.Network, r.Inputs[0].N, r.Inputs[1].N)
		}),
	}
}

func psnrCommand() *cli.Command {
	return &cli.Command{
		Name:      "psnr",
		Usage:     "PSNR and MSE between images in pairs",
		ArgsUsage: "A B",
		Description: `Image i of A belongs to image i of B, in the order of an .npz or of the files' paths. Pixels are scaled
to [0,1]. The result is the mean of the pairs' PSNR.

	liebm metrics psnr restored.npz originals.npz`,
		Flags: metricFlags(),
		Action: onImages(2, func(c *cli.Context, names []string, o study.ImageOptions, s study.Setup) (*eval.Record, error) {
			return study.AssessPSNR(c.Context, names[0], names[1], o, s)
		}, func(r *eval.Record) string {
			return fmt.Sprintf("PSNR %.4f dB  MSE %.6g (data range 1, n %d)", r.Values["psnr"], r.Values["mse"], r.Inputs[0].N)
		}),
	}
}

func ssimCommand() *cli.Command {
	return &cli.Command{
		Name:      "ssim",
		Usage:     "structural similarity between images in pairs",
		ArgsUsage: "A B",
		Description: `Computed for each channel, then averaged over channels and images. Pairs are as in liebm metrics psnr.
The default window is Wang's Gaussian; box is scikit-image's default.

	liebm metrics ssim restored.npz originals.npz
	liebm metrics ssim restored/ originals/ --window box`,
		Flags: metricFlags(&cli.StringFlag{Name: "window", Value: string(eval.Gauss), Usage: "gauss or box"}),
		Action: onImages(2, func(c *cli.Context, names []string, o study.ImageOptions, s study.Setup) (*eval.Record, error) {
			return study.AssessSSIM(c.Context, names[0], names[1], eval.Window(c.String("window")), o, s)
		}, func(r *eval.Record) string {
			return fmt.Sprintf("SSIM %.6f (%s, data range 1, n %d)", r.Values["ssim"], r.Settings["window"], r.Inputs[0].N)
		}),
	}
}
