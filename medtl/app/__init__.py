"""The page: a clinician hands over images and sees the answers beside what is known of the model.

`reading` decodes an upload, `held` keeps it until it is answered, `desk` holds the models and answers, `many` answers a whole archive,
`asking` finds what has to be asked before, `words`, `facts`, `markup`, `table` and `printed` say it, `viewer` shows the image. `layout`
lays it out, `page_one` and `page_many` change it, `page` joins both; `serve` opens it on this machine alone, in a private folder
(`private`) where no upload outlives its answer. Beside them lie the scripts and styles that the browser gets inside the page.
"""
