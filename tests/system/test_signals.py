"""Signals end a command as Ctrl+C does, but for what is to be finished first."""

import os
import signal

import pytest

import kit.system.signals
from kit.system.signals import Stop, be_patient, sigterm_as_ctrl_c


def send(number):
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_sigterm_and_sighup_are_as_ctrl_c_within_the_block(number):
    before = signal.signal(number, signal.SIG_DFL)  # under nohup SIGHUP is ignored
    try:
        with pytest.raises(KeyboardInterrupt), sigterm_as_ctrl_c():
            send(number)
        assert signal.getsignal(number) is signal.SIG_DFL
    finally:
        signal.signal(number, before)


def test_an_ignored_signal_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with sigterm_as_ctrl_c(), Stop() as stop, stop.held():
            send(signal.SIGHUP)
        assert not stop.asked
    finally:
        signal.signal(signal.SIGHUP, before)


def test_the_first_signal_waits_for_the_end_of_what_is_held(capfd):
    lines = []
    with pytest.raises(KeyboardInterrupt), Stop() as stop:
        with stop.held():
            send(signal.SIGTERM)
            lines.append("saved")
        lines.append("not reached")
    assert lines == ["saved"] and stop.asked and not stop.forced
    assert "saving first" in capfd.readouterr().err


def test_the_second_signal_ends_at_once():
    lines = []
    with pytest.raises(KeyboardInterrupt), Stop() as stop, stop.held():
        send(signal.SIGTERM)
        send(signal.SIGTERM)
        lines.append("not reached")
    assert lines == [] and stop.forced


def test_a_second_signal_ends_nothing_where_processes_are_patient(monkeypatch):
    monkeypatch.setattr(kit.system.signals, "_patient", [])
    be_patient()
    lines = []
    with pytest.raises(KeyboardInterrupt), Stop() as stop, stop.held():
        send(signal.SIGTERM)
        send(signal.SIGTERM)
        lines.append("saved")
    assert lines == ["saved"] and not stop.forced


def test_outside_of_what_is_held_a_signal_ends_at_once():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), Stop() as stop:
        send(signal.SIGTERM)
    assert not stop.asked and signal.getsignal(signal.SIGTERM) is before
