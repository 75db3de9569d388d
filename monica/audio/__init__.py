"""Samples and files: WAV, other formats, speed, loudness and silence."""
