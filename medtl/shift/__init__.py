"""Is the hospital that will use a model like the one whose images taught it? Asked of images, without any label of the target's.

Torch-free functions of tables and arrays. `draws` says which images are compared with which: one image of each patient, target against
source, and random halves of the source against each other, which is what chance alone does. `distances`, `columns` are what is compared,
`directions` what a probe that tells the domains apart looks at, `prevalence` and `accuracy` what may be said of the target's share of ill
and of the model's accuracy there, and when it may not be said. `examine` puts them together into one verdict.
"""
