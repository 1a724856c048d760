package pickles

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// The opcodes that vet handles. Python's pickletools describes all opcodes.
const (
	opProto    = 0x80
	opStop     = '.'
	opMark     = '('
	opTuple    = 't'
	opAppends  = 'e'
	opSetItems = 'u'
	opGlobal   = 'c'
	opCall     = 'R'
	opLong1    = 0x8a
	opNewList  = ']'
	opNewDict  = '}'
	opPut      = 'q'
	opPutLong  = 'r'
	opGet      = 'h'
	opGetLong  = 'j'
	opMemoize  = 0x94
	opFrame    = 0x95
)

// allowed are the opcodes of values and objects in protocols 2 to 5.
const allowed = "\x80.(cN\x88\x89JKM\x8aGUTXCB)t\x85\x86\x87]ae}suqrhjRb\x8c\x8d\x93\x94\x95Q"

// argument is the size of an opcode's argument in bytes. If it is −n, the argument is a count of n bytes followed by that
// number of bytes. Other opcodes have no argument.
var argument = map[byte]int{
	opProto: 1, opFrame: 8,
	'J': 4, 'K': 1, 'M': 2, opLong1: -1, 'G': 8, // numbers
	'U': -1, 'T': -4, 'X': -4, 'C': -1, 'B': -4, 0x8c: -1, 0x8d: -8, // strings and bytes
	opPut: 1, opPutLong: 4, opGet: 1, opGetLong: 4, // the memo
}

const (
	maxSteps   = 1 << 24
	maxNested  = 64      // open marks, of which each costs gopickle 256 bytes; a dict inside a dict is one
	maxObjects = 1 << 10 // lists, dicts, calls and long tuples; one more for every 8 bytes
	maxInteger = 32      // bytes
)

// A walk is the state of vet.
type walk struct {
	Rules
	b        []byte
	nested   int         // open marks
	objects  int         // made so far
	frameEnd int         // end of the last frame
	top      int         // length of the string on top of the stack, 0 for other values
	memo     map[int]int // the same for values in the memo
	echoed   int         // bytes of strings taken from the memo
}

// vet checks the instructions of the pickle at the start of b and returns its length. It is an error if the pickle breaks
// the rules, or has a count beyond its end, for which gopickle would allocate.
func (r Rules) vet(b []byte) (int, error) {
	w := walk{Rules: r, b: b, memo: map[int]int{}}
	for at, steps := 0, 0; at < len(b); steps++ {
		op := b[at]
		if strings.IndexByte(allowed, op) < 0 {
			return 0, fmt.Errorf("its pickle has opcode 0x%02x at byte %d, which is not read here; save it again with protocol 2", op, at)
		}
		at++
		if op == opStop {
			return at, nil
		}
		if steps == maxSteps {
			return 0, errComplicated
		}
		n, err := w.size(at, op)
		if err != nil {
			return 0, err
		}
		if err := w.step(at, op, n); err != nil {
			return 0, err
		}
		at += n
	}
	return 0, errors.New("its pickle is cut short; fetch it again")
}

// size is the length of the argument of op. It starts at index at.
func (w *walk) size(at int, op byte) (int, error) {
	b, size := w.b[at:], argument[op]
	if op == opGlobal {
		return w.global(b)
	}
	n := uint64(max(size, 0))
	if size < 0 && len(b) >= -size {
		var count [8]byte
		copy(count[:], b[:-size])
		counted := binary.LittleEndian.Uint64(count[:])
		if op == opLong1 && (counted < 1 || counted > maxInteger) {
			return 0, fmt.Errorf("its pickle has an integer of %d bytes; fetch it again", counted)
		}
		n = uint64(-size) + min(counted, 1<<62)
	}
	if n > uint64(len(b)) || size < 0 && n == 0 {
		return 0, fmt.Errorf("its pickle is cut short: %d bytes announced, %d left; fetch it again", n, len(b))
	}
	return int(n), nil
}

// global checks the name of a class, two lines, and returns their length.
func (w *walk) global(b []byte) (int, error) {
	module, rest, ok := bytes.Cut(b, []byte("\n"))
	name, _, ok2 := bytes.Cut(rest, []byte("\n"))
	if !ok || !ok2 {
		return 0, errors.New("its pickle is cut short; fetch it again")
	}
	if _, err := w.Class(string(module), string(name)); err != nil {
		return 0, err
	}
	return len(module) + len(name) + 2, nil
}

// step counts an instruction whose argument is the n bytes at index at.
func (w *walk) step(at int, op byte, n int) error {
	top := 0
	switch op {
	case opMark:
		w.nested++
		w.objects++ // a mark ends as one
	case opTuple, opAppends, opSetItems:
		w.nested--
	case opNewList, opNewDict, opCall:
		w.objects++
	case opFrame:
		size := binary.LittleEndian.Uint64(w.b[at:])
		if at < w.frameEnd || size > uint64(len(w.b)-at-n) {
			return fmt.Errorf("its pickle has a frame of %d bytes, %d are left; fetch it again", size, len(w.b)-at-n)
		}
		w.frameEnd = at + n + int(size)
		top = w.top
	case opProto:
		top = w.top
	case opPut, opPutLong, opMemoize:
		top = w.top
		w.memo[w.index(at, op)] = top
	case opGet, opGetLong:
		top = w.memo[w.index(at, op)]
		w.echoed += top
	case 'U', 'T', 'X', 'C', 'B', 0x8c, 0x8d:
		top = n
	}
	w.top = top
	// An error of gopickle prints a value with each of its strings as often as it occurs.
	if w.nested < 0 || w.nested > maxNested || w.objects > maxObjects+at/8 || w.echoed > len(w.b)+1<<16 {
		return errComplicated
	}
	return nil
}

var errComplicated = errors.New("its pickle is more complicated than its size justifies; fetch it again")

// index is the place in the memo that an instruction names.
func (w *walk) index(at int, op byte) int {
	switch op {
	case opPut, opGet:
		return int(w.b[at])
	case opMemoize:
		return len(w.memo)
	}
	return int(binary.LittleEndian.Uint32(w.b[at:]))
}
