// Package pickles reads Python pickles of unknown origin with gopickle.
//
// A pickle is a program. Here it may build numbers, strings, lists and dicts, and call the few Go functions that [Rules]
// put in place of Python's. All instructions are checked before the first is executed, because gopickle allocates
// whatever a pickle asks for. After that, allocations are bounded by a multiple of the pickle's length.
package pickles

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/nlpodyssey/gopickle/pickle"
)

// Rules say what may stand for the parts of a pickle that are outside of it.
type Rules struct {
	Class      func(module, name string) (any, error) // value in place of a class, or an error
	Persistent func(id any) (any, error)              // value of a persistent id; nil: gopickle refuses it
}

// Func is a Go function that a pickle may call.
type Func func(args ...any) (any, error)

// Call implements gopickle's types.Callable.
func (f Func) Call(args ...any) (any, error) { return f(args...) }

// Load executes the pickle at the start of b. It returns its value, made of gopickle's types, and its length. Errors are
// one line, without the file's name.
func (r Rules) Load(b []byte) (value any, n int, err error) {
	n, err = r.vet(b)
	if err != nil {
		return nil, 0, err
	}
	defer func() { // gopickle panics on some damaged pickles
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
