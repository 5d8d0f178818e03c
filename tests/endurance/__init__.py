"""Long loops of kills and fuzzing, in full: `python -m tests.endurance`."""
