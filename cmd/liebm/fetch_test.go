package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/urfave/cli/v2"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/eval"
	"github.com/liebm/liebm/study"
	"github.com/liebm/liebm/torch"
)

// toServer sends every request to a local server.
type toServer struct{ address string }

func (s toServer) RoundTrip(r *http.Request) (*http.Response, error) {
	local := r.Clone(r.Context())
	local.URL.Scheme, local.URL.Host = "http", s.address
	return (&http.Transport{}).RoundTrip(local)
}

func TestFetchedWeightsAreCheckedAndFound(t *testing.T) {
	var asked []string
	contents := make([]byte, eval.InceptionDownload().Size)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Path)
		http.ServeContent(w, r, "x", time.Time{}, bytes.NewReader(contents))
	}))
	defer server.Close()
	old := http.DefaultTransport
	http.DefaultTransport = toServer{server.Listener.Addr().String()}
	defer func() { http.DefaultTransport = old }()

	home := t.TempDir()
	t.Setenv("LIEBM_DATA", home)
	_, err := run(t, "data", "fetch", "inception")
	assert.ErrorContains(t, err, "should be "+eval.InceptionSHA256)
	assert.ErrorContains(t, err, "to fetch it by hand:\n  curl ")
	assert.Equal(t, []string{"/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth"}, asked)
	_, err = eval.FindInception()
	assert.ErrorIs(t, err, os.ErrNotExist, "wrong bytes are not kept")
	_, err = run(t, "data", "fetch", "inceptoin")
	assert.ErrorContains(t, err, "inceptoin")

	sum := sha256.Sum256(contents)
	d := eval.InceptionDownload()
	d.SHA256 = hex.EncodeToString(sum[:])
	require.NoError(t, fetchFiles(t.Context(), []data.Download{d}, eval.InceptionFolders()[0]))
	found, err := eval.FindInception()
	require.NoError(t, err)
	assert.Equal(t, filepath.Join(home, "inception", d.File()), found)

	gpu, cpu := study.Setup{Device: torch.Device{Type: torch.CUDA}}, study.Setup{}
	for _, c := range []struct {
		flag, dataset, want string
		setup               study.Setup
	}{
		{"", "photos", found, gpu}, {"", "photos", "", cpu}, {"", "fmnist", "", gpu}, {"auto", "photos", found, cpu}, {"auto", "fmnist", found, cpu},
		{"none", "photos", "", gpu}, {"w.pth", "photos", "w.pth", cpu},
	} {
		flags := flag.NewFlagSet("", flag.ContinueOnError)
		flags.String("weights", c.flag, "")
		got, err := inceptionWeights(cli.NewContext(nil, flags, nil), c.setup, c.dataset)
		require.NoError(t, err)
		assert.Equal(t, c.want, got, c)
	}
}
