package study

import (
	_ "embed"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/eval"
	"github.com/liebm/liebm/internal/shell"
	"github.com/liebm/liebm/torch/nn"
	"github.com/liebm/liebm/train"
)

//go:embed card.md.tmpl
var cardText string

var cardTemplate = template.Must(template.New("card").Funcs(template.FuncMap{"number": number}).Parse(cardText))

// card is what the template shows.
type card struct {
	Name, License, Folder string
	Model                 *train.Model
	Config                train.Config
	Info                  *train.RunInfo // nil if the run has none
	Summary               *Summary       // of the records of these weights
}

// WriteCard writes README.md, a model card for hubs of models, into folder, which has the weights of m. dir is the run of m. The
// card has the data, the training and the results that the run recorded for these weights. license is the hub's name of the
// weights' licence, such as apache-2.0. WriteCard returns the path.
func WriteCard(folder, dir, license string, m *train.Model) (string, error) {
	name, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	c := card{Name: filepath.Base(name), License: license, Folder: folder, Model: m, Config: m.Config}
	if c.Info, err = readInfo(dir); err != nil {
		return "", err
	}
	all, err := eval.ReadRecords(filepath.Join(dir, ResultsFile))
	if err != nil {
		return "", err
	}
	c.Summary = Summarize(ofCheckpoint(all, m.SHA256))
	path := filepath.Join(folder, "README.md")
	return path, data.WriteAtomic(path, func(w io.Writer) error { return cardTemplate.Execute(w, c) })
}

// renewCard writes the card of a packed run again, with new results and its licence. It leaves other texts alone.
func renewCard(dir string, m *train.Model) error {
	text, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	license, card := strings.CutPrefix(string(text), "---\nlicense: ")
	if !card {
		return nil
	}
	license, _, _ = strings.Cut(license, "\n")
	_, err = WriteCard(dir, dir, license, m)
	return err
}

// Imported reports whether the weights are not of liebm's training.
func (c card) Imported() bool { return c.Info != nil && c.Info.Imported != nil }

// Hub is the name of the training data on the Hugging Face hub, or nothing.
func (c card) Hub() string {
	if c.Imported() {
		return ""
	}
	known, _ := data.Lookup(c.Config.Data.Name)
	return known.Hub
}

// Networks are the numbers of parameters of the networks.
func (c card) Networks() map[string]int {
	all := map[string]int{"energy E": nn.CountParams(c.Model.E), "generator G": nn.CountParams(c.Model.G), "encoder h": nn.CountParams(c.Model.H),
		"inference model q": nn.CountParams(c.Model.Q)}
	maps.DeleteFunc(all, func(_ string, n int) bool { return n == 0 })
	return all
}

// Has reports whether the folder has a file.
func (c card) Has(name string) bool { return exists(filepath.Join(c.Folder, name)) }

type described struct{ Name, About string }

// Files are the files of an export or a run that the folder has.
func (c card) Files() (all []described) {
	for _, f := range []described{
		{"config.json", "all settings of the training run"},
		{"config.yaml", "all settings of the training run"},
		{"run.json", "seed, command, versions and checksums of the data"},
		{"checkpoint-*.safetensors", "E, and in a run the state of training"},
		{"generator-????????.safetensors", "G"},
		{"generator-*-posterior.safetensors", "G for latents of q, with other batch-norm statistics"},
		{"energy.safetensors", "weights of E"},
		{"generator.safetensors", "weights of G"},
		{"encoder.safetensors", "weights of h"},
		{"inference.safetensors", "weights of q, which infers G's latent from an image"},
		{"energy.pt", "E in TorchScript"},
		{"generator.pt", "G in TorchScript"},
		{"encoder.pt", "h in TorchScript"},
		{"score.pt", "the score s(x) = F(f(x)) + γ·cos(g(f(x)), h(x)) of Eq. 15 in TorchScript"},
	} {
		names, _ := fs.Glob(os.DirFS(c.Folder), f.Name) // the patterns are good
		for _, name := range names {
			all = append(all, described{name, f.About})
		}
	}
	return all
}

// Command is the command line of the run's first start, quoted for a shell.
func (c card) Command() string {
	var words []string
	for i, arg := range c.Info.Command {
		if i == 0 {
			arg = filepath.Base(arg)
		}
		words = append(words, shell.Word(arg))
	}
	return strings.Join(words, " ")
}

// Versions are the versions of the programs that trained the run.
func (c card) Versions() (all []string) {
	for _, name := range slices.Sorted(maps.Keys(c.Info.Versions)) {
		all = append(all, name+" "+strings.TrimPrefix(c.Info.Versions[name], "go"))
	}
	return all
}

// HalfStep is δ²/2 of the chain.
func (c card) HalfStep() float64 { return c.Config.Chain.Delta2 / 2 }
