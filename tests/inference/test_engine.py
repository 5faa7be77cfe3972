"""Where and how networks run."""

import torch
from conftest import CPU, HALF_MODE, mask_architecture

from kit.inference.autotune import exact_mode
from kit.inference.engine import Compute
from kit.inference.runtime import InferenceMode


def test_exact_is_fp32_and_a_record_has_the_last_word():
    card = mask_architecture("m", (32, 24))
    assert Compute(exact=True, modes={"m 32 x 24": HALF_MODE}).mode(card, CPU) == exact_mode(CPU)
    assert Compute(modes={"m 32 x 24": HALF_MODE}).mode(card, CPU) == HALF_MODE
    assert Compute(batch_size=2, modes={"m 32 x 24": HALF_MODE}).mode(card, CPU) == InferenceMode(
        torch.bfloat16, 2
    )
