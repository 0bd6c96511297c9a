"""Stress views: stored images with something taken away or made worse, to see by what a network answers. See docs/stress.md.

`views` lists them all: a new view is one entry there. `regions`: where in the picture; `quality`: how good the picture is.
They are numpy and OpenCV alone, deterministic, and know nothing of networks; what they show is read by `medtl.evaluation.stressed`.
"""
