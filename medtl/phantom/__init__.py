"""Made images: chest radiographs and skin lesions with a known truth, for the demo, the tests and the audit."""
