package data

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPickleRefuses(t *testing.T) {
	good, err := os.ReadFile("testdata/cifar-10-batches-py/data_batch_1")
	require.NoError(t, err)
	swap := func(old, now string) []byte {
		require.Contains(t, string(good), old)
		return bytes.Replace(good, []byte(old), []byte(now), 1)
	}
	for name, c := range map[string]struct {
		pickle []byte
		want   []string
	}{
		"another class":           {[]byte("\x80\x02cos\nsystem\nU\x04trueq\x01\x85R."), []string{"asks for os.system", "refused"}},
		"a class gopickle knows":  {[]byte("\x80\x02ccollections\nOrderedDict\n)R."), []string{"collections.OrderedDict", "refused"}},
		"a class named on stack":  {[]byte("\x80\x04\x8c\x02os\x8c\x06system\x93."), []string{"asks for os.system", "refused"}},
		"INST":                    {[]byte("\x80\x02(ios\nsystem\n."), []string{"opcode 0x69"}},
		"persistent id":           {[]byte("\x80\x02Pid\n."), []string{"opcode 0x50"}},
		"cut short":               {good[:len(good)/2], []string{"cut short"}},
		"no end":                  {good[:len(good)-1], []string{"cut short"}},
		"hostile string":          {[]byte("\x80\x02T\xff\xff\xff\x7f."), []string{"cut short", "2147483651 bytes announced"}},
		"negative string":         {[]byte("\x80\x02T\xff\xff\xff\xff."), []string{"cut short"}},
		"empty integer":           {[]byte("\x80\x02\x8a\x00."), []string{"integer of 0 bytes"}},
		"many marks":              {append([]byte("\x80\x02"), bytes.Repeat([]byte("("), 100)...), []string{"more complicated"}},
		"many dicts":              {append([]byte("\x80\x02"), bytes.Repeat([]byte("}"), 2000)...), []string{"more complicated"}},
		"end of no mark":          {[]byte("\x80\x02e."), []string{"more complicated"}},
		"odd items":               {[]byte("\x80\x02}(K\x01u."), []string{"makes no sense"}},
		"a call of nothing":       {[]byte("\x80\x02cnumpy\nndarray\n)R."), []string{"cannot be read"}},
		"an array without state":  {[]byte("\x80\x02}U\x04datacnumpy.core.multiarray\n_reconstruct\n)Rs."), []string{"data is an array"}},
		"data that is no array":   {[]byte("\x80\x02}U\x04dataK\x01s."), []string{"data is 1", "numpy array"}},
		"another type of element": {swap("U\x02u1", "U\x02f4"), []string{`"f4"`, "uint8"}},
		"another width":           {swap("M\x00\x0c\x86", "M\x00\x0b\x86"), []string{"[4 2816]", "n×3072"}},
		"rows without data":       {swap("K\x04M\x00\x0c\x86", "K\x05M\x00\x0c\x86"), []string{"12288 bytes for 5 rows"}},
		"a label out of range":    {swap("(K\x01K\x04", "(K\x01K\x0a"), []string{"label 1 is 10", "0…9"}},
		"a label too few":         {swap("(K\x01K\x04", "(K\x01"), []string{"a list of 3", "not a list of 4"}},
		"no labels":               {swap("U\x06labels", "U\x06lobels"), []string{"labels are missing"}},
		"encoding without end": {slices.Concat([]byte("\x80\x02X\xc8\x00\x00\x00"), bytes.Repeat([]byte("a"), 200), []byte("q\x01"),
			bytes.Repeat([]byte("c_codecs\nencode\nh\x01X\x06\x00\x00\x00latin1\x86R"), 100), []byte(".")), []string{"more text than it holds"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Open(folder(t, map[string][]byte{"data_batch_1": c.pickle}), Options{})
			require.Error(t, err)
			for _, want := range append(c.want, "data_batch_1") {
				assert.Contains(t, err.Error(), want)
			}
			assert.NotContains(t, err.Error(), "\n")
		})
	}
}

func TestAnUnreadablePickleOfAnotherNameIsNamedOnlyIfNothingElseFits(t *testing.T) {
	_, err := Open(folder(t, map[string][]byte{"model.pkl": []byte("\x80\x02cos\nsystem\n.")}), Options{})
	require.ErrorContains(t, err, "no train images there, only ")
	require.ErrorContains(t, err, "os.system: refused")
}

func TestEncodeKeepsToItsBudget(t *testing.T) {
	budget := 10
	out, err := encode(&budget, []any{"\u00e9a", "latin1"})
	require.NoError(t, err)
	assert.Equal(t, []byte{0xe9, 'a'}, out)
	_, err = encode(&budget, []any{"01234567890", "latin1"})
	require.ErrorContains(t, err, "more text than it holds")
	budget = 10
	_, err = encode(&budget, []any{"\u20ac", "latin1"})
	require.ErrorContains(t, err, "not in latin1")
}

func FuzzPickle(f *testing.F) {
	for _, path := range []string{"cifar-10-batches-py/batches.meta", "cifar-100-python/test", "py3/protocol2"} {
		b, err := os.ReadFile(filepath.Join("testdata", path))
		require.NoError(f, err)
		f.Add(b)
	}
	for _, s := range []string{
		"\x80\x02}q\x01(U\x06labels]K\x01aU\x04datah\x01\x88\x89N\x85\x86\x87tu.",
		"\x80\x03}(C\x04datacnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NtbB\x01\x00\x00\x00au.",
		"\x80\x02c_codecs\nencode\nX\x02\x00\x00\x00\xc3\xa9X\x06\x00\x00\x00latin1\x86R\x8a\x02\x01\x02G12345678.",
		"\x80\x02cnumpy._core.multiarray\n_reconstruct\n)R(K\x01K\x01\x85cnumpy\ndtype\nU\x02u1\x85R\x89U\x01atb.",
	} {
		f.Add([]byte(s))
	}
	f.Add([]byte("\x80\x02}(U\x04datacnumpy.core.multiarray\n_reconstruct\n)Ru."))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := parsePickle(b)
		if err != nil || p == nil {
			return
		}
		require.Len(t, p.pixels, p.N*cifarRow)
		require.Len(t, p.Labels, p.N)
	})
}
