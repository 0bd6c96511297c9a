"""How medtl's self-contained HTML pages are made and look: style, tables, pictures; the report and the audit share it."""
