package study

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func files(t *testing.T, contents map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range contents {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666))
	}
	return dir
}

func TestReportIsOnePageThatNothingCanBreak(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  []string
	}{
		"a config alone":  {map[string]string{"config.yaml": "steps: 3"}, []string{"steps: 3", "liebm eval --run"}},
		"a quoted preset": {map[string]string{"config.yaml": "preset: \"fmnist-em\"\n"}, []string{">fmnist-em<"}},
		"a hostile config": {map[string]string{"config.yaml": "</pre><script>alert(1)</script>"},
			[]string{"&lt;/pre&gt;&lt;script&gt;"}},
		"metrics that are not numbers": {map[string]string{"config.yaml": "",
			"metrics.jsonl": `{"step":1,"loss_g":"NaN","loss_e":1}` + "\n" + `{"step":2,"loss_g":"Infinity","loss_e":2}` + "\n"},
			[]string{"L_E (Eq. 4)"}},
		"a single point":         {map[string]string{"config.yaml": "", "metrics.jsonl": `{"step":1,"fd":3}` + "\n"}, []string{"Fréchet distance of G alone"}},
		"a loss that ran away":   {map[string]string{"config.yaml": "", "metrics.jsonl": `{"step":1,"loss_e":-1e30,"fd":1e300}` + "\n"}, []string{"L_E (Eq. 4)"}},
		"a histogram of nothing": {map[string]string{"config.yaml": "", ResultsFile: `{"values":{"auroc/noise":0.75},"histogram":{"edges":[0,1,2]}}` + "\n"}, []string{"0.75"}},
		"records": {map[string]string{"config.yaml": "", ResultsFile: `{"metric":"Fréchet distance","network":"cnn","nfe":6,"values":{"fd":9.5}}` + "\n" +
			`{"values":{"auroc/noise":0.75,"auroc_energy/noise":0.5},"settings":{"gamma":"0.1"},"histogram":{"edges":[0,1,2],"counts":{"inliers":[1,2],"noise":[0,0]}}}` + "\n"},
			[]string{"9.5", "after MCMC, NFE 6", "features cnn", "0.75", `<td class="n">0.1</td>`, "share of the set"}},
		"reconstructions": {map[string]string{"config.yaml": "", ResultsFile: `{"metric":"reconstruction","values":{"mse":0.17,"mse_prior_stats":0.21}}` + "\n"},
			[]string{"MSE of reconstructions", `<td class="n">0.21</td><td class="soft">if G has`}},
		"records of two checkpoints": {map[string]string{"config.yaml": "", ResultsFile: `{"metric":"FID","values":{"fid":7.25},"weights_sha256":"inception","inputs":[{"weights_sha256":"last"}]}` + "\n" +
			`{"values":{"auroc/noise":0.5},"weights_sha256":"step 500"}` + "\n" + `{"values":{"auroc/noise":0.625},"weights_sha256":"last"}` + "\n"},
			[]string{`<td class="n">7.25</td><td class="soft">after MCMC`, `<td class="n">0.625</td>`, "Records of other checkpoints: 1."}},
		"a record that replaces another": {map[string]string{"config.yaml": "", ResultsFile: `{"metric":"FID","values":{"fid":7.25}}` + "\n" + `{"metric":"FID","values":{"fid":4.125}}` + "\n"},
			[]string{`<td class="n">4.125</td><td class="soft">after MCMC`}},
	} {
		t.Run(name, func(t *testing.T) {
			path, err := WriteReport(files(t, c.files))
			require.NoError(t, err)
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			for _, want := range c.want {
				assert.Contains(t, string(text), want)
			}
			assert.NotContains(t, string(text), "<script")
			assert.NotRegexp(t, `(src|href)="?https?:`, string(text), "nothing is fetched from elsewhere")
		})
	}
}

func TestReportRefuses(t *testing.T) {
	_, err := WriteReport(t.TempDir())
	assert.ErrorContains(t, err, "holds no run")
	_, err = WriteReport(files(t, map[string]string{"config.yaml": "", ResultsFile: "{\n"}))
	assert.ErrorContains(t, err, "results.jsonl:1: not a result")
	_, err = WriteReport(files(t, map[string]string{"config.yaml": "", ResultsFile: `{"histogram":{"edges":[0,1],"counts":{"noise":[1,2]}}}`}))
	assert.ErrorContains(t, err, "results.jsonl:1: the histogram of noise has 2 counts for 2 edges")
	assert.ErrorContains(t, err, "liebm eval --run")
	_, err = WriteReport(files(t, map[string]string{"config.yaml": "", "run.json": "{"}))
	assert.ErrorContains(t, err, "run.json: unexpected end of JSON input")
	_, err = WriteReport(files(t, map[string]string{"config.yaml": "", "metrics.jsonl": "{}\n{}\n"}))
	assert.ErrorContains(t, err, "metrics.jsonl:1")
}

func TestAReportFitsAnyData(t *testing.T) {
	dir := files(t, map[string]string{"config.yaml": "preset: small-em\n", "run.json": `{"data":{"photos":"ab"},"held_out":{"n":66}}`,
		"metrics.jsonl": `{"step":1,"fd_h":9,"fd_h_n":500}` + "\n" + `{"step":2,"fd_h":8,"fd_h_n":500}` + "\n"})
	path, err := WriteReport(dir)
	require.NoError(t, err)
	page, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Contains(t, string(page), "small-em, on photos, of which 66 images are held out")
	assert.Contains(t, string(page), "on features of an encoder, 500 samples")
	for _, word := range []string{"Fashion", "clothes", "fmnist"} {
		assert.NotContains(t, string(page), word)
	}
}

func TestClassesHaveTheirNamesInPictures(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.svg")
	require.NoError(t, WritePanels(path, []Panel{{Points: [][2]float64{{0, 0}, {1, 1}, {2, 0}}, Labels: []int32{0, 1, 2}, Classes: []string{"cats", "dogs"}}}))
	svg, err := os.ReadFile(path)
	require.NoError(t, err)
	for _, name := range []string{">cats<", ">dogs<", ">2<"} {
		assert.Contains(t, string(svg), name)
	}
}

func FuzzReport(f *testing.F) {
	f.Add([]byte(`{"metric":"PSNR","values":{"psnr":"Infinity"},"inputs":[{"name":"a","n":1,"size":[1,2,3],"seed":3}],"time":"2024-01-02T03:04:05Z"}`+"\n"+
		`{"metric":"FID","values":{"fid":9.5,"auroc/<script>":0.5},"histogram":{"edges":[0,1,2],"counts":{"inliers":[1,2],"<script>":[0,0]}}}`+"\n"),
		[]byte(`{"seed":3,"command":["liebm"],"data":{"x":"y"},"resumed":[{"step":2}]}`), []byte(`{"step":1,"fd":3,"loss_g":1e300,"loss_e":-1e300}`+"\n"))
	f.Add([]byte(`{"histogram":{"edges":[0,1],"counts":{"a":[1,2,3]}}}`+"\n"), []byte("{}"), []byte(`{"step":1,"fd":1e308}`+"\n"+`{"step":9e15,"fd":-1e308}`+"\n"))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, results, info, metrics []byte) {
		for name, text := range map[string][]byte{"config.yaml": nil, ResultsFile: results, "run.json": info, "metrics.jsonl": metrics} {
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), text, 0o666))
		}
		path, err := WriteReport(dir)
		if err != nil {
			return
		}
		page, err := os.ReadFile(path)
		require.NoError(t, err)
		require.NotContains(t, string(page), "<script")
	})
}
