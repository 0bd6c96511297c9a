"""The page's answers for programs: HTTP with a typed schema (`/api/v1/openapi.json`), the same answers as `medtl predict`.

One image a request, as a multipart form; nothing of it is kept. Errors have a stable code and a sentence, which quotes nothing of the file.
"""
