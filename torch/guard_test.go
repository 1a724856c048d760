package torch

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// cannotThrow are the C functions without a guard, and why they need none.
var cannotThrow = map[string]string{
	"lt_blas_name": "dlsym and a C function", "lt_blas_threads": "dlsym and C functions", "lt_dtypes": "a constant",
	"lt_free_pointer": "destructors do not throw", "lt_grad_mode": "a variable of the thread", "lt_header_version": "a constant",
	"lt_library_path": "dladdr", "lt_live": "an atomic number", "lt_profile_part": "a variable of the thread",
	"lt_threads": "an atomic number", "lt_tune_malloc": "mallopt",
	"lt_profile_share": "a field of the thread",
}

// TestNoCppExceptionReachesGo reads the definition of every C function of this package.
func TestNoCppExceptionReachesGo(t *testing.T) {
	definition := regexp.MustCompile(`(?ms)^[\w*: ]+?\b(lt_\w+)\([^;{]*\)\s*\{(.*?)\}$`)
	declaration := regexp.MustCompile(`(?m)^[\w* ]+?\b(lt_\w+)\([^;]*\);`)
	guarded := regexp.MustCompile(`\b(guard|guarded_value)\(|catch \(\.\.\.\)`)
	defined, declared := map[string]bool{}, map[string]bool{}
	files, err := filepath.Glob("*.cc")
	require.NoError(t, err)
	headers, err := filepath.Glob("*.h")
	require.NoError(t, err)
	for _, file := range slices.Concat(files, headers) {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		if strings.HasSuffix(file, ".h") {
			for _, m := range declaration.FindAllSubmatch(text, -1) {
				declared[string(m[1])] = true
			}
			continue
		}
		for _, m := range definition.FindAllSubmatch(text, -1) {
			name := string(m[1])
			defined[name] = true
			assert.Equal(t, cannotThrow[name] == "", guarded.Match(m[2]), "%s of %s", name, file)
		}
	}
	assert.Equal(t, declared, defined, "every declared function was found and read")
	assert.Greater(t, len(defined), 50)
}
