"""A model judged on a hospital's own labelled cases, behind the page: the road of `medtl evaluate MODEL MANIFEST.csv`, in a process of its
own. Knows nothing of Gradio."""
