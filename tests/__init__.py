"""Tests with real parts; `python -m tests` sets up what they need and runs every kind."""
