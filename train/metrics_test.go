package train

import (
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMetricsWrite(t *testing.T) {
	for name, c := range map[string]struct {
		values map[string]float64
		want   string
	}{
		"a map, by name":                    {map[string]float64{"b": 2, "a": 0.5, "c/d": 1e-9}, `{"step":7,"a":0.5,"b":2,"c/d":1e-09}`},
		"nothing but the step":              {map[string]float64{}, `{"step":7}`},
		"a name that needs escapes":         {map[string]float64{"a\"\n": 1}, `{"step":7,"a\"\n":1}`},
		"what JSON cannot hold, as strings": {map[string]float64{"a": math.NaN(), "b": math.Inf(1), "c": math.Inf(-1)}, `{"step":7,"a":"NaN","b":"Infinity","c":"-Infinity"}`},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "m")
			m, err := openMetrics(path)
			require.NoError(t, err)
			require.NoError(t, MetricsLine{7, c.values}.appendTo(m))
			require.NoError(t, m.Close())
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			assert.Equal(t, c.want+"\n", string(text))
		})
	}
}

func TestMetricsWriteRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m")
	m, err := openMetrics(path)
	require.NoError(t, err)
	defer m.Close()
	assert.ErrorContains(t, MetricsLine{1, map[string]float64{"a": 1, "step": 1}}.appendTo(m), "train: metric \"step\"")
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Empty(t, text, "a refused line must not be half written")
}

func TestMetricsRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m")
	for step := range 3 { // opened anew each time, as by resumed runs
		m, err := openMetrics(path)
		require.NoError(t, err)
		require.NoError(t, MetricsLine{step, map[string]float64{"x": 1 / float64(step), "y": -math.MaxFloat64}}.appendTo(m))
		require.NoError(t, m.Close())
	}
	got, err := ReadMetrics(path)
	require.NoError(t, err)
	want := []MetricsLine{}
	for step := range 3 {
		want = append(want, MetricsLine{step, map[string]float64{"x": 1 / float64(step), "y": -math.MaxFloat64}})
	}
	assert.Equal(t, want, got)
}

func TestReadMetrics(t *testing.T) {
	for name, c := range map[string]struct {
		text  string
		steps []int
		says  string
	}{
		"empty":                               {"", []int{}, ""},
		"blank lines":                         {"\n{\"step\":1}\n\n", []int{1}, ""},
		"a last line cut off":                 {"{\"step\":1}\n{\"step\":2,\"x\":", []int{1}, ""},
		"a last line cut off within a number": {"{\"step\":1}\n{\"step\":2", []int{1}, ""},
		"a last line without its end":         {"{\"step\":1}\n{\"step\":2}", []int{1, 2}, ""},
		"zeros after a power cut":             {"{\"step\":1}\n\x00\x00\x00", []int{1}, ""},
		"values that are not numbers":         {"{\"step\":1,\"note\":\"hm\",\"l\":[1],\"n\":null}\n", []int{1}, ""},
		"damage in the middle":                {"{\"step\":1}\n{\"st\n{\"step\":3}\n", nil, ":2: not a line of metrics"},
		"a line without a step":               {"{\"x\":1}\n", nil, ":1: not a line of metrics (it has no step)"},
		"a step in text":                      {"{\"step\":\"1\"}\n", nil, "it has no step"},
		"a fraction of a step":                {"{\"step\":1.5}\n", nil, "it has no step"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "metrics.jsonl")
			require.NoError(t, os.WriteFile(path, []byte(c.text), 0o666))
			records, err := ReadMetrics(path)
			if c.says != "" {
				require.ErrorContains(t, err, path)
				require.ErrorContains(t, err, c.says)
				return
			}
			require.NoError(t, err)
			steps := []int{}
			for _, r := range records {
				steps = append(steps, r.Step)
				assert.Empty(t, r.Values)
			}
			assert.Equal(t, c.steps, steps)
		})
	}
	_, err := ReadMetrics(filepath.Join(t.TempDir(), "gone"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestTruncateAfter(t *testing.T) {
	const file = "{\"step\":1,\"b\":1,\"a\":\"NaN\"}\n{\"step\":2}\n{\"step\":2,\"fid\":3}\n{\"step\":3}\n{\"step\":4,\"x\":"
	for name, c := range map[string]struct {
		step int
		want string
	}{
		"keeps the step itself, and the text as it was": {2, "{\"step\":1,\"b\":1,\"a\":\"NaN\"}\n{\"step\":2}\n{\"step\":2,\"fid\":3}\n"},
		"drops only a cut-off line":                     {9, "{\"step\":1,\"b\":1,\"a\":\"NaN\"}\n{\"step\":2}\n{\"step\":2,\"fid\":3}\n{\"step\":3}\n"},
		"drops everything":                              {0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "m")
			require.NoError(t, os.WriteFile(path, []byte(file), 0o666))
			require.NoError(t, truncateAfter(path, c.step))
			assert.Equal(t, map[string]string{"m": c.want}, contents(t, dir))

			m, err := openMetrics(path)
			require.NoError(t, err)
			require.NoError(t, MetricsLine{c.step + 1, nil}.appendTo(m))
			require.NoError(t, m.Close())
			records, err := ReadMetrics(path)
			require.NoError(t, err)
			assert.Equal(t, c.step+1, records[len(records)-1].Step)
		})
	}
	require.NoError(t, truncateAfter(filepath.Join(t.TempDir(), "gone"), 1), "a run that logged nothing")
}

func FuzzParseMetrics(f *testing.F) {
	f.Add([]byte("{\"step\":1,\"a\":\"NaN\"}\n{\"step\":2,\"x\":1e300}\n{\"st"))
	f.Fuzz(func(t *testing.T, text []byte) {
		lines, texts, err := parseMetrics("m", text)
		if err != nil {
			return
		}
		var kept []byte // as truncateAfter writes it
		for _, text := range texts {
			kept = append(append(kept, text...), '\n')
		}
		again, _, err := parseMetrics("m", kept)
		if err != nil || len(again) != len(lines) {
			t.Fatalf("%d lines read back as %d: %v", len(lines), len(again), err)
		}
	})
}
