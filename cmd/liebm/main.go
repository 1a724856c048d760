// Command liebm trains, samples and evaluates latent-informed energy-based models.
package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
	"unicode"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/torch"
)

// makeVersion is set by the Makefile.
var makeVersion string

// version is the Makefile's, or the revision that go build recorded in the binary.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if makeVersion != "" || !ok {
		return cmp.Or(makeVersion, "unknown")
	}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	revision := settings["vcs.revision"]
	if revision == "" {
		return cmp.Or(strings.Trim(info.Main.Version, "()"), "unknown")
	}
	revision = revision[:min(len(revision), 12)]
	if settings["vcs.modified"] == "true" {
		revision += "-dirty"
	}
	return revision
}

// versions are recorded with every result.
func versions() map[string]string { return map[string]string{"liebm": version()} }

func main() {
	waitBriefly()
	// All work is done on this goroutine. OpenMP keeps a pool of threads for each OS thread. If the pools
	// together have more threads than there are CPUs, they stop spinning between operators: twice as slow.
	runtime.LockOSThread()
	// After SIGPIPE, too, a run saves: its terminal is gone. nohup has SIGHUP ignored.
	signals := slices.DeleteFunc([]os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE}, signal.Ignored)
	signalled := &job{save: make(chan os.Signal, 1)}
	signal.Notify(signalled.save, syscall.SIGUSR1) // Slurm can send it before the time of a job is over; it must not end other commands
	ctx, stop := signal.NotifyContext(context.WithValue(context.Background(), jobKey{}, signalled), signals...)
	context.AfterFunc(ctx, func() { endSoon(ctx) })
	err := printing(func() error { return runApp(ctx, os.Args) })
	stop()
	if err == context.Canceled { // unwrapped: nothing is left to go on with
		err = fmt.Errorf("stopped; nothing was written: %w", err)
	}
	if err != nil {
		text := explainPermission(err).Error()
		if errors.Is(err, context.Canceled) { // whoever pressed Ctrl-C knows the cause
			text = strings.ReplaceAll(text, ": "+context.Canceled.Error(), "")
		}
		fmt.Fprintln(os.Stderr, "liebm:", printable(shorten(text)))
		os.Exit(exitCode(err))
	}
}

// waitBriefly makes OpenMP's threads sleep sooner when they wait for each other. GCC's OpenMP lets them spin for some milliseconds.
// If other programs use the cores too, a thread that spins can take the core of the thread that it waits for. Work on two threads
// then took up to three times as long. On a quiet machine there was no difference. OpenMP reads the setting before main, so the
// process starts itself again, which takes a second. Commands that may be short do not do this.
func waitBriefly() {
	const count = "GOMP_SPINCOUNT"
	_, counts := os.LookupEnv(count)
	_, waits := os.LookupEnv("OMP_WAIT_POLICY")
	if counts || waits || !slices.Contains([]string{"train", "train-q", "pretrain", "demo", "eval", "reproduce", "plan", "bench"}, commandOf(os.Args)) {
		return
	}
	path, err := os.Executable()
	if err = errors.Join(err, os.Setenv(count, "10000")); err == nil {
		_ = syscall.Exec(path, os.Args, os.Environ()) // returns on errors only
	}
}

// commandOf is the first word of a command line that is neither a flag nor a number. It takes a number for the value of a flag.
func commandOf(args []string) string {
	for _, arg := range args[1:] {
		if _, err := strconv.ParseFloat(arg, 64); err != nil && !strings.HasPrefix(arg, "-") {
			return arg
		}
	}
	return ""
}

// printable writes control characters out: a name or text from a file could change the terminal.
func printable(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case unicode.Is(unicode.Bidi_Control, r):
			fmt.Fprintf(&b, `\u%04x`, r)
		case unicode.IsControl(r) && r != '\n' && r != '\t':
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// cleaned makes text printable. Each call of Write has whole lines.
type cleaned struct{ to io.Writer }

func (c cleaned) Write(text []byte) (int, error) {
	_, err := io.WriteString(c.to, printable(string(text)))
	return len(text), err
}

// shorten leaves the start and the end of very long words, such as an argument that a program made.
func shorten(text string) string {
	return veryLong.ReplaceAllStringFunc(text, func(word string) string {
		r := []rune(word)
		return fmt.Sprintf("%s…(%d characters)…%s", string(r[:100]), len(r), string(r[len(r)-50:]))
	})
}

var veryLong = regexp.MustCompile(`\S{500,}`)

// job is what signals and a training tell each other.
type job struct {
	busy atomic.Bool    // it has made a step, and saves it when the context ends
	save chan os.Signal // makes it save and go on
}

type jobKey struct{}

func jobOf(ctx context.Context) *job {
	if j, ok := ctx.Value(jobKey{}).(*job); ok {
		return j
	}
	return &job{}
}

// endSoon ends the process if it has nothing to save and does not end by itself, for example while it opens a folder of
// pictures or reads a pipe.
func endSoon(ctx context.Context) {
	time.Sleep(700 * time.Millisecond)
	if !jobOf(ctx).busy.Load() {
		fmt.Fprintln(os.Stderr, "liebm: stopped")
		os.Exit(exitCode(context.Canceled))
	}
}

// printing calls f and returns its error, or that of writing to the standard output, such as a full disk. Between f and the
// standard output is a pipe, since fmt.Print does not look at errors.
func printing(f func() error) error {
	out := os.Stdout
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	os.Stdout = w
	written := make(chan error)
	go func() {
		err := copyLines(out, r)
		_, _ = io.Copy(io.Discard, r) // so that f need not wait
		written <- err
	}()
	err = f()
	os.Stdout = out
	w.Close()
	if wrong := <-written; err == nil && wrong != nil {
		err = fmt.Errorf("write the results: %w", wrong)
	}
	return err
}

// copyLines copies text to a file, and makes it printable on a terminal.
func copyLines(to *os.File, from io.Reader) error {
	if !term.IsTerminal(int(to.Fd())) {
		_, err := io.Copy(to, from)
		return err
	}
	for lines := bufio.NewReader(from); ; {
		line, end := lines.ReadString('\n')
		if _, err := io.WriteString(cleaned{to}, line); err != nil {
			return err
		}
		if end != nil {
			return nil
		}
	}
}

// explainPermission adds to a denied permission the user it was denied to and the remedy.
func explainPermission(err error) error {
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return fmt.Errorf("%w\n  liebm runs as user %d: give this user access to the path, or use another one; in a container, make the folder "+
		`on the host first, and add --user "$(id -u):$(id -g)"`, err, os.Getuid())
}

// exitCode is 130 after Ctrl-C, as in shells, and 1 after any other failure.
func exitCode(err error) int {
	if errors.Is(err, context.Canceled) {
		return 130
	}
	return 1
}

func app() *cli.App {
	return plainly(&cli.App{
		Name:    "liebm",
		Usage:   "train, sample and evaluate latent-informed energy-based models",
		Version: version(),
		Description: `A first run, on Fashion-MNIST in ten minutes:

	liebm demo --out runs/demo

The same in steps:

	liebm pretrain --preset fmnist-simclr --out runs/encoder
	liebm train --preset fmnist-em --encoder runs/encoder --out runs/em --minutes 6
	liebm sample --run runs/em --n 10000 --out samples.npz
	liebm eval --run runs/em`,
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "threads", Usage: "threads per operator (default: OMP_NUM_THREADS, or one per CPU)"},
			&cli.Float64Flag{Name: "max-memory", EnvVars: []string{data.MaxMemory}, Usage: "largest number of `GIB` of pixels to hold in memory; pixels of prepared files do not count (default: 2)"},
		},
		Before: func(c *cli.Context) error {
			if c.IsSet("threads") {
				if err := torch.SetThreads(c.Int("threads")); err != nil {
					return fmt.Errorf("--threads: %w", err)
				}
			}
			if gib := c.Float64("max-memory"); c.IsSet("max-memory") {
				if !(gib > 0 && gib <= mostFloat) {
					return fmt.Errorf("--max-memory %v: use a number above 0", gib)
				}
				if err := os.Setenv(data.MaxMemory, fmt.Sprint(gib)); err != nil {
					return err
				}
			}
			return torch.Do(func() error { return nil }) // libtorch cannot be used, or OMP_NUM_THREADS is wrong
		},
		Commands: []*cli.Command{
			demoCommand(), pretrainCommand(), trainCommand(), trainQCommand(), importCommand(), exportCommand(), packCommand(), checkCommand(), sampleCommand(), evalCommand(),
			reconstructCommand(), restoreCommand(), conditionalCommand(), interpolateCommand(), scoreCommand(),
			metricsCommand(), compareCommand(), reportCommand(), planCommand(), benchCommand(), dataCommand(), configCommand(), doctorCommand(), completionCommand(),
			reproduceCommand(),
		},
		HideHelpCommand:           true,
		EnableBashCompletion:      true,
		DisableSliceFlagSeparator: true,                         // lists have commas: --set energy.widths=[16,32]
		ExitErrHandler:            func(*cli.Context, error) {}, // main prints and exits
	})
}
