"""What is kept on disk: the cache, its catalogue for people, bundles and re-encoded sounds."""
