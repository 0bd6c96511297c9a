"""Plots of a predictions table or a training log: plain functions that return matplotlib Figures, drawn without pyplot's global state."""
