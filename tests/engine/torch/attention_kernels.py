"""Which of PyTorch's attention kernels are real on a GPU of compute capability 12.x, as a DGX Spark's.

    python -m tests.engine.torch.attention_kernels LIBTORCH_CUDA_SO

T3's steps, the hops of streams and, in float32, the padded Euler steps use the memory-efficient kernels; in bf16 the
Euler steps use flash attention. A PyTorch that is built for 12.1 itself, rather than for the 12.x family, has printing
stubs in place of the former: the output is garbage without an error. Stubs need fewer registers. The program exits with
1 if it finds one.
"""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

KERNELS = {
    "fmha_cutlassF_bf16_aligned_64x64_rf_sm80": r"\d+fmha_cutlassF_bf16_aligned_64x64_rf_sm80N",
    "fmha_cutlassF_f32_aligned_64x64_rf_sm80": r"\d+fmha_cutlassF_f32_aligned_64x64_rf_sm80N",
    # Heads of 64 in bf16, in tiles of 128 by 128, without dropout, causality, a window or biases, of any length.
    "flash_fwd_kernel": (
        r"N13pytorch_flash16flash_fwd_kernelI23Flash_fwd_kernel_traitsILi64ELi128ELi128ELi4E\S+bfloat16_t\S+EE"
        "Lb0ELb0ELb0ELb0ELb0ELb1ELb0ELb0EEE"
    ),
}
"""Names, and how their mangled names begin."""
MIN_REGISTERS = 64
"""The real ones need 126, 168 and 255, a stub needs 24."""
ARCHITECTURE = "sm_120"


def disassembler() -> Path | None:
    """Return NVIDIA's cuobjdump, which comes with triton."""
    spec = find_spec("triton")
    if spec is None or spec.origin is None:
        return None
    program = Path(spec.origin).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    return program if program.is_file() else None


def registers(library: Path, program: Path) -> dict[str, int]:
    """Return how many registers each of KERNELS needs, without those that the library does not have."""
    command = [str(program), "-res-usage", "-arch", ARCHITECTURE, str(library)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = {name: re.search(rf"Function _Z{begins}\S*:\s+REG:(\d+)", printed) for name, begins in KERNELS.items()}
    return {name: int(match[1]) for name, match in found.items() if match}


def main() -> None:
    program = disassembler()
    if program is None:
        sys.exit("triton, which brings cuobjdump, is not installed")
    found = registers(Path(sys.argv[1]), program)
    print(found)
    if any(found.get(kernel, 0) < MIN_REGISTERS for kernel in KERNELS):
        sys.exit(f"these are not all of {list(KERNELS)} with {MIN_REGISTERS} registers or more")


if __name__ == "__main__":
    main()
