package study

import (
	"fmt"
	"strings"

	"github.com/liebm/liebm/train"
)

// hyperparameters are the rows of Table 12: as published for CIFAR-10, ImageNet 32, CelebA 64 and
// CelebA-HQ 256, and as our presets have them.
var hyperparameters = []struct {
	name      string
	published [4]string
	ours      func(c train.Config, p *train.Cost) string
}{
	{"E learning rate / Adam β₁, β₂", [4]string{"1e-4 / (0.0, 0.999)", "1e-4 / (0.0, 0.999)", "1e-4 / (0.0, 0.9)", "1e-4 / (0.0, 0.9)"},
		func(c train.Config, _ *train.Cost) string { return rates(c.OptE) }},
	{"G learning rate / Adam β₁, β₂", [4]string{"2e-4 / (0.0, 0.9)", "2e-4 / (0.0, 0.9)", "3e-4 / (0.0, 0.9)", "3e-4 / (0.0, 0.9)"},
		func(c train.Config, _ *train.Cost) string { return rates(c.OptG) }},
	{"q learning rate / Adam β₁, β₂", [4]string{"2e-4 / (0.0, 0.9)", "2e-4 / (0.0, 0.9)", "1e-4 / (0.0, 0.9)", "1e-4 / (0.0, 0.9)"},
		func(c train.Config, _ *train.Cost) string { return rates(c.OptQ) }},
	{"EMA decay rate", [4]string{"0.9999", "0.9999", "0.9999", "0.9999"}, func(c train.Config, _ *train.Cost) string { return fmt.Sprint(c.EMA) }},
	{"γ for training", [4]string{"0.01", "0.01", "0.01", "0.01"}, func(c train.Config, _ *train.Cost) string { return fmt.Sprint(c.Energy.Gamma) }},
	{"batch size", [4]string{"256", "256", "256", "128"}, func(c train.Config, _ *train.Cost) string { return fmt.Sprint(c.Batch) }},
	{"MCMC steps", [4]string{"15", "15", "15", "15"}, func(c train.Config, _ *train.Cost) string { return fmt.Sprint(c.Chain.Steps) }},
	{"MCMC step size δ²", [4]string{"25", "25", "0.1", "0.1"}, func(c train.Config, _ *train.Cost) string { return fmt.Sprint(c.Chain.Delta2) }},
	{"ω₁ / ω₂ in Eq. 11", [4]string{"1 / 0.1", "1 / 0.1", "70 / 1", "70 / 1"},
		func(c train.Config, _ *train.Cost) string { return fmt.Sprintf("%v / %v", c.Omega1, c.Omega2) }},
	{"ρ in Eq. 13", [4]string{"1", "1", "1", "50"}, func(c train.Config, _ *train.Cost) string { return fmt.Sprint(c.Rho) }},
	{"training epochs", [4]string{"500", "100", "300", "300"}, func(c train.Config, _ *train.Cost) string {
		return fmt.Sprintf("%.0f", c.Epochs())
	}},
	{"data range", [4]string{"[0, 1]", "[-1, 1]", "[-1, 1]", "[-1, 1]"},
		func(c train.Config, _ *train.Cost) string {
			return fmt.Sprintf("[%v, %v]", c.Data.Range.Low, c.Data.Range.High)
		}},
	{"latent dimension", [4]string{"128", "128", "128", "256"}, func(c train.Config, _ *train.Cost) string { return fmt.Sprint(c.Generator.LatentDim) }},
	{"G parameters", [4]string{"4.3M", "16.0M", "12.2M", "34.3M"}, func(_ train.Config, p *train.Cost) string { return millions(p.Params["G"]) }},
	{"E parameters", [4]string{"4.9M", "17.6M", "20.7M", "40.7M"}, func(_ train.Config, p *train.Cost) string { return millions(p.Params["E"]) }},
	{"q parameters", [4]string{"15.2M", "15.2M", "15.2M", "8.1M"}, func(_ train.Config, p *train.Cost) string { return millions(p.Params["q"]) }},
}

func rates(o train.OptimConfig) string {
	return fmt.Sprintf("%s / (%.1f, %v)", strings.Replace(fmt.Sprintf("%.0e", o.LR), "e-0", "e-", 1), o.Beta1, o.Beta2)
}

func millions(n int) string { return fmt.Sprintf("%.1fM", float64(n)/1e6) }

// hyperparameterTable is the page of Table 12: the presets beside the published hyper-parameters.
func hyperparameterTable() (string, error) {
	presets := []string{"cifar10-em-published", "imagenet32-em-published", "celeba64-em-published", "celebahq256-em-published"}
	titles := "| |"
	var configs []train.Config
	var costs []*train.Cost
	for _, name := range presets {
		c, err := train.Preset(name)
		if err != nil {
			return "", err
		}
		p, err := train.CountCost(c, train.EncoderFor(c))
		if err != nil {
			return "", err
		}
		configs, costs = append(configs, c), append(costs, p)
		titles += " published | " + name + " |"
	}
	var b strings.Builder
	tableHead(&b, titles)
	for _, h := range hyperparameters {
		fmt.Fprintf(&b, "| %s |", h.name)
		for i := range presets {
			fmt.Fprintf(&b, " %s | %s |", h.published[i], h.ours(configs[i], costs[i]))
		}
		fmt.Fprintln(&b)
	}
	return b.String(), nil
}
