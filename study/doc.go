// Package study measures trained models and repeats the paper's comparisons.
//
// Its Assess functions measure one run: distances of its samples, outlier detection,
// reconstruction, restoration, probes. Every result is an [eval.Record], which the run folder keeps
// in results.jsonl. A study trains the models that a table or figure of the paper compares, assesses
// each of them, and lays the figures beside the published ones.
package study
