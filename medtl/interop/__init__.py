"""What leaves medtl in other people's formats: the package as an ONNX graph, an answer as DICOM objects and as one printed page."""
