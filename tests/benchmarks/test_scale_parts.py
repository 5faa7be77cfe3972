"""Each part waits until all are ready, before its time begins."""

import torch
from helpers import MASK
from networks import FP32_MODE
from trainings import recipe_file

import kit.benchmarks.scale_parts
from kit.benchmarks.scale_parts import Work, parts
from kit.benchmarks.scale_table import CORES, DECODING, INFERENCE, MEMORY, STAGES, TRAINING
from kit.benchmarks.synthetic import training_photos


def test_every_part_begins_its_time_when_all_are_ready(world, tmp_path, monkeypatch):
    now, real = [100.0], torch.nn.Module.__call__
    module = kit.benchmarks.scale_parts
    monkeypatch.setattr(module, "clock", lambda device: now[0])
    monkeypatch.setattr(module.time, "perf_counter", lambda: now[0])

    def forward(network, *photos):
        now[0] += 7 if isinstance(network, module.InferenceModel) else 0
        return real(network, *photos)

    monkeypatch.setattr(torch.nn.Module, "__call__", forward)
    photos = training_photos(world.folder, tmp_path, 16)
    path, described, mode = recipe_file(tmp_path), MASK.describe(), FP32_MODE.describe()
    work = Work(path, described, photos, tmp_path / "pixels", 1, 0, mode)
    amounts = work.amounts
    assert (amounts[TRAINING], amounts[INFERENCE], amounts[DECODING]) == (8, 16, 16)
    assert round(amounts[CORES], 1) == 13.4 and amounts[MEMORY] == 1.28
    loops = parts(work, torch.device("cpu"))
    assert list(loops) == list(STAGES)
    for stage, loop in loops.items():
        asked = []

        def ready(asked=asked):
            asked.append(now[0])
            now[0] += 1000  # others are waited for

        seconds = loop(ready)
        assert len(asked) == 1 and seconds < 1000
        assert stage != INFERENCE or seconds == 7 * (16 // FP32_MODE.photos)
