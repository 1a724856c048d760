package eval

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"

	"github.com/liebm/liebm/models"
	"github.com/liebm/liebm/torch"
)

// The weights that FID is defined on: pytorch-fid's and torch-fidelity's file.
const (
	InceptionURL    = "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth"
	InceptionSHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
	inceptionBytes  = 95_628_359
)

// fidFeatures starts the name of features of the published weights, and of no others.
const fidFeatures = "inception-v3 6726825d "

// Inception is the features of FID, KID and IS: the network, and how images are brought to its size.
type Inception struct {
	Mode      Mode
	SHA256    string // of the weights' file
	Published bool   // the file is the one that FID is defined on

	net *models.Inception
}

// OpenInception reads the weights from pytorch-fid's .pth, or from a .safetensors with the same
// names. A file with the right names and shapes but another SHA-256 is read, but its features have
// another name, and no distance on them is called FID. The caller closes it.
func OpenInception(path string, mode Mode, device torch.Device) (*Inception, error) {
	sum, size, err := hashFile(path)
	if err != nil {
		return nil, fmt.Errorf("weights of Inception: %w; fetch them from %s", err, InceptionURL)
	}
	state, err := readState(path)
	if err != nil {
		if size != inceptionBytes {
			err = fmt.Errorf("%w (the file has %d bytes, the published one %d: fetch %s)", err, size, inceptionBytes, InceptionURL)
		}
		return nil, err
	}
	defer func() {
		for _, e := range state {
			e.Tensor.Close()
		}
	}()
	net, err := models.NewInception(state)
	if err != nil {
		return nil, fmt.Errorf("%s: %w; fetch %s", path, err, InceptionURL)
	}
	n := &Inception{Mode: mode, SHA256: sum, Published: sum == InceptionSHA256, net: net}
	if err := net.To(device); err != nil {
		n.Close()
		return nil, err
	}
	return n, nil
}

func hashFile(path string) (sum string, size int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	hash := sha256.New()
	size, err = io.Copy(hash, f)
	return hex.EncodeToString(hash.Sum(nil)), size, err
}

// Close frees the weights.
func (n *Inception) Close() { n.net.Close() }

// Name tells network, weights and mode: statistics of different ones do not mix.
func (n *Inception) Name() string { return fmt.Sprintf("inception-v3 %s %s", n.SHA256[:8], n.Mode) }

// Warning says that the weights are not the published ones, or is "".
func (n *Inception) Warning() string {
	if n.Published {
		return ""
	}
	return fmt.Sprintf("the weights have SHA-256 %s…, not the published %s…: what follows is no FID, KID or IS that can be compared with any other", n.SHA256[:12], InceptionSHA256[:12])
}

// Dim is 2048, the width of the last average pool.
func (n *Inception) Dim() int { return models.InceptionFeatures }

// Batch keeps a CPU's memory small: an image takes 11 MB, and more at once are no faster.
func (n *Inception) Batch() int {
	if n.net.Device().Type == torch.CPU {
		return 16
	}
	return 128
}

// Forward returns the features of images [n,1 or 3,h,w] in [0,1]: [n,2048]. Gray is repeated.
func (n *Inception) Forward(x torch.Tensor) torch.Tensor {
	return torch.Tidy(func() torch.Tensor {
		if x.Size(1) == 1 {
			x = x.Expand(-1, 3, -1, -1)
		}
		return n.net.Forward(n.Mode.resize(x.ToDevice(n.net.Device()), models.InceptionSize))
	})
}

// logits are the scores that IS is defined on.
type logits struct{ *Inception }

func (n logits) Dim() int { return models.InceptionClasses }

// Forward returns the classes' scores without bias: [n,1 or 3,h,w] → [n,1008].
func (n logits) Forward(x torch.Tensor) torch.Tensor {
	return n.net.Logits(n.Inception.Forward(x), false)
}
