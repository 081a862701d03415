"""The project's benchmark: `python -m bench` measures a real `vai serve` beside the limits of the machine."""
