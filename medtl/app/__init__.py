"""The page: a clinician uploads an image and sees the answer beside what is known of the model."""
