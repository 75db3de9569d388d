"""What any engine on PyTorch can use; nothing here knows a model."""
