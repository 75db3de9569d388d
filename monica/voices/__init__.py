"""Voices: their recordings, the registry of those that can be spoken, and uploads."""
