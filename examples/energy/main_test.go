package main

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSamplesComeFromTheRing(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(context.Background(), &out, 60))
	var data, dataStd, samples, samplesStd float64
	_, err := fmt.Sscanf(out.String(), "data:    distance from the origin %f ± %f\nsamples: distance from the origin %f ± %f\n", &data, &dataStd, &samples, &samplesStd)
	require.NoError(t, err, out.String())
	assert.InDelta(t, 2, data, 0.05)
	assert.InDelta(t, 2, samples, 0.5, "uniform points have a mean distance of 3.1")
}
