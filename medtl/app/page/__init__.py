"""The page itself: `layout` says where everything stands, `building` joins it to what happens when a person uses it.

`page_one` and `page_many` change it, for one image and for a batch; `held` keeps an upload until it is answered, `many` answers a whole
archive; `facts`, `elsewhere`, `markup`, `table` and `printed` say it, `viewer` shows the image. The scripts and styles lie beside.
"""
