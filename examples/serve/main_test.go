package main

import (
	"bytes"
	"context"
	"encoding/json"
	"image"
	"image/color"
	"image/png"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/train"
)

// tiny trains two steps on noise of 8×8 pixels and returns the model.
func tiny(t *testing.T) *train.Model {
	t.Helper()
	ctx, dir := context.Background(), t.TempDir()
	set, err := data.Noise(data.Shape{N: 16, H: 8, W: 8, C: 1}, data.OutlierOptions{})
	require.NoError(t, err)
	cfg := train.FashionMNIST()
	cfg.Data.Name, cfg.Data.Size = "noise", 8
	cfg.Energy.Widths, cfg.Energy.Downs = []int{4}, []bool{true}
	cfg.Energy.FeatureDim, cfg.Energy.HeadDim, cfg.Energy.LatentDim = 8, 8, 4
	cfg.Generator.LatentDim, cfg.Generator.Widths = 4, []int{4, 4}
	cfg.Batch, cfg.Steps = 4, 2
	ssl, err := train.SSLPreset("fmnist-simclr")
	require.NoError(t, err)
	ssl.Data, ssl.Encoder, ssl.Batch, ssl.Steps = cfg.Data, train.EncoderFor(cfg), 4, 2
	ssl.Encoder.Widths, ssl.Encoder.Blocks, ssl.Encoder.HeadDim = []int{4}, []int{1}, 8
	require.NoError(t, train.Pretrain(ctx, ssl, set, train.Options{Out: filepath.Join(dir, "encoder")}))
	require.NoError(t, train.Run(ctx, cfg, set, train.EncoderPath(filepath.Join(dir, "encoder")), train.Options{Out: filepath.Join(dir, "run")}))
	m, err := train.LoadModel(filepath.Join(dir, "run"), torch.Device{})
	require.NoError(t, err)
	t.Cleanup(m.Close)
	return m
}

func post(t *testing.T, url string, body []byte) (int, []byte) {
	t.Helper()
	answer, err := http.Post(url, "image/png", bytes.NewReader(body))
	require.NoError(t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return answer.StatusCode, text
}

func encoded(t *testing.T, img image.Image) []byte {
	t.Helper()
	var file bytes.Buffer
	require.NoError(t, png.Encode(&file, img))
	return file.Bytes()
}

func TestPostedImagesAreScored(t *testing.T) {
	m := tiny(t)
	server := httptest.NewServer(handler(m, 0.1))
	defer server.Close()

	gray := image.NewGray(image.Rect(0, 0, 8, 8))
	for i := range gray.Pix {
		gray.Pix[i] = byte(4 * i)
	}
	status, text := post(t, server.URL+"/score", encoded(t, gray))
	require.Equal(t, http.StatusOK, status, string(text))
	var got scores
	require.NoError(t, json.Unmarshal(text, &got))
	set, err := data.New(data.Shape{N: 1, H: 8, W: 8, C: 1}, gray.Pix, nil)
	require.NoError(t, err)
	joint, energy, cosine, err := m.Scores(context.Background(), set, 0.1)
	require.NoError(t, err)
	assert.Equal(t, scores{joint[0], energy[0], cosine[0]}, got)
	assert.InDelta(t, got.Energy+0.1*got.Cosine, got.Score, 1e-9)

	colours := image.NewRGBA(image.Rect(0, 0, 8, 8))
	colours.Set(3, 3, color.RGBA{R: 255, A: 255})
	for name, c := range map[string]struct {
		body []byte
		want int
	}{
		"a larger image is resized":      {encoded(t, image.NewGray(image.Rect(0, 0, 20, 20))), http.StatusOK},
		"a smaller image is padded":      {encoded(t, image.NewGray(image.Rect(0, 0, 6, 6))), http.StatusOK},
		"colours need a model of colour": {encoded(t, colours), http.StatusBadRequest},
		"other bytes are refused":        {[]byte("not a picture"), http.StatusBadRequest},
		"more than 16 MiB are refused":   {make([]byte, 17<<20), http.StatusRequestEntityTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			status, text := post(t, server.URL+"/score", c.body)
			assert.Equal(t, c.want, status, string(text))
		})
	}
}
