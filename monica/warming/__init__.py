"""Phrases made before they are asked for: phrase books, jobs and the warmer."""
