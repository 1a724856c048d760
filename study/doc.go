// Package study measures trained models and repeats the paper's comparisons.
//
// Its Assess functions measure a run, or sets of images: distances of samples, outlier detection,
// reconstruction, restoration, probes. Every result is an [eval.Record], which the run folder keeps
// in results.jsonl.
//
// A [Study] is a table or a figure of the paper, or a comparison of our own. A [Plan] trains the models that some studies compare,
// assesses each of them, and lays the figures beside the published ones. A model that several studies
// compare is trained once. A plan that was stopped goes on where it was:
//
//	table9, err := study.Named("table9")
//	fig6, err := study.Named("fig6")
//	plan, err := study.NewPlan(study.Mini(), []study.Study{table9, fig6}, study.PlanOptions{Out: "runs/reproduce", Seeds: []uint64{1, 2, 3}})
//	err = plan.Print(os.Stdout) // the models, with minutes and disk space
//	results, err := plan.Run(ctx, study.Setup{Log: os.Stderr})
//	for _, r := range results {
//		fmt.Println(r.Markdown())
//	}
package study
