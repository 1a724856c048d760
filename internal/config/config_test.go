package config

import (
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type sample struct {
	Preset string      `yaml:"preset"`
	Seed   uint64      `yaml:"seed"`
	Batch  int         `yaml:"batch"`
	LR     float64     `yaml:"lr"`
	ERM    bool        `yaml:"erm"`
	Chain  sampleChain `yaml:"chain"`
	Energy sampleNet   `yaml:"energy"`
	hidden int
	Skip   func() `yaml:"-"`
}

type sampleChain struct {
	Steps  int     `yaml:"steps"`
	Delta2 float64 `yaml:"delta2"`
	Sigma  float32 `yaml:"sigma"`
	Graph  bool    `yaml:"-"`
}

type sampleNet struct {
	Betas    [2]float64 `yaml:"betas"`
	Channels []int      `yaml:"channels"`
	Down     []bool     `yaml:"down"`
	Names    []string   `yaml:"names"`
	Level    int8       `yaml:"level"`
	Inner    struct {
		Rate float64
	} `yaml:"inner"`
}

func filled() sample {
	s := sample{Preset: "cifar10", Seed: math.MaxUint64, Batch: 256, LR: 1e-4, ERM: true, hidden: 7}
	s.Chain = sampleChain{Steps: 15, Delta2: 25, Sigma: 1e-3, Graph: true}
	s.Energy = sampleNet{Betas: [2]float64{0, 0.999}, Channels: []int{128, 256}, Down: []bool{true, false}, Names: []string{"a b", ""}}
	s.Energy.Inner.Rate = 1e-9
	return s
}

func TestDecodeOverlays(t *testing.T) {
	cases := map[string]struct {
		text string
		want func(s *sample)
	}{
		"nothing":                               {"", func(*sample) {}},
		"comments only":                         {"# chain.steps\n", func(*sample) {}},
		"an explicit zero":                      {"batch: 0\nlr: 0\nerm: false\nchain: {sigma: 0}", func(s *sample) { s.Batch, s.LR, s.ERM, s.Chain.Sigma = 0, 0, false, 0 }},
		"an empty string":                       {`preset: ""`, func(s *sample) { s.Preset = "" }},
		"one key of a group":                    {"chain:\n  steps: 60 # T\n", func(s *sample) { s.Chain.Steps = 60 }},
		"a dotted key":                          {"chain.steps: 60", func(s *sample) { s.Chain.Steps = 60 }},
		"a number without a point":              {"lr: 1e-4\nchain: {delta2: 2E1}", func(s *sample) { s.LR, s.Chain.Delta2 = 1e-4, 20 }},
		"underscores":                           {"batch: 5_000\nlr: 1_0.5", func(s *sample) { s.Batch, s.LR = 5000, 10.5 }},
		"a leading zero, decimal as YAML 1.2":   {"batch: 010", func(s *sample) { s.Batch = 10 }},
		"a shorter list":                        {"energy: {channels: [64], down: []}", func(s *sample) { s.Energy.Channels, s.Energy.Down = []int{64}, nil }},
		"a list of fixed length":                {"energy:\n  betas:\n  - 0.5\n  - 0.9\n", func(s *sample) { s.Energy.Betas = [2]float64{0.5, 0.9} }},
		"words that YAML takes for other types": {"preset: no\nenergy: {names: [10, true, 1e3, \"x\"]}", func(s *sample) { s.Preset, s.Energy.Names = "no", []string{"10", "true", "1e3", "x"} }},
		"a quoted and a block text":             {"energy:\n  names: ['it''s', \"\\u00e9\"]\npreset: |\n  a\n  b\n", func(s *sample) { s.Preset, s.Energy.Names = "a\nb\n", []string{"it's", "é"} }},
		"a group with everything commented":     {"chain:\n  # steps: 60\nbatch: 1", func(s *sample) { s.Batch = 1 }},
		"a field without a tag":                 {"energy: {inner: {rate: 2}}", func(s *sample) { s.Energy.Inner.Rate = 2 }},
		"Windows line ends and byte order mark": {"\ufeffbatch: 1\r\nchain:\r\n  steps: 2\r\n", func(s *sample) { s.Batch, s.Chain.Steps = 1, 2 }},
		"a start-of-document line":              {"---\nbatch: 1\n", func(s *sample) { s.Batch = 1 }},
		"the largest seed":                      {"seed: 18446744073709551615", func(*sample) {}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, want := filled(), filled()
			require.NoError(t, Decode([]byte(c.text), &got))
			c.want(&want)
			assert.Equal(t, want, got)
		})
	}
}

// wrong lists documents, and what their errors say.
var wrong = map[string][2]string{
	"unknown key":               {"batch: 1\nchain:\n  step: 60", "line 3: unknown key chain.step: did you mean chain.steps?"},
	"unknown key, in capitals":  {"Batch: 1", "line 1: unknown key Batch: did you mean batch?"},
	"key of another group":      {"steps: 60", "line 1: unknown key steps: did you mean chain.steps?"},
	"unknown group":             {"chian: {steps: 1}", "line 1: unknown key chian: did you mean chain?"},
	"nothing near":              {"chain: {temperature: 1}", "line 1: unknown key chain.temperature: known are chain.steps, chain.delta2, chain.sigma"},
	"nothing near at the root":  {"xyzzyxyzzy: 1", "line 1: unknown key xyzzyxyzzy: known are preset, seed, batch, lr, erm, chain, energy"},
	"field hidden from configs": {"chain: {graph: true}", "unknown key chain.graph"},
	"text for a number":         {"chain: {steps: many}", "line 1: chain.steps needs a whole number (int), not many"},
	"quoted number":             {`batch: "60"`, `line 1: batch needs a whole number (int), not the text "60"`},
	"fraction for a count":      {"batch: 1.5", "batch needs a whole number (int), not 1.5"},
	"number out of range":       {"energy: {level: 300}", "energy.level needs a whole number (int8), not 300"},
	"negative seed":             {"seed: -1", "seed needs a whole number of at least 0 (uint64), not -1"},
	"yes for true":              {"erm: yes", "erm needs true or false, not yes"},
	"NaN":                       {"lr: .nan", "lr needs a finite number, not .nan"},
	"NaN as Go spells it":       {"lr: NaN", "lr needs a finite number, not NaN"},
	"infinity":                  {"lr: -.inf", "lr needs a finite number, not -.inf"},
	"infinity by size":          {"lr: 1e400", "lr needs a finite number, not 1e400"},
	"infinity in single":        {"chain: {sigma: 1e39}", "chain.sigma needs a finite number, not 1e39"},
	"null":                      {"lr: null", "lr needs a finite number, not nothing"},
	"null by omission":          {"preset:", "preset needs text, not nothing"},
	"list for a number":         {"lr: [1]", "lr needs a finite number, not a list of 1"},
	"number for a list":         {"energy: {channels: 1}", "energy.channels needs a list, each a whole number (int), not 1"},
	"wrong list element":        {"energy:\n  down:\n  - true\n  - 1\n", "line 3: energy.down[1] needs true or false, not 1"},
	"wrong list length":         {"energy: {betas: [1]}", "energy.betas needs a list of 2, each a finite number, not a list of 1"},
	"number for a group":        {"chain: 5", "line 1: chain needs keys with values (chain.steps, chain.delta2, chain.sigma), not 5"},
	"group for a number":        {"lr: {a: 1}", "lr needs a finite number, not keys with values"},
	"no keys at all":            {"5", "a config needs keys with values (preset, seed,"},
	"key set twice":             {"batch: 1\nbatch: 2", "line 2: batch is set twice"},
	"key set twice, dotted":     {"chain: {steps: 1}\nchain.steps: 2", "line 2: chain.steps is set twice"},
	"second document":           {"batch: 1\n---\nbatch: 2", "line 3: a second document starts"},
	"broken syntax":             {"batch: 1\nenergy: [1,\n", "line 2: "},
	"anchor":                    {"batch: &a 1", "batch needs a whole number (int), not an anchor, alias or tag"},
	"alias":                     {"batch: *a", "an anchor, alias or tag"},
	"tag":                       {"batch: !!int 1", "an anchor, alias or tag"},
	"merge":                     {"<<: {batch: 1}", `unknown key <<`},
	"not text":                  {"batch: \xff", "not a text file in UTF-8"},
	"control characters in key": {"\"a\\nb\": 1", `unknown key "a\nb"`},
	"too long":                  {"#" + strings.Repeat(" ", maxBytes), "bytes are too many for a config"},
	"too deep":                  {"batch: 1\nenergy: " + strings.Repeat("[", 1000), "line 2: nested more than 16 deep"},
	"too deep by dashes":        {strings.Repeat("- ", 1000), "line 1: nested more than 16 deep"},
	"too deep by keys":          {strings.Repeat("{a: ", 1000), "line 1: nested more than 16 deep"},
}

func TestDecodeRefuses(t *testing.T) {
	for name, c := range wrong {
		t.Run(name, func(t *testing.T) {
			got := filled()
			err := Decode([]byte(c[0]), &got)
			require.ErrorContains(t, err, c[1])
			assert.NotContains(t, err.Error(), "\n")
			assert.Equal(t, filled(), got, "an error must leave the config as it was")
		})
	}
}

func TestDecodeReportsAllFlawsUpToTen(t *testing.T) {
	err := Decode([]byte("batch: a\nlrr: 1\nchain: {steps: b}"), &sample{})
	require.EqualError(t, err, "line 1: batch needs a whole number (int), not a\n"+
		"line 2: unknown key lrr: did you mean lr?\n"+
		"line 3: chain.steps needs a whole number (int), not b")

	var many strings.Builder
	for i := range 100 {
		many.WriteString(strings.Repeat("k", i+30) + ": 1\n")
	}
	err = Decode([]byte(many.String()), &sample{})
	require.Error(t, err)
	assert.Len(t, strings.Split(err.Error(), "\n"), 10)
	assert.Less(t, len(err.Error()), 2000, "keys are shortened")
}

// A billion laughs: nine aliases of nine aliases, nine times over.
func TestDecodeExpandsNoAliases(t *testing.T) {
	var bomb strings.Builder
	bomb.WriteString("a0: &a0 [x]\n")
	for i := 1; i < 10; i++ {
		prev := "*a" + string(rune('0'+i-1))
		bomb.WriteString("a" + string(rune('0'+i)) + ": &a" + string(rune('0'+i)) + " [" + strings.Repeat(prev+", ", 8) + prev + "]\n")
	}
	require.ErrorContains(t, Decode([]byte(bomb.String()), &sample{}), "unknown key a0")
}

func TestDecodeDoesNotShareLists(t *testing.T) {
	got := filled()
	before := got.Energy.Channels
	require.NoError(t, Decode([]byte("energy: {channels: [1, 2]}"), &got))
	assert.Equal(t, []int{128, 256}, before)
}

func TestDecodeRefusesOtherTypes(t *testing.T) {
	require.ErrorContains(t, Decode(nil, sample{}), "into a pointer to a struct")
	require.ErrorContains(t, Decode(nil, (*sample)(nil)), "into a pointer to a struct")
	require.ErrorContains(t, Decode(nil, &struct{ M map[string]int }{}), "cannot hold m, a map[string]int")
	_, err := YAML(struct{ A struct{ P *int } }{})
	require.ErrorContains(t, err, "cannot hold a.p, a *int")
}

func TestSet(t *testing.T) {
	for assignment, want := range map[string]func(s *sample){
		"chain.steps=60":               func(s *sample) { s.Chain.Steps = 60 },
		" lr = 1e-5":                   func(s *sample) { s.LR = 1e-5 },
		"erm=false":                    func(s *sample) { s.ERM = false },
		"preset=a: #=b":                func(s *sample) { s.Preset = "a: #=b" },
		"preset=":                      func(s *sample) { s.Preset = "" },
		"preset=*":                     func(s *sample) { s.Preset = "*" },
		"energy.down=[false, true]":    func(s *sample) { s.Energy.Down = []bool{false, true} },
		"energy.down=false,true":       func(s *sample) { s.Energy.Down = []bool{false, true} },
		"energy.channels=":             func(s *sample) { s.Energy.Channels = nil },
		"energy.names=[a b, \"c, d\"]": func(s *sample) { s.Energy.Names = []string{"a b", "c, d"} },
		"energy.inner.rate=3":          func(s *sample) { s.Energy.Inner.Rate = 3 },
	} {
		t.Run(assignment, func(t *testing.T) {
			got, expected := filled(), filled()
			require.NoError(t, Set(&got, assignment))
			want(&expected)
			assert.Equal(t, expected, got)
		})
	}
}

func TestSetRefuses(t *testing.T) {
	for assignment, message := range map[string]string{
		"chain.steps":          "chain.steps sets nothing: write key=value",
		"=3":                   "sets nothing",
		"chain.step=60":        "unknown key chain.step: did you mean chain.steps?",
		"steps=60":             "unknown key steps: did you mean chain.steps?",
		"batch_size=60":        "unknown key batch_size: did you mean batch?",
		"mcmc_steps=60":        "unknown key mcmc_steps: did you mean chain.steps?",
		"chain=1":              "chain is a group: set one of chain.steps, chain.delta2, chain.sigma",
		"chain.steps=many":     "chain.steps needs a whole number (int), not many",
		"chain.steps=":         "chain.steps needs a whole number (int), not nothing",
		"lr=[":                 "lr needs a finite number, not [",
		"lr=inf":               "lr needs a finite number, not inf",
		"energy.betas=1":       "energy.betas needs a list of 2",
		"preset=\xff":          "preset needs UTF-8 text",
		"energy.down=true,, 1": "energy.down",
	} {
		t.Run(assignment, func(t *testing.T) {
			got := filled()
			require.ErrorContains(t, Set(&got, assignment), message)
			assert.Equal(t, filled(), got)
		})
	}
}

func TestYAML(t *testing.T) {
	text, err := YAML(filled())
	require.NoError(t, err)
	assert.Equal(t, `preset: "cifar10"
seed: 18446744073709551615
batch: 256
lr: 0.0001
erm: true
chain:
  steps: 15
  delta2: 25
  sigma: 0.001
energy:
  betas: [0, 0.999]
  channels: [128, 256]
  down: [true, false]
  names: ["a b", ""]
  level: 0
  inner:
    rate: 1.0e-09
`, string(text))

	got := sample{hidden: 7, Chain: sampleChain{Graph: true}}
	require.NoError(t, Decode(text, &got))
	assert.Equal(t, filled(), got)
}

func TestChangesAreAssignments(t *testing.T) {
	before, after := filled(), filled()
	after.Preset, after.Chain.Sigma, after.Energy.Down = "mnist", 0.5, []bool{false}
	changes, err := Changes(before, after)
	require.NoError(t, err)
	assert.Equal(t, []string{"preset=mnist", "chain.sigma=0.5", "energy.down=[false]"}, changes)
	for _, c := range changes {
		require.NoError(t, Set(&before, c))
	}
	assert.Equal(t, after.Energy, before.Energy)
}

func TestYAMLOfOddValues(t *testing.T) {
	type odd struct {
		Empty struct{}
		Wait  time.Duration // has a String method
		Text  string
	}
	v := odd{Wait: 5, Text: "a\"b\\c\x00\x07\x7f\u0085\u2028\ufeff😀 #: \t\r\n"}
	text, err := YAML(&v)
	require.NoError(t, err)
	assert.True(t, strings.HasPrefix(string(text), "empty: {}\nwait: 5\ntext: "))
	var got odd
	require.NoError(t, Decode(text, &got))
	assert.Equal(t, v, got)

	_, err = YAML(struct{ X []float64 }{[]float64{math.Inf(1)}})
	require.EqualError(t, err, "x: +Inf is not a finite number")
	_, err = YAML(odd{Text: "\xff"})
	require.ErrorContains(t, err, "text:")
}

func TestNearest(t *testing.T) {
	known := []string{"cifar10", "cifar100", "svhn", "celeba", "celebahq", "imagenet32"}
	for word, want := range map[string]string{
		"CIFAR-10": "cifar10", "cifar_100": "cifar100", "cifra10": "cifar10", "celebA": "celeba", "celeba-hq": "celebahq",
		"imagenet": "imagenet32", "svnh": "svhn", "mnist": "", "": "", strings.Repeat("c", 1e6): "",
	} {
		assert.Equal(t, want, nearest(word, known), "%.20s", word)
	}
}

func FuzzDecode(f *testing.F) {
	for _, c := range wrong {
		if len(c[0]) < 200 { // long seeds only slow the fuzzer
			f.Add([]byte(c[0]))
		}
	}
	text, err := YAML(filled())
	require.NoError(f, err)
	f.Add(text)
	f.Add([]byte("? [a]\n: 1"))
	f.Add([]byte("%YAML 1.1\n---\nbatch: 1\n..."))
	f.Fuzz(func(t *testing.T, text []byte) {
		got := filled()
		if err := Decode(text, &got); err != nil {
			if !reflect.DeepEqual(got, filled()) {
				t.Fatalf("%v, but the config changed", err)
			}
			return
		}
		again, err := YAML(got)
		if err != nil {
			t.Fatal(err)
		}
		back := filled()
		if err := Decode(again, &back); err != nil || !reflect.DeepEqual(got, back) {
			t.Fatalf("%v: %s reads back as %+v, not %+v", err, again, back, got)
		}
	})
}
