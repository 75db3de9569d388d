"""Parts that any engine on PyTorch can use. Nothing here depends on a particular model."""
