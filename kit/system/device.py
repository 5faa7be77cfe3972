"""The device that networks run on: its choice, memory and clock, and the transfer of photos."""

import contextlib
import ctypes
import functools
import re
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from kit.system.errors import KitError


def choose_device(name: str | None) -> torch.device:
    """The device to compute on, set up: the one named, else the first GPU, else the CPU.

    Raises `KitError` for a device that does not exist, or that torch was built without.
    """
    if name is None:
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise KitError(f"--device {name}: no such device; take cpu, cuda or cuda:1") from error
    if device.type not in ("cpu", "cuda"):
        raise KitError(f"--device {name}: is none that the kit computes on; take cpu or cuda")
    if device.type == "cuda":
        if (device.index or 0) >= torch.cuda.device_count():
            raise KitError(
                f"--device {name}: torch sees {torch.cuda.device_count()} GPUs; take cpu, or "
                "check the driver"
            )
        device = torch.device("cuda", device.index or 0)
        _check_kernels(device)
        # Otherwise pinned memory and the like take memory on the first GPU.
        torch.cuda.set_device(device)
        # fp32 has its whole mantissa here, whatever the environment says of matrices.
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
        # cuDNN measures which convolution is the fastest: batches have few sizes, so that it pays.
        # On ROCm the same takes minutes at every start.
        torch.backends.cudnn.benchmark = torch.version.hip is None
    else:
        _keep_freed_memory()
    return device


@contextlib.contextmanager
def tuned(wanted: bool) -> Iterator[None]:
    """In the block cuDNN measures convolutions it has not met only if `wanted`.

    Otherwise it takes those of its rules. Measuring takes EfficientNet-b4 6 seconds on an H200, for
    each size of a batch: too much for the rest of the photos, whose size is another one each time.
    """
    cudnn = torch.backends.cudnn
    before = cudnn.benchmark
    cudnn.benchmark = before and wanted
    try:
        yield
    finally:
        cudnn.benchmark = before


def has_kernels(capability: tuple[int, int], architectures: Sequence[str]) -> bool:
    """True if a build of torch for `architectures` runs on a GPU of a compute capability.

    Architectures are such as sm_80 and compute_90. Code for sm_XY runs on GPUs of the same X and
    the same or a higher Y; compute_XY is compiled for any later GPU. With a letter, such as sm_90a,
    both run on that very capability alone (CUDA C++ Programming Guide, compute capability and PTX
    compatibility).
    """
    for kind, major, minor, letter in re.findall(
        r"\b(sm|compute)_(\d+)(\d)([a-z]?)", " ".join(architectures)
    ):
        built = int(major), int(minor)
        if built == capability or (
            built < capability and not letter and (kind == "compute" or built[0] == capability[0])
        ):
            return True
    return False


def _check_kernels(device: torch.device) -> None:
    """Raise `KitError` for a GPU that torch was built without, with the build that has it.

    Otherwise the first operation on it would fail, and name no cure.
    """
    architectures, capability = torch.cuda.get_arch_list(), torch.cuda.get_device_capability(device)
    if torch.version.hip is None and architectures and not has_kernels(capability, architectures):
        raise KitError(
            f"--device {device}: torch {torch.__version__} was built without "
            f"{torch.cuda.get_device_name(device)} "
            f"(sm_{capability[0]}{capability[1]}, and not {' '.join(architectures)}); "
            + (
                "for V100, P100 and older install torch's build for CUDA 12.6 (cu126)"
                if capability < (7, 5)
                else "install a newer build of torch"
            )
            + ", or take --device cpu"
        )


@functools.cache
def _keep_freed_memory() -> None:
    """Make the C library reuse large freed blocks for the next layer's output.

    By default glibc returns blocks of some MB to the system at once, and takes new ones, page by
    page, for the next tensor: on two cores that is a third of the time of a training step of
    EfficientNet-b4, and up to two thirds of inference by 16 or 32 photos. The process's memory is
    not larger at its peak, but stays there.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return  # another C library than glibc
    map_threshold, trim_threshold = -3, -1  # M_MMAP_THRESHOLD and M_TRIM_THRESHOLD of <malloc.h>
    if not mallopt(map_threshold, 2**30):
        mallopt(map_threshold, 2**25)  # the most that older versions take
    mallopt(trim_threshold, 2**31 - 1)


def device_name(device: torch.device) -> str:
    """The name of the GPU, or of the processor with its number of threads.

    Measurements are kept by it.
    """
    if device.type == "cuda":
        return kind_of(device)
    return f"{kind_of(device)}, {torch.get_num_threads()} threads"


def kind_of(device: torch.device) -> str:
    """The name of the GPU or processor: those of one name round sums alike."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    model = re.search(r"^model name\s*: (.*)$", read_proc("cpuinfo"), re.MULTILINE)
    return model[1] if model else "CPU"


def read_proc(name: str) -> str:
    """The text of a file of /proc; empty if it cannot be read."""
    try:
        return Path("/proc", name).read_text(encoding="utf-8")
    except OSError:
        return ""


def clock(device: torch.device) -> float:
    """The time in seconds, after waiting until the device has finished its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def peak_memory(device: torch.device) -> int:
    """The most bytes used so far: a GPU's, as torch has reserved them, or those of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
        1 if sys.platform == "darwin" else 1024
    )


def free_memory(device: torch.device) -> int:
    """The free memory in bytes: a GPU's, else the machine's or this process's container's.

    Of these two it is the smaller one.
    """
    if device.type == "cuda":
        # Memory that torch has reserved and does not use is free, too.
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + unused
    available = re.search(r"^MemAvailable:\s*(\d+) kB$", read_proc("meminfo"), re.MULTILINE)
    free = int(available[1]) * 1024 if available else 8 * 2**30
    # The container's memory in use includes files that were read, which give way.
    try:
        folder = Path("/sys/fs/cgroup")
        files = re.search(
            r"^inactive_file (\d+)$", (folder / "memory.stat").read_text(), re.MULTILINE
        )
        used = int((folder / "memory.current").read_text()) - (int(files[1]) if files else 0)
        free = min(free, int((folder / "memory.max").read_text()) - used)
    except (OSError, ValueError):
        pass
    return max(free, 0)


def out_of_memory(error: BaseException) -> bool:
    """True if `error` means out of memory.

    That is CUDA's exception type, or the text of cuDNN, cuBLAS or the CPU allocator.
    """
    return isinstance(error, torch.OutOfMemoryError) or bool(
        re.search(r"can't allocate memory|(CUDNN|CUBLAS)_STATUS_ALLOC_FAILED", str(error))
    )


def to_device(photos: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A batch of photos as float in 0..1 on `device`, (N, 3, height, width) channels last.

    It is made from uint8 (N, height, width, 3).
    """
    # The permuted view of an NHWC batch is channels_last already: nothing is copied.
    return photos.to(device, non_blocking=True).permute(0, 3, 1, 2).float() / 255
