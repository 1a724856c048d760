// Command serve answers posted images with their outlier scores (Eq. 15), over HTTP:
//
//	go run ./examples/serve -run runs/demo
//	curl --data-binary @image.png http://localhost:8080/score
//	{"score":-0.31,"energy":-0.35,"cosine":0.4}
//
// Images like those of the training set get a high score. The run is a folder of liebm train.
package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"log"
	"net/http"
	"sync"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/train"
)

// scores is the answer.
type scores struct {
	Score  float64 `json:"score"`  // s(x) = F(f(x)) + γ·cos(g(f(x)), h(x))
	Energy float64 `json:"energy"` // F(f(x)), its first term
	Cosine float64 `json:"cosine"` // cos(g(f(x)), h(x)), its second term without γ
}

// server scores images with a model.
type server struct {
	model *train.Model
	gamma float64
	mu    sync.Mutex // one image at a time: libtorch uses every core for it
}

// ServeHTTP answers a POST whose body is a PNG, a JPEG or another picture file.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 16<<20))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
		return
	}
	var set *data.Set
	if err == nil {
		set, err = s.read(body)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	joint, energy, cosine, err := s.model.Scores(r.Context(), set, s.gamma)
	s.mu.Unlock()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(scores{joint[0], energy[0], cosine[0]}) // a client that left needs no answer
}

// read makes a set of one image in the size and the channels of the model.
func (s *server) read(file []byte) (*data.Set, error) {
	p, err := data.DecodePicture(file)
	if err != nil {
		return nil, err
	}
	set, err := data.New(data.Shape{N: 1, H: p.H, W: p.W, C: p.C}, p.Pix, nil)
	if err != nil {
		return nil, err
	}
	if channels := s.model.Config.Energy.Channels; channels != set.C {
		if channels != 3 {
			return nil, errors.New("the image has colours, the model was trained on gray images: post a gray image")
		}
		set = set.RGB()
	}
	if size := s.model.Config.Data.Size; set.H != size || set.W != size {
		if as := s.model.Config.ImageSize(); set.H == as && set.W == as {
			return set.Pad(size) // as in training: 28×28 pixels become 32×32
		}
		return set.Resize(size)
	}
	return set, nil
}

// handler serves POST /score.
func handler(m *train.Model, gamma float64) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("POST /score", &server{model: m, gamma: gamma})
	return mux
}

func main() {
	run := flag.String("run", "runs/demo", "run folder of liebm train or make demo")
	gamma := flag.Float64("gamma", 0, "γ, weight of the cosine; 0: score_gamma of the run's config")
	addr := flag.String("addr", "localhost:8080", "address to listen on")
	flag.Parse()
	m, err := train.LoadModel(*run, torch.Device{}) // the zero Device is the CPU
	if err != nil {
		log.Fatal(err)
	}
	*gamma = cmp.Or(*gamma, m.Config.ScoreGamma)
	log.Printf("scoring images at http://%s/score", *addr)
	log.Fatal(http.ListenAndServe(*addr, handler(m, *gamma)))
}
