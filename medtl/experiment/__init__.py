"""The settings of all components assembled into one Experiment: schema, strict YAML, overrides, snapshot."""
