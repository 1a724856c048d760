package data

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/liebm/liebm/internal/shell"
)

// A Download is one published file of a set.
type Download struct {
	URL    string
	Name   string // name of the file on disk; "": the last part of the URL
	Size   int64  // bytes; 0: not known
	SHA256 string // "": none is published
	Login  bool   // the server needs a browser: fetch it by hand
}

// File is the name of the file on disk.
func (d Download) File() string { return cmp.Or(d.Name, path.Base(d.URL)) }

// published is the file as Verify finds it.
func (d Download) published() file {
	return file{name: d.File(), sha256: d.SHA256, packed: isArchiveName(strings.ToLower(d.File()))}
}

// Command is the shell command that fetches the file into dir and checks it.
func (d Download) Command(dir string) string {
	file := filepath.Join(dir, d.File())
	fetch := fmt.Sprintf("curl -fL -C - --create-dirs -o %s '%s'", shell.Quote(file), d.URL)
	if d.Login {
		fetch = fmt.Sprintf("# in a browser: %s  (save as %s)", d.URL, shell.Word(file))
	}
	if d.SHA256 == "" {
		return fetch
	}
	return fmt.Sprintf("%s\necho %s | sha256sum -c", fetch, shell.Quote(d.SHA256+"  "+file))
}

// Fetch downloads the file into dir, unless it is there. It continues an interrupted download. The file gets its name
// when its size and checksum are as published. Fetch calls watch, if not nil, with the number of bytes so far.
func (d Download) Fetch(ctx context.Context, client *http.Client, dir string, watch func(done, total int64)) error {
	to := filepath.Join(dir, d.File())
	if err := d.fetch(ctx, client, to, watch); err != nil {
		return fmt.Errorf("data: fetch %s: %w", d.URL, err)
	}
	return nil
}

func (d Download) fetch(ctx context.Context, client *http.Client, to string, watch func(done, total int64)) error {
	if d.Login {
		return fmt.Errorf("the server needs a browser: download it there, and save it as %s", to)
	}
	whole := d.published()
	if _, err := os.Stat(to); err == nil {
		return whole.verify(to)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o777); err != nil {
		return err
	}
	lock, err := LockFile(to+".part", false)
	if errors.Is(err, ErrInUse) {
		return fmt.Errorf("%s: another process is fetching it; wait for that one", to)
	}
	if err != nil {
		return err
	}
	defer lock.Close()
	if _, err := os.Stat(to); err == nil { // another process has just fetched it
		return errors.Join(os.Remove(to+".part"), whole.verify(to))
	}
	part, err := os.OpenFile(to+".part", os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o666)
	if err != nil {
		return err
	}
	defer part.Close()
	if err := d.receive(ctx, client, part, watch); err != nil {
		return err
	}
	if err := part.Sync(); err != nil {
		return err
	}
	if err := whole.verify(part.Name()); err != nil {
		return errors.Join(fmt.Errorf("%w; the file was removed: run the same command again", err), os.Remove(part.Name()))
	}
	return os.Rename(part.Name(), to)
}

// receive downloads the bytes that part lacks.
func (d Download) receive(ctx context.Context, client *http.Client, part *os.File, watch func(done, total int64)) error {
	have, err := part.Seek(0, io.SeekEnd)
	if err != nil || d.Size > 0 && have == d.Size {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, d.URL, nil)
	if err != nil {
		return err
	}
	if have > 0 {
		request.Header.Set("Range", fmt.Sprintf("bytes=%d-", have))
	}
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	code := answer.StatusCode
	if code == http.StatusOK || code == http.StatusRequestedRangeNotSatisfiable {
		have = 0
		err = part.Truncate(0)
	}
	switch {
	case err != nil:
		return err
	case code == http.StatusRequestedRangeNotSatisfiable:
		return errors.New("the partial file did not belong to this download and was removed: run the same command again")
	case code != http.StatusOK && code != http.StatusPartialContent:
		return fmt.Errorf("the server answers %s; fetch it by hand", answer.Status)
	}
	total := d.Size
	if total == 0 && answer.ContentLength > 0 {
		total = have + answer.ContentLength
	}
	body := io.Reader(answer.Body)
	if d.Size > 0 {
		body = io.LimitReader(body, d.Size-have+1)
	}
	got, err := io.Copy(&watched{part, have, total, watch}, body)
	if err != nil {
		return fmt.Errorf("%w; run the same command again to go on from %d bytes", err, have+got)
	}
	if d.Size > 0 && have+got > d.Size {
		return errors.Join(fmt.Errorf("%d bytes, should be %d", have+got, d.Size), part.Truncate(0))
	}
	if have+got < d.Size {
		return fmt.Errorf("it has %d bytes and should have %d: run the same command again to go on", have+got, d.Size)
	}
	return nil
}

type watched struct {
	to          io.Writer
	done, total int64
	watch       func(done, total int64)
}

func (w *watched) Write(b []byte) (int, error) {
	n, err := w.to.Write(b)
	w.done += int64(n)
	if w.watch != nil {
		w.watch(w.done, w.total)
	}
	return n, err
}
