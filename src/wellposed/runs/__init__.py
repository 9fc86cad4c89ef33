"""The run folder: the only place where training, reports and comparisons meet."""
