package eval

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/torch"
)

// Record is a result with everything that is needed to compute it again: n, data, weights, mode and seed.
type Record struct {
	Metric        string            `json:"metric"` // "FID", "Fréchet distance", "IS", …
	Values        Values            `json:"values"`
	Inputs        []Input           `json:"inputs,omitempty"`
	Network       string            `json:"network,omitempty"` // of the features
	WeightsSHA256 string            `json:"weights_sha256,omitempty"`
	Mode          string            `json:"mode,omitempty"`
	Seed          *uint64           `json:"seed,omitempty"` // of the random draws of the metric itself
	NFE           int               `json:"nfe,omitempty"`  // network evaluations for each sample, if samples were drawn
	Settings      map[string]string `json:"settings,omitempty"`
	Histogram     *Histogram        `json:"histogram,omitempty"` // of the numbers that the values are computed from
	Warnings      []string          `json:"warnings,omitempty"`
	Versions      map[string]string `json:"versions"`
	Time          time.Time         `json:"time"`
}

// NewRecord returns a record with the present time, the given versions, and the versions of
// libtorch and Go.
func NewRecord(metric string, versions map[string]string) *Record {
	r := &Record{Metric: metric, Values: Values{}, Versions: map[string]string{"libtorch": torch.Version(), "go": runtime.Version()},
		Time: time.Now().UTC().Truncate(time.Second)}
	maps.Copy(r.Versions, versions)
	return r
}

// On adds the network that features came from.
func (r *Record) On(net *InceptionFeatures) {
	r.Network, r.WeightsSHA256, r.Mode = net.Name(), net.SHA256, string(net.Mode)
	r.Warn(net.Warning())
}

// Of adds the inputs that were measured. Notes about the reading of an input become warnings.
func (r *Record) Of(inputs ...Input) {
	for _, in := range inputs {
		r.Inputs = append(r.Inputs, in)
		r.NFE = max(r.NFE, in.NFE)
		for _, note := range in.Notes {
			r.Warn(in.Name + ": " + note)
		}
	}
	if len(inputs) == 2 && len(inputs[0].Size) == 3 && len(inputs[1].Size) == 3 {
		r.Warn(differ(inputs[0], inputs[1]))
	}
}

// differ says how the images of two inputs differ. It is empty if they do not.
func differ(a, b Input) string {
	both := fmt.Sprintf("%s has images of %s, %s of %s", a.Name, size(a.Size), b.Name, size(b.Size))
	switch {
	case a.Size[0] != b.Size[0] || a.Size[1] != b.Size[1]:
		return both + ": each is resized by itself, and this changes the distance"
	case a.Size[2] != b.Size[2]:
		return both + ": gray is repeated to three channels"
	}
	return ""
}

// Warn adds a warning, unless it is empty.
func (r *Record) Warn(text string) {
	if text != "" {
		r.Warnings = append(r.Warnings, text)
	}
}

func size(s []int) string { return fmt.Sprintf("%d×%d×%d", s[0], s[1], s[2]) }

// Values are numbers by name. JSON has no infinities: they are strings there, as in metrics.jsonl.
type Values map[string]float64

// MarshalJSON writes an infinity or NaN as a string.
func (v Values) MarshalJSON() ([]byte, error) {
	out := map[string]any{}
	for name, x := range v {
		out[name] = x
		if notFinite(x) { // "Infinity", "-Infinity" and "NaN"
			out[name] = strings.TrimPrefix(strings.Replace(fmt.Sprint(x), "Inf", "Infinity", 1), "+")
		}
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (v *Values) UnmarshalJSON(text []byte) error {
	var in map[string]json.RawMessage
	if err := json.Unmarshal(text, &in); err != nil {
		return err
	}
	*v = Values{}
	for name, x := range in {
		f, err := strconv.ParseFloat(strings.Trim(string(x), `"`), 64)
		if err != nil {
			return fmt.Errorf("value %s is no number: %w", name, err)
		}
		(*v)[name] = f
	}
	return nil
}

// Append adds the record to a file, as [AppendRecords] does.
func (r *Record) Append(path string) error { return AppendRecords(path, r) }

// AppendRecords adds records to a file of one JSON record a line: all of them or, on an error, none. Several processes may
// add to one file.
func AppendRecords(path string, records ...*Record) (err error) {
	var old []byte
	if info, err := os.Stat(path); err != nil || info.Mode().IsRegular() { // not a device or a pipe
		lock, err := data.LockFile(path, true)
		if err != nil {
			return err
		}
		defer lock.Close()
		if old, err = os.ReadFile(path); err != nil {
			return err
		}
	}
	end := bytes.LastIndexByte(old, '\n') + 1
	whole := old[:end] // a last line that was cut off is no record
	if json.Valid(old[end:]) {
		whole = append(old, '\n')
	}
	for _, r := range records {
		line, err := json.Marshal(r)
		if err != nil {
			return err
		}
		whole = append(append(whole, line...), '\n')
	}
	return data.WriteBytes(path, whole)
}

// ReadRecords reads a file that Append wrote; a missing file counts as empty, and a last line that
// was cut off is left out.
func ReadRecords(path string) ([]Record, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return parseRecords(path, text)
}

// parseRecords is ReadRecords of a file in memory; name stands for it in errors.
func parseRecords(name string, text []byte) (records []Record, err error) {
	lines := bytes.Split(text, []byte{'\n'})
	for i, line := range lines {
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		var r Record
		err := json.Unmarshal(line, &r)
		if err != nil && i == len(lines)-1 {
			break // nothing ends it: it was cut off
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: not a result (%w): remove that line", name, i+1, err)
		}
		records = append(records, r)
	}
	return records, nil
}
