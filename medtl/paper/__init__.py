"""The paper kit: what a run holds as the parts of a manuscript. It says what was done and measured, and names what only authors know."""
