"""Studies: one base config, varied; many trials, one table, and a reading of it that says only what its intervals support."""
