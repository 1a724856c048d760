package data

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// The opcodes that vet has to tell apart; Python's pickletools describes them all.
const (
	opProto    = 0x80
	opStop     = '.'
	opMark     = '('
	opGlobal   = 'c'
	opLong1    = 0x8a
	opNewList  = ']'
	opNewDict  = '}'
	maxNested  = 64      // open marks: CIFAR needs 3
	maxNew     = 64      // lists and dicts: CIFAR needs 5
	maxOpcodes = 1 << 20 // CIFAR-100's 50,000 rows need a quarter of that
)

// argument says how the argument of an opcode is sized: that many bytes, or, where negative, a count
// of that many bytes and then what it counts. An opcode that is not here is refused: a batch of CIFAR
// in protocol 2 or 3 needs no more.
var argument = map[byte]int{
	opProto: 1, opStop: 0, opMark: 0, opGlobal: 0,
	'N': 0, 0x88: 0, 0x89: 0, // None, True, False
	'J': 4, 'K': 1, 'M': 2, opLong1: -1, 'G': 8, // numbers
	'U': -1, 'T': -4, 'X': -4, 'C': -1, 'B': -4, // strings and bytes
	')': 0, 't': 0, 0x85: 0, 0x86: 0, 0x87: 0, // tuples
	opNewList: 0, 'a': 0, 'e': 0, opNewDict: 0, 's': 0, 'u': 0,
	'q': 1, 'r': 4, 'h': 1, 'j': 4, // the memo
	'R': 0, 'b': 0, // call, set state
}

// vet walks the instructions of a pickle and refuses what a batch has no use for: other classes,
// other opcodes, and counts beyond the end of the file, for which gopickle would allocate.
func vet(b []byte) error {
	nested, containers := 0, 0
	for at, count := 0, 0; at < len(b); count++ {
		op := b[at]
		size, ok := argument[op]
		if !ok {
			return fmt.Errorf("its pickle has opcode 0x%02x at byte %d: not one that CIFAR has; save it again with protocol 2", op, at)
		}
		at++
		switch op {
		case opStop:
			return nil
		case opMark:
			nested++
		case 't', 'e', 'u':
			nested--
		case opNewList, opNewDict:
			containers++
		case opGlobal:
			n, err := vetGlobal(b[at:])
			if err != nil {
				return err
			}
			at += n
		}
		if nested < 0 || nested > maxNested || containers > maxNew || count > maxOpcodes {
			return errors.New("its pickle is more complicated than a batch of CIFAR; fetch it again")
		}
		n, err := sizeOf(b[at:], op, size)
		if err != nil {
			return err
		}
		at += n
	}
	return errors.New("its pickle is cut short; fetch it again")
}

// sizeOf is the length of the argument that b starts with.
func sizeOf(b []byte, op byte, size int) (int, error) {
	n := uint64(max(size, 0))
	if size < 0 && len(b) >= -size {
		counted := uint64(b[0])
		if size == -4 {
			counted = uint64(binary.LittleEndian.Uint32(b))
		}
		if op == opLong1 && (counted < 1 || counted > 8) {
			return 0, fmt.Errorf("its pickle has an integer of %d bytes; fetch it again", counted)
		}
		n = uint64(-size) + counted
	}
	if n > uint64(len(b)) || size < 0 && n == 0 {
		return 0, fmt.Errorf("its pickle is cut short: %d bytes announced, %d left; fetch it again", n, len(b))
	}
	return int(n), nil
}

// vetGlobal checks the name of a class, two lines, and returns their length.
func vetGlobal(b []byte) (int, error) {
	first := bytes.IndexByte(b, '\n')
	if first < 0 {
		return 0, errors.New("its pickle is cut short; fetch it again")
	}
	second := bytes.IndexByte(b[first+1:], '\n')
	if second < 0 {
		return 0, errors.New("its pickle is cut short; fetch it again")
	}
	module, name := string(b[:first]), string(b[first+1:first+1+second])
	if classes[module+"."+name] == "" {
		return 0, refused(module, name)
	}
	return first + second + 2, nil
}
