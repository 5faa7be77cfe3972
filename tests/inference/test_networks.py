"""Networks of checkpoints, in memory while there is room."""

from helpers import everywhere
from networks import COMPUTE, blocks_of

import kit.models.checkpoint
from kit.inference.networks import Networks, checkpoint_of, checkpoints_of
from kit.system import device


def test_networks_stay_for_the_next_photos_and_their_groups_are_one(copy, world, monkeypatch):
    blocks, loaded = blocks_of(world, copy / "runs" / "small"), []
    plain = kit.models.checkpoint.load

    def load(path, place):
        loaded.append(path)
        return plain(path, place)

    everywhere(monkeypatch, kit.models.checkpoint, "load", load)
    networks = Networks(blocks.views, COMPUTE)
    assert networks.groups(range(6), blocks.passes) == [[0, 1, 2, 3, 4, 5]]
    for rows in ([0, 1], [2]):
        probs, seconds = networks.run(blocks.passes, blocks.photos.of(rows))
        assert len(probs) == len(seconds) == 6 and probs[0].shape == (len(rows), 18)
    assert len(loaded) == 3 and networks.computed == 6 * 3
    need = checkpoint_of(blocks.passes[0]).info.parameters * 4
    everywhere(monkeypatch, device, "free_memory", lambda _: 2 * need)
    # Those that are loaded take no more memory.
    assert networks.groups(range(6), blocks.passes) == [[0, 1, 2, 3, 4, 5]]
    networks.clear()
    assert networks.groups(range(6), blocks.passes) == [[0, 3], [1, 4], [2, 5]]


def test_checkpoints_of_passes_come_once_in_order(copy, world):
    passes = blocks_of(world, copy / "runs" / "small").passes
    assert [c.info.fold for c in checkpoints_of(passes[::-1])] == [2, 1, 0]
