package eval

import (
	"archive/zip"
	"bytes"
	"cmp"
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

	"github.com/sbinet/npyio/npz"
	"gonum.org/v1/gonum/mat"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/internal/inflate"
)

// statsInfo stands beside the statistics that liebm writes, as JSON bytes under the key liebm.
type statsInfo struct {
	Features string `json:"features"`
	N        int    `json:"n"`
	Input    Input  `json:"input"`
}

// WriteStats writes statistics as pytorch-fid does, float64 mu [d] and sigma [d,d] in an .npz, and
// beside them what they are of.
func WriteStats(path string, s *Stats, of Input) error {
	info, err := json.Marshal(statsInfo{s.Features, s.N, of})
	if err != nil {
		return err
	}
	return data.WriteAtomic(path, func(w io.Writer) error {
		archive := npz.NewWriter(w)
		flat := make([]float64, 0, len(s.Mean)*len(s.Mean))
		for _, row := range s.Cov {
			flat = append(flat, row...)
		}
		d := len(s.Mean)
		err := errors.Join(archive.Write("mu.npy", s.Mean), archive.Write("sigma.npy", mat.NewDense(d, d, flat)), archive.Write("liebm.npy", info))
		return errors.Join(err, archive.Close())
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
		input.Notes = []string{"the file does not say of which features, mode and n its statistics are"}
	}
	return stats, input, nil
}

// parseStats checks the statistics in an .npz. The info is nil where liebm did not write it.
func parseStats(file []byte) (*Stats, *statsInfo, error) {
	mu, muShape, err := readFloats(file, "mu")
	if err != nil {
		return nil, nil, err
	}
	sigma, sigmaShape, err := readFloats(file, "sigma")
	if err != nil {
		return nil, nil, err
	}
	d := len(mu)
	if len(muShape) != 1 || d == 0 || !slices.Equal(sigmaShape, []int{d, d}) {
		return nil, nil, fmt.Errorf("mu is %v and sigma %v: want [d] and [d,d]", muShape, sigmaShape)
	}
	for _, v := range slices.Concat(mu, sigma) {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, nil, errors.New("mu or sigma is not finite: compute the statistics again")
		}
	}
	stats := &Stats{Mean: mu, Cov: rowsOf(sigma, d)}
	for i := range d {
		for j := range i {
			if diff := math.Abs(stats.Cov[i][j] - stats.Cov[j][i]); diff > 1e-6*(math.Abs(stats.Cov[i][i])+math.Abs(stats.Cov[j][j])) {
				return nil, nil, fmt.Errorf("sigma is not symmetric at (%d,%d): it is no covariance", i, j)
			}
		}
	}
	text, _, err := readArray(file, "liebm", "|u1", 1)
	if errors.Is(err, fs.ErrNotExist) {
		return stats, nil, nil
	}
	info := &statsInfo{}
	if err == nil {
		err = json.Unmarshal(text, info)
	}
	stats.Features, stats.N = info.Features, info.N
	return stats, info, err
}

// readFloats reads an array of float64 or float32.
func readFloats(file []byte, key string) ([]float64, []int, error) {
	raw, shape, err := readArray(file, key, "<f8", 8)
	if err == nil {
		out := make([]float64, len(raw)/8)
		for i := range out {
			out[i] = math.Float64frombits(binary.LittleEndian.Uint64(raw[8*i:]))
		}
		return out, shape, nil
	}
	raw, shape, err32 := readArray(file, key, "<f4", 4)
	if err32 != nil {
		return nil, nil, err
	}
	out := make([]float64, len(raw)/4)
	for i := range out {
		out[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:])))
	}
	return out, shape, nil
}

// readArray is the bytes of one array of this type, size bytes an element.
func readArray(file []byte, key, dtype string, size int) ([]byte, []int, error) {
	archive, err := zip.NewReader(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		return nil, nil, fmt.Errorf("not a readable .npz: %w", err)
	}
	a, err := arrayIn(archive, int64(len(file)), key)
	if err != nil {
		return nil, nil, fmt.Errorf("array %s: %w", key, err)
	}
	d := a.head.Descr
	if d.Type != dtype {
		return nil, nil, fmt.Errorf("array %s has dtype %s, want %s", key, d.Type, dtype)
	}
	want := float64(size) // as a float, since a damaged shape may overflow
	for _, n := range d.Shape {
		want *= float64(n)
	}
	if !(want >= 0 && want <= 1<<30) {
		return nil, nil, fmt.Errorf("array %s is %v: too large for statistics", key, d.Shape)
	}
	raw, err := inflate.UpTo(a.from, int(want))
	if err == nil && len(raw) == int(want) {
		err = a.end()
	}
	if err != nil || len(raw) != int(want) {
		return nil, nil, fmt.Errorf("array %s is %v, but damaged after %d bytes: %w; make or fetch it again", key, d.Shape, len(raw), cmp.Or(err, io.ErrUnexpectedEOF))
	}
	return raw, d.Shape, nil
}
