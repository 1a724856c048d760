package train

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/torchtest"
)

func TestAPackedRunIsSmallAndGivesNearlyTheSame(t *testing.T) {
	for _, settings := range [][]string{{"target=erm"}, {"target=erm", "encoder=joint"}} {
		dir, out := runOf(t, bars(t), settings...), filepath.Join(t.TempDir(), "packed")
		_, err := Pack(t.Context(), dir, "last", out)
		require.NoError(t, err)
		assert.Less(t, size(t, out), size(t, dir)/3)
		_, err = Check(out)
		assert.NoError(t, err, "its files belong together")
		info, err := ReadInfo(out)
		require.NoError(t, err)
		assert.Equal(t, filepath.Base(os.Args[0]), info.Command[0], "others need not know the machine's folders")

		want, err := ReadSSLConfig(filepath.Dir(encoder(t)))
		require.NoError(t, err)
		got, err := readConfig(out, encoderConfig, SSLConfig{})
		require.NoError(t, err)
		assert.Equal(t, want, got, "the pretraining of its encoder is known")

		from, err := LoadModel(dir, torch.Device{})
		require.NoError(t, err)
		defer from.Close()
		packed, err := LoadModel(out, torch.Device{})
		require.NoError(t, err)
		defer packed.Close()
		assert.Equal(t, from.Config, packed.Config)
		assert.Equal(t, from.Step, packed.Step)
		require.NoError(t, torch.Do(func() error {
			want, got := outputs(t, from), outputs(t, packed)
			require.Len(t, got, len(want))
			for i := range want {
				if want[i].Name == "gradient" {
					continue // it jumps where a unit of a ReLU turns on
				}
				scale := want[i].Tensor.Abs().Max().Item()
				assert.Less(t, want[i].Tensor.Sub(got[i].Tensor).Abs().Max().Item(), 0.01*scale, want[i].Name)
			}
			return nil
		}))
	}
}

func TestAPackedCommandHasNoFolders(t *testing.T) {
	assert.Equal(t, []string{"liebm", "train", "--out=em", "--encoder", "h", "--config", "a/b.yaml", "--set", "data.path=x.npz"},
		withoutFolders([]string{"/bin/liebm", "train", "--out=/home/me/em", "--encoder", "/home/me/h", "--config", "a/b.yaml", "--set", "data.path=/x.npz"}))
}

func TestAPackIsNotWrittenOverARun(t *testing.T) {
	dir := runOf(t, bars(t), "target=erm")
	_, err := Pack(t.Context(), dir, "last", dir)
	assert.ErrorContains(t, err, "already holds a run")
}

// size of the files that a folder needs to be opened, in bytes.
func size(t *testing.T, dir string) (total int64) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.safetensors"))
	require.NoError(t, err)
	for _, file := range files {
		info, err := os.Stat(file)
		require.NoError(t, err)
		total += info.Size()
	}
	return total
}

func TestAHalfPrecisionTensorWithALargeSumIsFinite(t *testing.T) {
	torchtest.Scope(t, func() {
		half := func(x torch.Tensor) []torch.Entry { return []torch.Entry{{Name: "w", Tensor: x.To(torch.Float16)}} }
		assert.NoError(t, finite(half(torch.Ones([]int{120_000}, torch.Float32))), "the sum is above float16's largest number")
		assert.EqualError(t, finite(half(torch.FromSlice([]float32{1, 1e6}))), "w is not finite")
	})
}
