"""Sound as samples and as files: WAV and other formats, speed, loudness and silence."""
