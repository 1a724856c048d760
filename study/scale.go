package study

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/liebm/liebm/eval"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/train"
)

// A Scale is the size of a study: the networks, the data and the effort of measuring. Start from [Mini]
// or [Paper].
type Scale struct {
	Steps      int      // training steps of each model; 0: 2,000 for Mini, and those of Table 12 for Paper
	Data       string   // file or folder of the data set; empty: where it is usually installed
	Set        []string // changes of every model's config, as in "chain.steps=3"
	SetEncoder []string // changes of every encoder's config
	Weights    string   // pytorch-fid's Inception file, which Paper needs for FID and IS
	Samples    int      // images that distances are measured on
	Along      int      // images that the distance is measured on in the course of training
	Restored   int      // images that restoration is measured on
	Chains     int      // chains from each start: all of them make 100 steps, and the first tenth makes 1,000
	Outliers   []string // folders, archives or files of images, which become further outliers of the study near
	Published  bool     // with Paper: train the presets with Table 12's settings, such as cifar10-em-published
	TimeShare  float64  // in the study of equal time, the share of its seconds for which each model trains; 0: all of them

	paper bool
}

// Mini is Fashion-MNIST with small networks: some minutes for each model on two
// CPU cores. Its figures show which trends appear. Do not compare them with published ones.
func Mini() Scale { return Scale{Samples: 10_000, Along: 2000, Restored: 100, Chains: 400} }

// Paper trains the presets of the paper's data sets on a GPU. They differ from Table 12 (see [train.CIFAR10]) unless Published is set. Weights is pytorch-fid's Inception file.
func Paper(weights string) Scale {
	return Scale{Weights: weights, Samples: 50_000, Along: 10_000, Restored: 100, Chains: 2000, paper: true}
}

// publishedScale is the name of the scale of Table 12's settings.
const publishedScale = "paper-published"

// Name is mini, paper or, with Published, paper-published.
func (sc Scale) Name() string {
	switch {
	case sc.paper && sc.Published:
		return publishedScale
	case sc.paper:
		return "paper"
	}
	return "mini"
}

// scaleNamed is the scale of a result, by its name.
func scaleNamed(name string) Scale {
	if name != "paper" && name != publishedScale {
		return Mini()
	}
	sc := Paper("")
	sc.Published = name == publishedScale
	return sc
}

// needed is a measurement that a study needs at the scale. The name of that of given outliers has their paths, since others have to
// be measured anew; it is empty if there are none.
func (sc Scale) needed(what measurement) measurement {
	if what != ofGivenOutliers {
		return what
	}
	if len(sc.Outliers) == 0 {
		return ""
	}
	return what + ": " + measurement(strings.Join(sc.Outliers, ", "))
}

// others reports whether a record is of given outliers that are not those of the scale. Two sets may have the same name.
func (sc Scale) others(r eval.Record) bool {
	what := measurement(r.Settings[studyKey])
	return strings.HasPrefix(string(what), string(ofGivenOutliers)) && what != sc.needed(ofGivenOutliers)
}

// given are the names of the scale's outliers.
func (sc Scale) given() []string { return setNames(sc.Outliers, setsOfStudies()) }

// flags are the flags of liebm reproduce that choose the scale.
func (sc Scale) flags() string {
	text := "--scale " + sc.Name()
	if sc.Published {
		text = "--scale paper --published"
	}
	return text
}

// title is the title of a study's results.
func (sc Scale) title(s Study) string {
	if sc.Published {
		return s.Title + ", with the settings of Table 12"
	}
	return s.Title
}

// note is the note of a study's results. noteOfF is about presets whose F is not that of Table 12.
func (sc Scale) note(s Study) string {
	if sc.Published && s.Note == noteOfF {
		return ""
	}
	return s.Note
}

// preset is the one that the models of a data set start from.
func (sc Scale) preset(data string) string {
	if sc.Published {
		return data + "-em-published"
	}
	return data + "-em"
}

// check is an error for a scale that no study can have.
func (sc Scale) check() error {
	if sc.Samples < 2 || sc.Along < 2 || sc.Restored < 1 || sc.Chains < 2 {
		return fmt.Errorf("scale: %d samples, %d during training, %d restored, %d chains: start from Mini or Paper", sc.Samples, sc.Along, sc.Restored, sc.Chains)
	}
	if sc.Steps < 0 {
		return fmt.Errorf("scale: steps is %d: give at least 1, or 0 for the default", sc.Steps)
	}
	if sc.TimeShare < 0 {
		return fmt.Errorf("scale: the share of time is %v: give a number above 0, or 0 for all of it", sc.TimeShare)
	}
	if err := checkSets(sc.Outliers); err != nil {
		return err
	}
	if !sc.paper && sc.Published {
		return errors.New("the scale mini has no published settings: use the scale paper")
	}
	if !sc.paper && sc.Weights != "" {
		return fmt.Errorf("weights %s: the scale mini measures on features of Fashion-MNIST and has no FID: use the scale paper, or leave the weights out", sc.Weights)
	}
	return nil
}

// ready is an error where the scale cannot be computed.
func (sc Scale) ready(device torch.Device) error {
	if sc.paper && device.Type != torch.CUDA {
		return fmt.Errorf("the scale paper trains on a GPU, and the device is %s: liebm doctor says why there is no GPU; or use the scale mini, which runs on a CPU", device)
	}
	if sc.paper && sc.Weights == "" {
		return fmt.Errorf("the scale paper needs Inception's weights for FID and IS: fetch them by liebm data fetch inception, or name the file")
	}
	return nil
}

// miniSteps is what trains in three minutes at mini scale, at some 12 steps a second on two cores.
const miniSteps = 2000

// steps is how many each model is trained for; 0: as many as the preset says.
func (sc Scale) steps() int {
	if sc.Steps == 0 && !sc.paper {
		return miniSteps
	}
	return sc.Steps
}

// seconds are those that a cell trains for; 0: its steps say how long.
func (sc Scale) seconds(c *cell) float64 { return c.seconds * cmp.Or(sc.TimeShare, 1) }

// settings are the changes of every model's preset.
func (sc Scale) settings() (set []string) {
	if !sc.paper {
		set = append(set, "log.samples=250", "log.checkpoint=500")
	}
	if steps := sc.steps(); steps > 0 {
		set = append(set, fmt.Sprintf("steps=%d", steps))
	}
	return append(append(set, sc.path()...), sc.Set...)
}

// encoder names the source of h for variants that do not name one. For Fashion-MNIST at the mini scale it is the run that comes
// with liebm, whose h was pretrained for longer than a study can afford. Otherwise the study pretrains h by SimCLR.
func (sc Scale) encoder(data string) string {
	if !sc.paper && Classified(data) && len(sc.SetEncoder) == 0 {
		return "pretrained:fmnist"
	}
	return train.SimCLR
}

// encoderSettings are the changes of every encoder's preset.
func (sc Scale) encoderSettings() []string { return append(sc.path(), sc.SetEncoder...) }

func (sc Scale) path() []string {
	if sc.Data == "" {
		return nil
	}
	return []string{"data.path=" + sc.Data}
}

// dataOf is the prefix of the presets that a study trains.
func (sc Scale) dataOf(s Study) string {
	if sc.paper {
		return s.data
	}
	return cmp.Or(s.mini, "fmnist")
}

// distance is the name of the Fréchet distance that samples are measured by, at the end and in the course
// of training.
func (sc Scale) distance() string {
	if sc.paper {
		return "fid"
	}
	return "fd"
}

// metric is the name of a number at the scale. Claims name the distance of the mini scale.
func (sc Scale) metric(name string) string {
	if rest, ok := strings.CutPrefix(name, "fd"); ok {
		return sc.distance() + rest
	}
	return name
}

func (sc Scale) distanceTitle() string { return strings.ToUpper(sc.distance()) }

// outliers are the sets of Tables 6, 7 and 9, or those that need no download.
func (sc Scale) outliers(data string) []string {
	switch {
	case !sc.paper:
		return MadeOutliers
	case data == "imagenet32":
		return []string{"svhn", "constant", "fmnist", "celeba"}
	}
	return []string{"svhn", "constant", "cifar100", "celeba"}
}

// tasks are the degradations of Table 8. Gray images have no colours to restore.
func (sc Scale) tasks() []string {
	if sc.paper {
		return []string{Colorize, SR8}
	}
	return []string{SR4, SR8}
}
