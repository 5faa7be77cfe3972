"""The address of a cluster: what is given, what runs here, and what answers."""

import socket

import pytest

from kit.scale.address import LOCAL, check_address, check_loopback, find_address


@pytest.fixture
def address(monkeypatch, tmp_path):
    """An address where something answers, and no cluster that was started here."""
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    (tmp_path / "ray").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def test_the_nearest_address_counts(address, monkeypatch, tmp_path):
    assert find_address("") == LOCAL
    (tmp_path / "ray" / "ray_current_cluster").write_text(f"{address}\n")
    assert find_address("") == address
    monkeypatch.setenv("RAY_ADDRESS", "box1:6379")
    assert find_address("") == "box1:6379" and find_address("box2:6379") == "box2:6379"


def test_a_cluster_that_has_died_is_not_taken(address, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        gone = f"127.0.0.1:{server.getsockname()[1]}"
    (tmp_path / "ray" / "ray_current_cluster").write_text(gone)
    assert find_address("") == LOCAL


def test_what_does_not_answer_is_an_error(address):
    check_address(address)
    for wrong in ("box1", ":6379", "ray://box1:10001", "box1:port", ""):
        with pytest.raises(OSError, match="HOST:PORT"):
            check_address(wrong)
    with pytest.raises(OSError):
        check_address("127.0.0.1:1")


def test_a_machine_without_a_loopback_is_an_error(monkeypatch):
    check_loopback()

    def unreachable(*_):
        raise OSError(101, "Network is unreachable")

    monkeypatch.setattr(socket, "create_connection", unreachable)
    with pytest.raises(OSError, match="unreachable"):
        check_loopback()
