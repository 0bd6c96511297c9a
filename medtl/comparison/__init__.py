"""Models held against a reference on the same images."""
