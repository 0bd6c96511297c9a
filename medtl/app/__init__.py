"""The page: a clinician hands over images and sees the answers beside what is known of the model.

`reading` decodes an upload, `desk` holds the models and answers (`engines`: by what), `asking` finds what has to be asked before, `words`
says it, `documents` is what leaves the page. Roads to the desk: `page/` for people, `api` and `programs` for programs. Before all of them
stands `door/`: who may come in, what belongs to whom, and the private folder where no upload outlives its answer. `serve` opens it.
"""
