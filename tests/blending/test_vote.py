"""The hard vote as a checked submission."""

import json

from helpers import MASK, make_data, mask_folder, write_classes

from kit.compare import main
from kit.data.folder import read_test
from kit.results.answers import read_answers
from kit.system.disk import file_hash

A, B = [0, 1, 2, 3, 17], [0, 4, 2, 9, 16]


def test_a_vote_is_written_as_a_checked_submission(tmp_path, fails, capsys):
    data = make_data(tmp_path / "data", eval_photos=5)
    ids = read_test(mask_folder(data))
    files = []
    for n, classes in enumerate(([0, 1, 2, 3, 4], [0, 1, 5, 3, 9], [7, 1, 5, 8, 4])):
        files.append(tmp_path / f"s{n}.csv")
        rows = [f"{i},{c}" for i, c in zip(ids, classes)]
        files[-1].write_text(
            "\n".join(["ImageID,ans", *(rows[::-1] if n == 1 else rows)]) + "\n"
        )  # joined by id
    out = tmp_path / "vote.csv"
    arguments = [*map(str, files), "--vote", str(out), "--data", str(data)]
    assert main(arguments) == 0 and "the hard vote of 3 files" in capsys.readouterr().out
    assert (
        read_answers(out, MASK).classes.tolist() == [0, 1, 5, 3, 4]
        and read_answers(out, MASK).ids.tolist() == ids
    )
    record = json.loads(out.with_suffix(".json").read_text())
    assert [m["name"] for m in record["members"]] == ["s0", "s1", "s2"] and record[
        "sha256"
    ] == file_hash(out)
    assert "exists already" in fails(main, *arguments)
    assert main([*arguments, "--force"]) == 0
    assert "is a place of input files" in fails(
        main, *files, "--vote", files[0], "--data", data, "--force"
    )
    assert "is for --vote" in fails(main, *files, "--force")
    a, b = write_classes(tmp_path / "a.csv", A), write_classes(tmp_path / "b.csv", B)
    assert "has other ids than" in fails(main, a, b, "--vote", tmp_path / "w.csv", "--data", data)
    assert not (tmp_path / "w.csv").exists()
