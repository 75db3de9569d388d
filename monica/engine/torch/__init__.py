"""What any engine on PyTorch needs, whatever its model. The environment is set here, before PyTorch is imported."""

import os

CUDNN_PLANS = 500
"""Upper bound on the plans that cuDNN keeps for each thread, of about 200 KiB of host memory each. PyTorch's own is
10 000, which is 2 GiB. Every length of a take needs some forty plans."""

# An operator's own value is left alone.
os.environ.setdefault("TORCH_CUDNN_V8_API_LRU_CACHE_LIMIT", str(CUDNN_PLANS))
