"""The `medtl` command."""
