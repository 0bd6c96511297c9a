"""The audit of a cohort: pure functions of records, measurements, features and predictions, torch-free. Each returns findings."""
