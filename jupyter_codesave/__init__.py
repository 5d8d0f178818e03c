"""Code saving for Jupyter, on your own machine and by itself."""
