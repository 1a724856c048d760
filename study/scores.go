package study

import (
	"context"
	"fmt"

	"gonum.org/v1/gonum/stat"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/eval"
	"github.com/liebm/liebm/train"
)

// An ImageScore is the outlier score of one image with its terms: s(x) = F(f(x)) + γ·cos(g(f(x)), h(x)) (Eq. 15).
type ImageScore struct {
	Set    string  `json:"set"`
	Image  int     `json:"image"` // its index in the set, from 0
	File   string  `json:"file,omitempty"`
	Score  float64 `json:"score"`
	Energy float64 `json:"energy"`
	Cosine float64 `json:"cosine"`
}

// ScoreOptions are options of [ScoreImages].
type ScoreOptions struct {
	N     int      // images of each set; 0: all
	Gamma *float64 // nil: that of the run
	Skip  bool     // leave out files that cannot be read; the record lists them
}

// ScoreImages computes the score of every image of the named sets. A name is that of a known set, or a path. The record has the mean and
// the standard deviation for each set. It warns if images were resized in another way than those of the training.
func ScoreImages(ctx context.Context, m *train.Model, names []string, o ScoreOptions, s Setup) (r *eval.Record, all []ImageScore, err error) {
	gamma := m.Config.ScoreGamma
	if o.Gamma != nil {
		gamma = *o.Gamma
	}
	r = eval.NewRecord("scores", s.Versions)
	r.WeightsSHA256, r.Settings = m.SHA256, map[string]string{"gamma": fmt.Sprint(gamma)}
	for _, name := range names {
		of, err := scoreImages(ctx, m, name, gamma, o, r)
		if err != nil {
			return nil, nil, err
		}
		all = append(all, of...)
	}
	return r, all, nil
}

// scoreImages computes the scores of one set, and adds it to the record.
func scoreImages(ctx context.Context, m *train.Model, name string, gamma float64, o ScoreOptions, r *eval.Record) ([]ImageScore, error) {
	set, err := m.Config.OpenImages(name, data.Options{Skip: o.Skip})
	if err != nil {
		return nil, err
	}
	defer set.Close()
	if o.N > 0 {
		set = set.Head(o.N)
	}
	joint, energy, cosine, err := m.Scores(ctx, set, gamma)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	r.Of(eval.InputOf(name, set))
	if size := m.Config.ImageSize(); set.Fit == "resize" && size < m.Config.Data.Size {
		r.Warn(fmt.Sprintf("%s: resized to %d×%[2]d pixels, but the run was trained on images of %d×%[3]d with a border; do not compare these scores with those of its data",
			name, m.Config.Data.Size, size))
	}
	r.Values[name+"/mean"], r.Values[name+"/std"] = stat.Mean(joint, nil), stat.PopStdDev(joint, nil)
	scores := make([]ImageScore, set.N)
	for i := range scores {
		scores[i] = ImageScore{name, i, set.Origin(i), joint[i], energy[i], cosine[i]}
	}
	return scores, nil
}
