"""The door: who may come in and by which way, what belongs to whom, where uploads lie. Knows neither models nor Gradio's page."""
