"""Made images with a known truth: chest radiographs and skin lesions for the demo, the tests of saliency, shift, shortcuts and the audit.

They are synthetic and say so: in every header, in the domain's name, in the folder's README. Nothing here looks at a clock or
at the machine: the same settings give the same files, byte for byte, under the same versions of the libraries.

`settings` what can be chosen · `cases` who is imaged and what is wrong with the set · `thorax`, `radiograph`, `dicom` chest images ·
`lesion`, `photograph` lesions · `hospitals` what differs between the two · `making` files on disk · `truth` what is where.
"""
