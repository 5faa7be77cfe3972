"""The options that commands share have one wording, type and default."""

import argparse
from pathlib import Path

import pytest

from kit.system.cli import Parser
from kit.system.options import (
    DEFAULT_PLAN,
    add_flags,
    add_options,
    add_place_options,
    data_words,
    first_device,
    gpu_number,
    whole_number,
)

NAMES = ("data", "plan", "runs", "device", "workers", "cache_dir", "force")


def parser_of(*options):
    parser = Parser(prog="kit.test")
    add_options(parser, *options)
    return parser


def test_the_common_options_have_their_types_and_defaults(monkeypatch):
    monkeypatch.delenv("KIT_CACHE", raising=False)
    assert vars(parser_of(*NAMES).parse_args([])) == {
        "data": None,
        "plan": DEFAULT_PLAN,
        "runs": Path("runs"),
        "device": None,
        "workers": None,
        "cache_dir": None,
        "force": False,
    }
    args = parser_of(*NAMES).parse_args(["--plan", "p.csv", "--workers", "0", "--force"])
    assert args.plan == Path("p.csv") and (args.workers, args.force) == (0, True)


def test_a_tilde_is_the_home_if_there_is_one(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("KIT_CACHE", "~/pixels")
    assert parser_of("cache_dir").parse_args([]).cache_dir == Path("/home/me/pixels")
    monkeypatch.setenv("KIT_CACHE", "~nobody-of-this-name/pixels")  # a folder of this name
    assert parser_of("cache_dir").parse_args([]).cache_dir == Path("~nobody-of-this-name/pixels")
    args = parser_of("cache_dir").parse_args(["--cache-dir", "~nobody-of-this-name"])
    assert args.cache_dir == Path("~nobody-of-this-name")


def test_a_command_may_word_an_option_itself(capsys):
    parser = Parser(prog="kit.test")
    add_options(parser, "data", force="replace the page")
    text = parser.format_help()
    assert "replace the page" in text and "default: $KIT_DATA" in text and "--plan" not in text


def test_a_whole_number_is_no_fraction():
    with pytest.raises(argparse.ArgumentTypeError, match="take a whole number, 2 or more"):
        whole_number(2)("2.5")
    assert whole_number(2)("2") == 2


def test_flags_are_false_until_they_are_given():
    parser = Parser(prog="kit.test")
    add_flags(parser, no_score="do without a score", exact="run in fp32")
    assert vars(parser.parse_args(["--no-score"])) == {"no_score": True, "exact": False}
    assert "do without a score" in parser.format_help()


def test_the_cache_s_place_is_the_option_s_else_the_variable_s(monkeypatch):
    monkeypatch.setenv("HOME", "/h")
    monkeypatch.setenv("KIT_CACHE", "~/c")
    parser = parser_of("cache_dir")
    assert parser.parse_args([]).cache_dir == parser.get_default("cache_dir") == Path("/h/c")
    assert parser.parse_args(["--cache-dir", "~/d"]).cache_dir == Path("/h/d")
    monkeypatch.setenv("KIT_CACHE", "")
    assert parser_of("cache_dir").parse_args([]).cache_dir is None


def test_the_options_of_other_places():
    parser = Parser(prog="kit.test")
    add_place_options(parser)
    args = parser.parse_args([])
    assert (args.device, args.cluster, args.gpus, args.task_cpus, args.retries) == (None,) * 5
    assert parser.parse_args(["--cluster"]).cluster == ""
    args = parser.parse_args("--cluster box1:6379 --gpus .5 --task-cpus 4 --retries 0".split())
    assert (args.cluster, args.gpus, args.task_cpus, args.retries) == ("box1:6379", 0.5, 4, 0)


def test_gpus_are_a_share_of_one_or_a_whole_number():
    assert [gpu_number(text) for text in (".5", "1", "0", "2")] == [0.5, 1, 0, 2]
    for text in ("1.5", "-1", "nan", "inf", "two"):
        with pytest.raises(argparse.ArgumentTypeError, match="a share of a GPU"):
            gpu_number(text)


def test_a_next_command_names_data_and_plan_only_where_they_are_not_the_usual_ones():
    parser = Parser(prog="x")
    add_options(parser, "data", "plan")
    assert data_words(parser.parse_args([])) == []
    words = ["--data", "d", "--plan", "p.csv"]
    assert data_words(parser.parse_args(words)) == words


def test_the_first_of_several_devices_is_this_process_s():
    assert [first_device(given) for given in (None, "cpu", "cuda:1,cuda:0")] == [
        None,
        "cpu",
        "cuda:1",
    ]
