"""What README.md and docs/python.md show works as it stands there."""

from pathlib import Path

import pytest

from houses import Network
from programs import Program

ROOT = Path(__file__).parents[3]
README = ROOT / "README.md"

#: The snippets of the original documentation, word for word.
SNIPPETS = [
    """\
discovery = DiscoveryService()
await discovery.start()
await discovery.publish()
""",
    """\
sync = SyncProtocol(peer_id, encryption_key)
await sync.connect()
await sync.sync_entities()
""",
    """\
registry = SharedRegistry()
registry.register("light.living_room", shared=True)
""",
]


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_readme_has_the_snippet_word_for_word(snippet: str) -> None:
    assert f"```python\n{snippet}```\n" in README.read_text(encoding="utf-8")


def test_homes_of_the_readme_find_each_other_by_connect_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["snippets.py", str(README)]
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    with (
        Network(2) as network,
        Program(*words, "Villa", "our common secret", inside=network.inside(0)) as villa,
        Program(*words, "Chalet", "our common secret", inside=network.inside(1)) as chalet,
    ):
        villa.hears(lambda line: line == ["peers", ["Chalet"]], "the chalet")
        chalet.hears(lambda line: line == ["peers", ["Villa"]], "the villa")
        assert [block for what, block in villa.told if what == "ran"][-3:] == SNIPPETS
        villa.tell("light.hall on")
        chalet.tell("switch.boiler off")
        both = {"light.hall": "on", "switch.boiler": "off"}
        for home in (villa, chalet):
            home.hears(lambda line: line == ["holds", both], "what both say")
            home.end()
            home.hears(lambda line: line == ["shared", ["light.living_room"]], "the registry")
            assert home.ends() == 0


def test_homes_with_different_keys_stay_strangers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["snippets.py", str(README)]
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    with (
        Network(2) as network,
        Program(*words, "Villa", "our common secret", inside=network.inside(0)) as villa,
        Program(*words, "Chalet", "another secret", inside=network.inside(1)) as chalet,
    ):
        for home in (villa, chalet):
            home.hears(lambda line: line == ["peers", []], "nobody")


def test_page_for_python_runs_from_its_first_block_to_its_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = ROOT / "docs" / "python.md"
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    with (
        Network(1) as network,
        Program("snippets.py", str(page), inside=network.inside(0)) as reader,
    ):
        assert reader.ends(within=60) == 0
        reader.hears(lambda line: "await discovery.stop()" in line[1], "the last block")
    assert len(reader.told) == page.read_text(encoding="utf-8").count("```python\n")
    assert all(f"```python\n{snippet}```\n" in page.read_text(encoding="utf-8") for snippet in SNIPPETS)
