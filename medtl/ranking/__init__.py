"""Which weights to transfer from, and how: scores of transferability, distance, advice. Pure functions of arrays, no torch."""
