"""The report of a run: one self-contained page, its figures and its tables; pure functions of the run's tables."""
