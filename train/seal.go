package train

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"os"

	"github.com/liebm/liebm/torch"
)

// The config, run.json and safetensors of a run are sealed: each holds the SHA-256 of itself, as computed with zeros in
// its place. Before it stands a mark. Files of earlier versions have none.
const (
	configMark = "# seal: "
	infoMark   = `"seal": "`
	tensorMark = `"seal":"`

	runMark = "# run: " // before the identity of the run in config.yaml

	sealKey     = "seal"     // in the metadata of safetensors
	runKey      = "run"      // the same; the identity of the run
	distanceKey = "distance" // the same, of the best checkpoint; see runDir.keepBest
	pendingKey  = "metrics"  // the same; see loop.checkpoint
	unsealed    = "0000000000000000000000000000000000000000000000000000000000000000"
)

// seal puts the checksum of a text into it, after the mark.
func seal(text []byte, mark string) []byte {
	return bytes.Replace(text, []byte(mark+unsealed), fmt.Appendf(nil, "%s%x", mark, sha256.Sum256(text)), 1)
}

// checkSeal returns an error if a sealed file is not as it was written. The mark is in its first head bytes.
func checkSeal(path, mark string, file []byte, head int) error {
	at := bytes.Index(file[:head], []byte(mark)) + len(mark)
	if at < len(mark) || at+len(unsealed) > len(file) {
		return nil
	}
	end := at + len(unsealed)
	sum := sha256.New()
	sum.Write(file[:at])
	io.WriteString(sum, unsealed)
	sum.Write(file[end:])
	if is := hex.EncodeToString(sum.Sum(nil)); is != string(file[at:end]) {
		return fmt.Errorf("%s: damaged, or changed by another program: its SHA-256 is %s, not %.64q: restore it from a copy", path, is, file[at:end])
	}
	return nil
}

// writeSealed writes a sealed safetensors file.
func writeSealed(w io.Writer, entries []torch.Entry, meta map[string]string) error {
	meta[sealKey] = unsealed
	sum := sha256.New()
	if err := torch.WriteSafetensors(sum, entries, meta); err != nil {
		return err
	}
	meta[sealKey] = hex.EncodeToString(sum.Sum(nil))
	return torch.WriteSafetensors(w, entries, meta)
}

// readSealed is torch.ReadSafetensors of a file that may be sealed.
func readSealed(path string) (map[string]torch.Tensor, map[string]string, error) {
	file, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	return parseSealed(path, file)
}

// parseSealed is readSealed of a file in memory.
func parseSealed(path string, file []byte) (map[string]torch.Tensor, map[string]string, error) {
	head := 0
	if len(file) > 8 {
		head = int(min(uint64(len(file)-8), binary.LittleEndian.Uint64(file))) + 8
	}
	if err := checkSeal(path, tensorMark, file, head); err != nil {
		return nil, nil, err
	}
	return torch.ParseSafetensors(path, file)
}
