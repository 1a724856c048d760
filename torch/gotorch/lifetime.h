//go:build gotorch

// When gotorch's tensors are freed, and when Go should look for more of them.
#pragma once

// gt_enter is called before gotorch code runs, gt_leave with its result afterwards. gt_leave returns
// whether the memory that C holds has grown enough for Go to collect garbage.
int gt_enter(void);
int gt_leave(int epoch);
