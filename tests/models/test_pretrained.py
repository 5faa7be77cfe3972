import pytest
import torch
from helpers import MASK, small
from safetensors.torch import save_file

from kit.models.network import build
from kit.system.errors import KitError


def test_local_weights_load_all_but_the_head(tmp_path, monkeypatch):
    import timm

    source = timm.create_model("test_efficientnet", pretrained=False, num_classes=1000)
    save_file(source.state_dict(), tmp_path / "w.safetensors")
    torch.save(source.state_dict(), tmp_path / "w.pth")
    monkeypatch.setenv("SOME_WEIGHTS", str(tmp_path))
    for name in ("w.safetensors", "w.pth"):
        network = build(small(pretrained=f"$SOME_WEIGHTS/{name}"), MASK)
        assert torch.equal(network.body.conv_stem.weight, source.conv_stem.weight)
        assert network.body.classifier.weight.shape == (18, 256)


def test_weights_that_do_not_fit(tmp_path, monkeypatch):
    import timm

    save_file(
        timm.create_model("test_resnet", pretrained=False).state_dict(),
        tmp_path / "other.safetensors",
    )
    (tmp_path / "broken.safetensors").write_bytes(b"x")
    monkeypatch.delenv("UNSET_PLACE", raising=False)
    for source, said in (
        (tmp_path / "other.safetensors", "of another architecture"),
        (tmp_path / "broken.safetensors", "no weights file"),
        (tmp_path / "none.safetensors", "cannot be read"),
        ("$UNSET_PLACE/w.safetensors", "UNSET_PLACE is not set"),
    ):
        with pytest.raises(KitError, match=said):
            build(small(pretrained=str(source)), MASK)
