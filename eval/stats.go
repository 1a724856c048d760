package eval

import (
	"archive/zip"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"slices"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/internal/npz"
)

// statsInfo says what statistics are of. It is JSON in the array liebm of their file.
type statsInfo struct {
	Features string `json:"features"`
	N        int    `json:"n"`
	Input    Input  `json:"input"`
}

// WriteStats writes statistics as pytorch-fid does, float64 mu [d] and sigma [d,d] in an .npz. It also writes
// which images and features they are of.
func WriteStats(path string, s *Stats, of Input) error {
	info, err := json.Marshal(statsInfo{s.Features, s.N, of})
	if err != nil {
		return err
	}
	return data.WriteAtomic(path, func(w io.Writer) error {
		archive, d := npz.NewWriter(w, zip.Store), len(s.Mean)
		mean, errMean := binary.Append(nil, binary.LittleEndian, s.Mean)
		cov, errCov := binary.Append(nil, binary.LittleEndian, slices.Concat(s.Cov...))
		return errors.Join(errMean, errCov, archive.Write("mu", npz.Header{Type: "<f8", Shape: []int{d}}, mean),
			archive.Write("sigma", npz.Header{Type: "<f8", Shape: []int{d, d}}, cov),
			archive.Write("liebm", npz.Header{Type: "|u1", Shape: []int{len(info)}}, info), archive.Close())
	})
}

// ReadStats reads the statistics in an .npz: mu and sigma, float64 or float32.
func ReadStats(path string) (*Stats, Input, error) {
	file, err := os.ReadFile(path)
	if err != nil {
		return nil, Input{}, err // names the file
	}
	sum := sha256.Sum256(file)
	stats, info, err := parseStats(file)
	if err != nil {
		return nil, Input{}, fmt.Errorf("%s: %w", path, err)
	}
	input := Input{Name: path, Kind: "statistics", N: stats.N, SHA256: hex.EncodeToString(sum[:])}
	if info != nil {
		input.Kind = "statistics of " + info.Input.Name
	} else {
		input.Notes = []string{"the file does not name the features, the mode and the number of images of its statistics"}
	}
	return stats, input, nil
}

// parseStats reads and checks the statistics in an .npz. The info is nil if another program wrote the file.
func parseStats(file []byte) (*Stats, *statsInfo, error) {
	archive, err := npz.Open(file)
	if err != nil {
		return nil, nil, err
	}
	mu, muShape, err := readFloats(archive, "mu")
	if err != nil {
		return nil, nil, err
	}
	sigma, sigmaShape, err := readFloats(archive, "sigma")
	if err != nil {
		return nil, nil, err
	}
	d := len(mu)
	if len(muShape) != 1 || d == 0 || !slices.Equal(sigmaShape, []int{d, d}) {
		return nil, nil, fmt.Errorf("mu is %v and sigma %v, not [d] and [d,d]", muShape, sigmaShape)
	}
	if slices.ContainsFunc(mu, notFinite) || slices.ContainsFunc(sigma, notFinite) {
		return nil, nil, errors.New("mu or sigma is not finite: compute the statistics again")
	}
	stats := &Stats{Mean: mu, Cov: slices.Collect(slices.Chunk(sigma, d))}
	for i := range d {
		for j := range i {
			if diff := math.Abs(stats.Cov[i][j] - stats.Cov[j][i]); diff > 1e-6*(math.Abs(stats.Cov[i][i])+math.Abs(stats.Cov[j][j])) {
				return nil, nil, fmt.Errorf("sigma is not symmetric at (%d,%d): it is no covariance", i, j)
			}
		}
	}
	text, err := archive.Array("liebm", maxStats)
	if errors.Is(err, fs.ErrNotExist) {
		return stats, nil, nil
	}
	info := &statsInfo{}
	if err == nil {
		err = json.Unmarshal(text.Data, info)
	}
	stats.Features, stats.N = info.Features, info.N
	return stats, info, err
}

func notFinite(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) }

// maxStats bounds the bytes of an array of statistics.
const maxStats = 1 << 30

// readFloats reads an array of float64 or float32.
func readFloats(archive *npz.Archive, key string) ([]float64, []int, error) {
	a, err := archive.Array(key, maxStats)
	if err != nil {
		return nil, nil, err
	}
	if a.Type != "<f8" && a.Type != "<f4" {
		return nil, nil, fmt.Errorf("array %s has dtype %s: use <f8 or <f4", key, a.Type)
	}
	out, err := a.Numbers()
	if err != nil {
		return nil, nil, fmt.Errorf("array %s: %w", key, err)
	}
	return out, a.Shape, nil
}
