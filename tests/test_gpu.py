"""The same on a GPU: training, stops, inference and its memory. Skipped where there is none."""

import signal

import numpy as np
import pytest
import torch
from helpers import MASK, ensemble_arguments, small
from networks import mask_architecture
from trainings import FULL, recipe_file

from kit.ensemble import main as ensemble
from kit.inference.autotune import measure_modes
from kit.inference.engine import Compute
from kit.models.network import Network
from kit.recipe import load_recipe
from kit.results.probs import read_probs
from kit.results.run import Fold
from kit.system.device import choose_device, peak_memory
from kit.system.errors import KitError
from kit.training.job import TrainOptions
from kit.training.memory import explain_out_of_memory, largest_fitting_batch
from kit.training.run import train
from kit.training.trainer import Trainer

ON_GPU = TrainOptions(compute=Compute("cuda", 2))
pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")


def test_a_training_that_stops_and_goes_on_is_the_whole_one_but_for_rounding(
    world, tmp_path, monkeypatch
):
    recipe, real, steps = load_recipe(recipe_file(tmp_path, more=FULL, batch="")), [], []

    def step(trainer, batches):
        steps.append(trainer.state.step)
        if len(steps) == 5:
            signal.raise_signal(signal.SIGTERM)
        real[0](trainer, batches)

    def trained(runs):
        train(recipe, world.plan, world.folder, [0], runs, ON_GPU)
        return read_probs(Fold(runs / "mine" / "fold0").oof).probs

    whole = trained(tmp_path / "whole")
    real.append(Trainer.train_step)
    monkeypatch.setattr(Trainer, "train_step", step)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "parts")
    assert Fold(tmp_path / "parts" / "mine" / "fold0").last.exists()
    np.testing.assert_allclose(trained(tmp_path / "parts"), whole, atol=0.02)
    assert len(steps) == len(set(steps)) * recipe.epochs  # none twice


def test_a_gpu_and_a_cpu_give_the_same_submission_in_fp32(copy):
    files = {}
    for name, device in (("gpu", "cuda"), ("cpu", "cpu")):
        words = ensemble_arguments(copy, "--tta", "hflip+scale", "--exact")
        words[words.index("--device") + 1] = device
        words[words.index("--out") + 1] = str(copy / f"{name}.csv")
        assert ensemble([*words, "--save-probs", str(copy / f"{name}.npz"), "--force"]) == 0
        files[name] = np.load(copy / f"{name}.npz")["probs"], (copy / f"{name}.csv").read_bytes()
    np.testing.assert_allclose(files["gpu"][0], files["cpu"][0], atol=1e-4)
    assert files["gpu"][1] == files["cpu"][1]


def test_16_bits_and_early_decisions_give_the_same_classes(copy, halved):
    words = ensemble_arguments(copy, "--tta", "hflip+scale")
    words[words.index("--device") + 1] = "cuda"
    out = words.index("--out") + 1
    submissions = []
    for more in ([], ["--fast"], ["--exact"]):
        words[out] = str(copy / f"{len(submissions)}.csv")
        assert ensemble([*words, *more]) == 0
        submissions.append((copy / f"{len(submissions)}.csv").read_bytes())
    assert submissions[0] == submissions[1] == submissions[2]


def test_a_probe_finds_a_mode_that_fits():
    device = choose_device("cuda")
    network = Network(mask_architecture("test_efficientnet", (96, 72))).eval().to(device)
    rates = measure_modes(network, device)
    best = next(iter(rates))
    assert rates[best] > 0 and best.photos in (64, 128, 256) and peak_memory(device) > 0


def test_a_batch_too_large_for_the_memory_names_one_that_fits():
    recipe, device = small(size=(256, 192), batch_size=4096), choose_device("cuda")
    torch.cuda.empty_cache()
    share = 2**31 / torch.cuda.get_device_properties(device).total_memory
    torch.cuda.set_per_process_memory_fraction(share, device)
    try:
        fits = largest_fitting_batch(recipe, MASK, device)
        assert fits in [2048 >> k for k in range(10)]
        line = f"too small for batch_size=4096 at 256 x 192; {fits} fits: set batch_size={fits}, "
        with pytest.raises(KitError, match=line), explain_out_of_memory(recipe, MASK, device):
            torch.empty(2**32, dtype=torch.uint8, device=device)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, device)
