"""Images are read right, once, for training, prediction and page alike: reader, preprocessing, store, decode workers."""
