package config

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
)

// Bounds of the numbers of a field without the tags min and max. A float32 can hold the larger one.
const (
	maxInt   = 1 << 20
	maxFloat = 1e30
)

// Bounds returns an error that names every number of a config, a struct, that is out of its bounds. A whole number is from 0
// to 2²⁰, and a float from −1e30 to 1e30, unless the field has the tag min:"1" or max:"1e9". An unsigned number, such as a
// seed, may have any value.
func Bounds(cfg any) error {
	known, err := settingsOf(reflect.ValueOf(cfg), "")
	for _, s := range known {
		least, most := 0.0, float64(maxInt)
		kind := s.value.Type()
		if isList(s.value) {
			kind = kind.Elem()
		}
		if kind.Kind() == reflect.Float64 {
			least, most = -maxFloat, maxFloat
		}
		for name, bound := range map[string]*float64{"min": &least, "max": &most} {
			if text := s.tag.Get(name); text != "" {
				x, wrong := strconv.ParseFloat(text, 64)
				*bound, err = x, errors.Join(err, wrong)
			}
		}
		if !within(s.value, least, most) {
			err = errors.Join(err, fmt.Errorf("%s is %v: use %.10g to %.10g", s.path, s.value, least, most))
		}
	}
	return err
}

// within reports whether each number of v is from least to most. Decode and Set take neither NaN nor an infinity, and Go code
// that sets one gets the error of the field's own check.
func within(v reflect.Value, least, most float64) bool {
	switch {
	case isList(v):
		for i := range v.Len() {
			if !within(v.Index(i), least, most) {
				return false
			}
		}
	case v.CanInt():
		return float64(v.Int()) >= least && float64(v.Int()) <= most
	case v.CanFloat():
		return v.Float() >= least && v.Float() <= most || v.Float()-v.Float() != 0
	}
	return true
}
