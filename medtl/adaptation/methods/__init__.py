"""Methods of adaptation. Contract of a file: `Settings` (of `medtl.adaptation.MethodSettings`, with `name`), `NEEDS`, `KIND`, `build`.

`NEEDS`: of what `medtl.adaptation` names: `BATCH_NORM` layers, augmented `VIEWS`, `TRAINABLE` features, `SOURCE_DATA` at hand while it
adapts, `ONE_CLASS` per image (softmax). What a method needs and cannot have is refused in a sentence.

`KIND` says where it takes hold, and with that what `build` is:

- `"penalty"`: `build(settings, dim, classes, seed) -> nn.Module`, called with a :class:`medtl.adaptation.step.Step` (what the network makes
  of a labelled source batch and of an unlabelled target batch) -> what is added to the loss, a scalar, `settings.weight` in it already.
  Weights of its own learn with the network and are thrown away. If it has `relabel(features (N, D), logits (N, K), progress)`, that is
  called before every epoch with what the network now says of all N target images. A file with `CONTINUES = True` starts from the
  source-only model; one that needs no source data is shown none, and leaves the head as it is. With `NORMS_ALONE = True`, of the layers
  that the strategy lets learn nothing learns but the scales and shifts of batch norms.
- `"statistics"`: `build(settings, network, batches)`, changes the source-only network in place; `batches` gives the target's images
  float (B, C, S, S) in [0, 1], as often as it is iterated. Head, calibration and threshold stay the source's.
- `"inputs"`: `build(settings, read, source, target, seed) -> show`, where `read(positions)` gives stored images uint8 (B, S, S, C),
  `source` and `target` are the positions of both domains' training images, and `show(images, positions)` changes images of the source (new
  arrays). What was learned from images in the target's style needs no change of the target's images at use.

`settings.weight` 0 is never built: training is then source-only. A file imports torch only inside functions, for reading a config
imports it.
"""
