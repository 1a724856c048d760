package train

import (
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/internal/config"
)

// leaves calls f with the path of every number of a config.
func leaves(v reflect.Value, path string, f func(path string)) {
	for i := range v.NumField() {
		field, name := v.Type().Field(i), path
		key, option, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		if key == "-" {
			continue
		}
		if option != "inline" {
			name += key
		}
		kind := field.Type
		if kind.Kind() == reflect.Slice {
			kind = kind.Elem()
		}
		switch {
		case kind.Kind() == reflect.Struct && option == "inline":
			leaves(v.Field(i), name, f)
		case kind.Kind() == reflect.Struct:
			leaves(v.Field(i), name+".", f)
		case kind.Kind() == reflect.Int, kind.Kind() == reflect.Float64, kind.Kind() == reflect.Uint64:
			f(name)
		}
	}
}

// Extreme numbers are refused or work. The networks of a config that is accepted can be made.
func TestExtremeNumbersInConfigsCauseNoPanic(t *testing.T) {
	values := []string{"-1", "0", "1", "[]", "NaN", ".inf", "-.inf", "2147483648", strconv.FormatInt(1<<62+(1<<62-1), 10)}
	build := map[string]int{}
	try := func(cfg any, path string, accept func() error) {
		old := reflect.ValueOf(cfg).Elem()
		before := reflect.New(old.Type()).Elem()
		before.Set(old)
		for _, value := range values {
			if err := config.Set(cfg, path+"="+value); err == nil && accept() == nil {
				build[path]++
			}
			old.Set(before)
		}
	}
	cfg := tiny()
	cfg.Target = ERM
	leaves(reflect.ValueOf(cfg), "", func(path string) {
		try(&cfg, path, func() error {
			if err := cfg.Validate(); err != nil {
				return err
			}
			trainer, err := NewTrainer(cfg, nil, Options{}.Device)
			if err == nil {
				trainer.Close()
			}
			return nil
		})
	})
	ssl := tinySSL()
	leaves(reflect.ValueOf(ssl), "", func(path string) {
		try(&ssl, path, func() error {
			if err := ssl.Validate(); err != nil {
				return err
			}
			s, err := newSSL(ssl, Options{}.Device)
			if err == nil {
				s.close()
			}
			return nil
		})
	})
	require.Greater(t, len(build), 30, "most settings take one of the values")
	require.Zero(t, build["generator.widths"])
}
