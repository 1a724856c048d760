// Package pickles reads Python pickles of files that came from anywhere, through gopickle.
//
// A pickle is a program. All that one may do here is to build numbers, strings, lists and dicts, and
// to call the few Go functions that [Rules] put in the place of Python's. Every instruction is vetted
// before the first is executed, for gopickle allocates whatever a pickle announces; what it allocates
// afterwards is bounded by a multiple of the pickle's length.
package pickles

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/nlpodyssey/gopickle/pickle"
)

// Rules say what the pickles of one kind may hold.
type Rules struct {
	Kind       string                                 // of file, for messages: "a batch of CIFAR"
	Opcodes    string                                 // those that it may use
	Steps      int                                    // instructions, at most
	Objects    int                                    // lists, dicts, calls and long tuples, at most
	Share      int                                    // and one more for so many bytes of it; 0 is no more
	Integer    int                                    // bytes of the longest integer
	Class      func(module, name string) (any, error) // what stands for a class, or why it is refused
	Persistent func(id any) (any, error)              // what an object outside the pickle is
}

// Func is a Go function that a pickle may call.
type Func func(args ...any) (any, error)

// Call implements gopickle's types.Callable.
func (f Func) Call(args ...any) (any, error) { return f(args...) }

// Load executes the pickle that b starts with and returns its value, made of gopickle's types, and
// its length. Errors are one line, without the file's name.
func (r Rules) Load(b []byte) (value any, n int, err error) {
	n, err = r.vet(b)
	if err != nil {
		return nil, 0, err
	}
	defer func() { // gopickle panics on some programs that make no sense
		if p := recover(); p != nil {
			value, err = nil, errors.New("its pickle makes no sense; fetch it again")
		}
	}()
	var refusal error
	u := pickle.NewUnpickler(bytes.NewReader(b[:n]))
	u.FindClass = func(module, name string) (class any, err error) {
		class, refusal = r.Class(module, name)
		return class, refusal
	}
	u.PersistentLoad = r.Persistent
	value, err = u.Load()
	switch {
	case refusal != nil:
		return nil, 0, refusal
	case err != nil:
		message := err.Error()
		return nil, 0, fmt.Errorf("its pickle cannot be read: %s; fetch it again", message[:min(len(message), 120)])
	}
	return value, n, nil
}
