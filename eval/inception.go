package eval

import (
	"cmp"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/models"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
)

// The weights that define FID: the file of pytorch-fid and torch-fidelity.
const (
	InceptionURL    = "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth"
	InceptionSHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
	inceptionBytes  = 95_628_359
)

// InceptionDownload is the file of the weights that define FID.
func InceptionDownload() data.Download {
	return data.Download{URL: InceptionURL, Size: inceptionBytes, SHA256: InceptionSHA256}
}

// InceptionFolders are the folders in which liebm looks for the file: $LIEBM_DATA/inception if the variable is set, and the cache
// of torch.hub, which pytorch-fid and torch-fidelity use. A download goes to the first of them.
func InceptionFolders() (folders []string) {
	if root := os.Getenv("LIEBM_DATA"); root != "" {
		folders = append(folders, filepath.Join(root, "inception"))
	}
	home, _ := os.UserHomeDir() // "": then the other variables say where
	cache := cmp.Or(os.Getenv("XDG_CACHE_HOME"), filepath.Join(home, ".cache"))
	return append(folders, filepath.Join(cmp.Or(os.Getenv("TORCH_HOME"), filepath.Join(cache, "torch")), "hub", "checkpoints"))
}

// FindInception returns the file of weights in one of [InceptionFolders]. The error is fs.ErrNotExist, with the remedies,
// if it is in none.
func FindInception() (string, error) {
	name := InceptionDownload().File()
	for _, folder := range InceptionFolders() {
		for _, name := range []string{name, strings.Replace(name, "pt_", "weights-", 1)} { // torch-fidelity's name
			if info, err := os.Stat(filepath.Join(folder, name)); err == nil && info.Mode().IsRegular() {
				return filepath.Join(folder, name), nil
			}
		}
	}
	return "", fmt.Errorf("fetch the weights of Inception by liebm data fetch inception, or give the path of %s, which is not in %s: %w",
		name, strings.Join(InceptionFolders(), " or "), fs.ErrNotExist)
}

// fidFeatures is the start of the name of features of the published weights, and of no others.
const fidFeatures = "inception-v3 6726825d "

// InceptionFeatures is the network of FID, KID and IS, and the way images are resized for it.
type InceptionFeatures struct {
	Mode      Resizing
	SHA256    string // of the file of weights
	Published bool   // the file is the one that defines FID

	net *models.Inception
}

// OpenInception reads the weights from pytorch-fid's .pth, or from a .safetensors with the same names. Weights with
// another SHA-256 are accepted, but their features have another name, and no distance on them is called FID. The caller
// closes the network.
func OpenInception(path string, mode Resizing, device torch.Device) (*InceptionFeatures, error) {
	sum, err := data.FileSHA256(path)
	if err != nil {
		return nil, fmt.Errorf("weights of Inception: %w; fetch them from %s", err, InceptionURL)
	}
	state, err := readState(path)
	if err != nil {
		if info, statErr := os.Stat(path); statErr == nil && info.Size() != inceptionBytes {
			err = fmt.Errorf("%w (the file has %d bytes, the published one %d: fetch %s)", err, info.Size(), inceptionBytes, InceptionURL)
		}
		return nil, err
	}
	defer closeAll(state)
	net, err := models.NewInception(state)
	if err != nil {
		return nil, fmt.Errorf("%s: %w; fetch %s", path, err, InceptionURL)
	}
	n := &InceptionFeatures{Mode: mode, SHA256: sum, Published: sum == InceptionSHA256, net: net}
	err = torch.Do(func() error { nn.To(net, device, torch.Float32); return nil })
	if err != nil {
		n.Close()
		return nil, err
	}
	return n, nil
}

// readState reads a state dict of float32 tensors from a .safetensors or a file of torch.save. The caller closes the
// tensors.
func readState(path string) (state []torch.Entry, err error) {
	if strings.ToLower(filepath.Ext(path)) == ".safetensors" {
		tensors, _, err := torch.ReadSafetensors(path)
		for name, t := range tensors {
			state = append(state, torch.Entry{Name: name, Tensor: t})
		}
		return state, err
	}
	entries, err := torch.ReadStateDict(path)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name, ".num_batches_tracked") { // int64, not used in eval mode
			e.Tensor.Close()
			continue
		}
		state = append(state, e)
		if e.Tensor.DType() != torch.Float32 {
			err = fmt.Errorf("%s: %s is %s %v: use float32", path, e.Name, e.Tensor.DType(), e.Tensor.Shape())
		}
	}
	if err != nil {
		closeAll(state)
	}
	return state, err
}

func closeAll(entries []torch.Entry) {
	for _, e := range entries {
		e.Tensor.Close()
	}
}

// Close frees the weights.
func (n *InceptionFeatures) Close() { nn.Close(n.net) }

// Name names network, weights and mode. Statistics with different names cannot be compared.
func (n *InceptionFeatures) Name() string {
	return fmt.Sprintf("inception-v3 %s %s", n.SHA256[:8], n.Mode)
}

// Warning is a warning if the weights are not the published ones, else "".
func (n *InceptionFeatures) Warning() string {
	if n.Published {
		return ""
	}
	return fmt.Sprintf("the weights have SHA-256 %s…, not the published %s…: do not compare these numbers with any FID, KID or IS", n.SHA256[:12], InceptionSHA256[:12])
}

// Dim is 2048, the width of the last average pool.
func (n *InceptionFeatures) Dim() int { return models.InceptionFeatures }

// Batch is small on a CPU, where an image takes 11 MB and larger batches are not faster.
func (n *InceptionFeatures) Batch() int {
	if n.net.Device().Type == torch.CPU {
		return 16
	}
	return 128
}

// Forward returns the features of images [n,1 or 3,h,w] in [0,1]: [n,2048]. Gray is repeated.
func (n *InceptionFeatures) Forward(x torch.Tensor) torch.Tensor {
	return torch.Tidy(func() torch.Tensor {
		if x.Size(1) == 1 {
			x = x.Expand(-1, 3, -1, -1)
		}
		return n.net.Forward(n.Mode.resize(x.ToDevice(n.net.Device()), models.InceptionSize))
	})
}

// logits are the scores that define IS, of the classes without bias: [n,1 or 3,h,w] → [n,1008].
func (n *InceptionFeatures) logits(x torch.Tensor) torch.Tensor {
	return n.net.Logits(n.Forward(x), false)
}
