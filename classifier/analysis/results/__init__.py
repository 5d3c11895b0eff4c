"""Facts about the results of runs: metrics with intervals, calibration, notable images, and comparisons."""
