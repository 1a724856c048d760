package main

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/torch"
)

func TestOutputsAreThoseOfPyTorch(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(&out, "testdata"))
	var parameters int
	var difference float64
	_, err := fmt.Sscanf(out.String(), "%d parameters, largest difference from PyTorch %g", &parameters, &difference)
	require.NoError(t, err, out.String())
	assert.Equal(t, 1*8*9+2*8+128*10+10, parameters)
	assert.LessOrEqual(t, difference, 1e-5, "outputs are about 1, sums of 128 float32 products")
	assert.Zero(t, torch.Live(), "every tensor is freed")
}
