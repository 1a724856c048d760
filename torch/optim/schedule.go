package optim

// Schedules are pure functions of the step, so that a resumed run needs no state.

// Linear is 1 until step hold·total. Then it falls linearly and is floor at step total.
func Linear(step, total int, hold, floor float64) float64 {
	start := hold * float64(total)
	if float64(step) <= start || total == 0 {
		return 1
	}
	progress := min((float64(step)-start)/(float64(total)-start), 1)
	return 1 + (floor-1)*progress
}

// WarmUp rises linearly from 1/steps to 1 over the first steps.
func WarmUp(step, steps int) float64 {
	if step >= steps {
		return 1
	}
	return float64(step+1) / float64(steps)
}

// Drops starts at 1 and is multiplied by factor at each of the given steps.
func Drops(step int, factor float64, at ...int) float64 {
	f := 1.0
	for _, s := range at {
		if step >= s {
			f *= factor
		}
	}
	return f
}
