"""Where networks run: the device, its precisions, its memory, and how photos get there."""

import contextlib
import functools
import os
import re
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from kit.errors import KitError
from kit.tables import held


def choose_device(name: str | None) -> torch.device:
    """The device to compute on: `--device`, else the first GPU, else the CPU; raises `KitError` for one that is not there."""
    if name is None:
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise KitError(f"--device {name}: no such device; take cpu, cuda or cuda:1") from error
    if device.type not in ("cpu", "cuda"):
        raise KitError(f"--device {name}: the kit computes on cpu or cuda")
    if device.type == "cuda":
        if (device.index or 0) >= torch.cuda.device_count():
            raise KitError(f"--device {name}: torch sees {torch.cuda.device_count()} GPUs; take cpu, or check the driver")
        device = torch.device("cuda", device.index or 0)
        _check_kernels(device)
        torch.cuda.set_device(device)  # pinned memory and the like would else go by way of the first GPU
        # What is called fp32 here has all of its mantissa, whatever the environment says of matrices.
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
        # Batches are of few sizes: the fastest convolution for each is looked for. On ROCm that takes minutes at every start.
        torch.backends.cudnn.benchmark = torch.version.hip is None
    else:
        _keep_freed_memory()
    return device


def has_kernels(capability: tuple[int, int], architectures: Sequence[str]) -> bool:
    """True if a build of torch for `architectures`, such as sm_80 and compute_90, runs on a GPU of a compute capability.

    Code for sm_XY runs on GPUs of the same X and the same or a higher Y, and compute_XY is compiled for any later one; with a
    letter, as sm_90a, on those alone (CUDA C++ Programming Guide, compute capability and PTX compatibility).
    """
    for kind, major, minor, own in re.findall(r"\b(sm|compute)_(\d+)(\d)([a-z]?)", " ".join(architectures)):
        built = int(major), int(minor)
        if built == capability or (built < capability and not own and (kind == "compute" or built[0] == capability[0])):
            return True
    return False


def _check_kernels(device: torch.device) -> None:
    """Raise `KitError` for a GPU that torch was built without: its first operation would fail, and name no cure."""
    architectures, capability = torch.cuda.get_arch_list(), torch.cuda.get_device_capability(device)
    if torch.version.hip is None and architectures and not has_kernels(capability, architectures):
        raise KitError(f"--device {device}: torch {torch.__version__} was built without {torch.cuda.get_device_name(device)} "
                       f"(sm_{capability[0]}{capability[1]}; it has {' '.join(architectures)}); "
                       + ("for V100, P100 and older install torch's build for CUDA 12.6 (cu126)" if capability < (7, 5)
                          else "install a newer build of torch") + ", or take --device cpu")


@functools.cache
def _keep_freed_memory() -> None:
    """Have the C library keep large blocks that are freed, for the next layer's output.

    As it stands glibc gives blocks of some MB back to the system at once, and takes new ones, page by page, for the next
    tensor: on two cores that is a third of the time of a training step of EfficientNet-b4, and up to two thirds of inference
    by 16 or 32 photos. The process's memory is not larger at its peak, but stays there.
    """
    import ctypes
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return  # no glibc: another one has its own ways
    map_threshold, trim_threshold = -3, -1  # M_MMAP_THRESHOLD and M_TRIM_THRESHOLD of <malloc.h>
    if not mallopt(map_threshold, 2**30):
        mallopt(map_threshold, 2**25)  # the most that older ones take
    mallopt(trim_threshold, 2**31 - 1)


def device_name(device: torch.device) -> str:
    """What a device is, so that measurements of another one are not taken for its own: processor and threads, or the GPU."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    found = re.search(r"^model name\s*: (.*)$", _proc("cpuinfo"), re.MULTILINE)
    return f"{found[1] if found else 'CPU'}, {torch.get_num_threads()} threads"


def _proc(name: str) -> str:
    """A file of /proc; empty where there is none."""
    try:
        return Path("/proc", name).read_text(encoding="utf-8")
    except OSError:
        return ""


# ---------------------------------------------------------------- threads

_THREADS = torch.get_num_threads()


def _trainings() -> Path:
    """Where the trainings of a machine and user find each other: a locked file each, which the kernel lets go of at its end.

    Raises `OSError` where there is no such place that is the user's own.
    """
    folder = Path(tempfile.gettempdir()) / f"kfold-kit-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} is another user's")
    return folder


@contextlib.contextmanager
def counted() -> Iterator[None]:
    """Count this process among the machine's trainings as long as the block runs; where no file can be written, it is not."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            path = _trainings() / f"{os.getpid()}.lock"
            stack.callback(path.unlink, missing_ok=True)
            stack.enter_context(held(path))
        yield


def other_trainings() -> int:
    """How many other processes on this machine are training now, of this user."""
    import fcntl
    number, paths = 0, list[Path]()
    with contextlib.suppress(OSError):
        paths = list(_trainings().glob("*.lock"))
    for path in paths:
        if path.stem == str(os.getpid()):
            continue
        with contextlib.suppress(OSError), open(path, "a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink(missing_ok=True)  # of one that was killed
            except BlockingIOError:
                number += 1
    return number


def share_threads(begun_with: int | None = None) -> int:
    """Set how many threads compute on the CPU, and return it: those that a training began with, else its share.

    Trainings side by side share the cores: with more threads than cores each one waits, spinning, for one that has no core, and
    all take several times as long. `OMP_NUM_THREADS` overrides both. The number changes how sums are rounded, so that a training
    keeps that which it began with.
    """
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(min(begun_with, _THREADS) if begun_with else max(1, _THREADS // (1 + other_trainings())))
    return torch.get_num_threads()


# ---------------------------------------------------------------- precision

# bf16 on a CPU with its own instructions for it, against fp32, in training at 224 x 168 on two cores: ResNet18 1.8 times as
# fast, ResNet50 1.9, VGG19 1.8, EfficientNet-b3 and b4 1.25; EfficientNet-b0 (5 M weights) 0.8.
_BF16_WEIGHTS = 10_000_000


@functools.cache
def cpu_has_bf16() -> bool:
    """Whether the processor has instructions for bf16: without them it is far slower than fp32."""
    return bool(re.search(r"\b(avx512_bf16|amx_bf16)\b", _proc("cpuinfo")))


def half_precision(device: torch.device) -> torch.dtype | None:
    """The 16-bit format that a device has units for: bf16 on GPUs from Ampere on and on some CPUs, fp16 on GPUs before."""
    if device.type == "cpu":
        return torch.bfloat16 if cpu_has_bf16() else None
    generation = torch.cuda.get_device_capability(device)[0]
    return torch.bfloat16 if generation >= 8 else torch.float16 if generation == 7 else None


def choose_precision(device: torch.device, parameters: int) -> torch.dtype:
    """The precision to train a network of so many weights in, the same at every start: 16 bits where they pay, else fp32."""
    half = half_precision(device)
    return half if half is not None and (device.type == "cuda" or parameters >= _BF16_WEIGHTS) else torch.float32


def autocast(device: torch.device, precision: torch.dtype) -> torch.autocast:
    """Mixed precision, or none for fp32."""
    return torch.autocast(device.type, precision if precision != torch.float32 else None, precision != torch.float32)


def precision_name(precision: torch.dtype) -> str:
    """A precision as a word: `float32`."""
    return str(precision).removeprefix("torch.")


# ---------------------------------------------------------------- time, memory and copies

def clock(device: torch.device) -> float:
    """The time, in seconds, when a device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def peak_memory(device: torch.device) -> int:
    """The most bytes so far: of a GPU's memory, as torch has reserved it, or of this process's."""
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def free_memory(device: torch.device) -> int:
    """Bytes that can still be taken: of a GPU, or of the machine, or of the container that this process is in."""
    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)  # by torch, for what comes next
        return int(torch.cuda.mem_get_info(device)[0]) + kept
    available = re.search(r"^MemAvailable:\s*(\d+) kB$", _proc("meminfo"), re.MULTILINE)
    free = int(available[1]) * 1024 if available else 8 * 2**30
    try:  # of the container, if its limit is the tighter one; files that were read count to what it uses, but give way
        folder = Path("/sys/fs/cgroup")
        files = re.search(r"^inactive_file (\d+)$", (folder / "memory.stat").read_text(), re.MULTILINE)
        used = int((folder / "memory.current").read_text()) - (int(files[1]) if files else 0)
        free = min(free, int((folder / "memory.max").read_text()) - used)
    except (OSError, ValueError):
        pass
    return max(free, 0)


def out_of_memory(error: BaseException) -> bool:
    """Whether an error is of memory that ran out: a GPU's has its own kind, those of its libraries and the CPU's their texts."""
    return isinstance(error, torch.OutOfMemoryError) or bool(
        re.search(r"can't allocate memory|(CUDNN|CUBLAS)_STATUS_ALLOC_FAILED", str(error)))


def to_device(photos: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A batch of photos (N, height, width, 3) uint8 as (N, 3, height, width) float in 0..1, channels last, on `device`."""
    # The permuted view of a packed NHWC batch is channels_last already: nothing is copied.
    return photos.to(device, non_blocking=True).permute(0, 3, 1, 2).float() / 255
