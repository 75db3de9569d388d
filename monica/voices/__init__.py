"""Voices: their recordings, the registry of the known ones, and uploads."""
