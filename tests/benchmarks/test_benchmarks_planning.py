"""The plan and the audit's search are right for drawn tables of any size."""

from kit.benchmarks.planning import bench_audit, bench_folds


def test_the_bench_finds_drawn_copies():
    numbers = bench_audit(1000).numbers
    assert numbers["copies"] == 1 and numbers["candidates"] < 200


def test_a_drawn_table_is_planned_and_its_stages_timed():
    table = bench_folds(1000)
    stages = ["assign folds", "check the balance", "sort", "write and read back"]
    assert list(table.numbers["seconds"]) == stages and table.rows[-1][0] == "all"
    assert "Planning 7,000 photos of 1,000 people" in table.title
