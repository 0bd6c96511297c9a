"""The page: a clinician uploads an image and sees the answer beside what is known of the model.

`reading` decodes an upload, `desk` holds the models and answers, `words` and `markup` say it, `page` lays it out, `serve` opens it on this
machine alone, in a private folder (`private`) where no upload outlives its answer.
"""
