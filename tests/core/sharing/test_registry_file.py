"""The file of a registry: restarts, many processes, kill -9, damage, full disks and forks."""

import hashlib
import json
import os
import random
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
import time

import pytest

from sharing import StorageError
from sharing.registry import SharedEntity, SharedRegistry


@pytest.fixture
def path(tmp_path):
    return tmp_path / "registry.db"


def python(code, *arguments, **options):
    """Runs code in an interpreter of its own, with `path` and `registry` at hand."""
    head = "import sys, time\nfrom sharing.registry import SharedRegistry\npath, *words = sys.argv[1:]\n"
    command = [sys.executable, "-c", head + code, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options)


def answer(process):
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    return out.split()


def filled(path, count=3):
    registry = SharedRegistry(path, home_id="villa")
    for number in range(count):
        registry.register(f"light.n{number}", shared=number % 2 == 0, area="hall", number=number)
    return registry.get_all()


def aside(path):
    return [found for found in path.parent.iterdir() if found.name.startswith(path.name + ".damaged-")]


# ---- restarts and many processes ----


def test_registry_is_there_again_in_the_next_process(path):
    before = filled(path)
    ids = answer(python("print(*SharedRegistry(path).get_all())", path))
    assert ids == list(before)
    assert SharedRegistry(path).get_all() == before


def test_processes_that_write_at_the_same_time_lose_nothing(path):
    code = """
registry = SharedRegistry(path)
registry.register("light.common", shared=True) if words[0] == "0" else None
while registry.get("light.common") is None: time.sleep(0.01)
for number in range(40):
    registry.register(f"light.w{words[0]}_{number}", shared=True, number=number)
    registry.share_with("light.common", f"home {words[0]} {number}")
"""
    for process in [python(code, path, worker) for worker in range(4)]:
        answer(process)
    registry = SharedRegistry(path)
    assert len(registry) == 161
    assert len(registry.get_shared_with("light.common")) == 160


def test_what_another_process_writes_is_heard_by_whoever_only_listens(path):
    registry, registered, updated = SharedRegistry(path), threading.Event(), threading.Event()
    registry.register_callback(
        on_registered=lambda entity: registered.set(),
        on_updated=lambda entity_id, entity, old: updated.set() if entity.shared and not old.shared else None,
    )
    answer(python('SharedRegistry(path).register("light.hall")', path))
    assert registered.wait(10)
    answer(python('SharedRegistry(path).update("light.hall", shared=True)', path))
    assert updated.wait(10)


def test_what_another_process_writes_is_seen_at_once(path):
    registry = SharedRegistry(path)
    writer = python(
        """
registry = SharedRegistry(path)
for number in range(20):
    registry.register("light.hall", number=number)
    print(number, flush=True)
    sys.stdin.readline()
""",
        path,
        stdin=subprocess.PIPE,
    )
    for number in range(20):
        assert writer.stdout.readline().strip() == str(number)
        assert registry.get("light.hall").metadata == {"number": number}
        writer.stdin.write("next\n")
        writer.stdin.flush()
    writer.communicate()


def test_file_that_is_replaced_or_removed_is_what_holds(path, tmp_path):
    registry = SharedRegistry(path)
    registry.register("light.old")
    filled(tmp_path / "other.db", 2)
    answer(python("import os; os.replace(words[0], path)", path, tmp_path / "other.db"))
    for rest in ("-wal", "-shm"):  # whoever swaps a database takes these along
        (tmp_path / (path.name + rest)).unlink(missing_ok=True)
    assert list(registry.get_all()) == ["light.n0", "light.n1"]
    path.unlink()
    assert registry.get_all() == {}
    registry.register("light.new")
    assert list(SharedRegistry(path).get_all()) == ["light.new"]


def test_confirmed_changes_survive_kill_9_at_any_moment(path):
    code = """
registry = SharedRegistry(path)
for number in range(100_000):
    registry.register(f"light.r{words[0]}_{number}", shared=True)
    print(number, flush=True)
"""
    confirmed = []
    for attempt in range(15):
        process = python(code, path, attempt)
        process.stdout.readline()
        time.sleep(random.uniform(0, 0.05))
        process.send_signal(signal.SIGKILL)
        out, _ = process.communicate()
        # A last line that was cut short confirms nothing.
        confirmed += [
            f"light.r{attempt}_{line.strip()}"
            for line in ["0\n", *out.splitlines(True)]
            if line.endswith("\n")
        ]
        known = SharedRegistry(path).get_all()
        assert set(confirmed) <= set(known)
        assert aside(path) == []


# ---- damage ----


def garbage(file):
    file.write_bytes(b"{ this was never a database")


def cut(file):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def cut_to_a_page(file):
    file.write_bytes(file.read_bytes()[:4096])


def flip_a_letter(file):
    data = file.read_bytes()
    assert data.count(b'"hall"') > 0
    file.write_bytes(data.replace(b'"hall"', b'"hull"'))


def zero_the_middle(file):
    data = bytearray(file.read_bytes())
    data[4096:8192] = bytes(4096)
    file.write_bytes(data)


DAMAGE = [garbage, cut, cut_to_a_page, flip_a_letter, zero_the_middle]


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_file_is_put_aside_and_said(path, damage):
    answer(
        python('r = SharedRegistry(path)\nfor n in range(200): r.register(f"light.n{n}", area="hall")', path)
    )
    damage(path)
    damaged = path.read_bytes()
    with pytest.raises(StorageError, match="damaged") as raised:
        SharedRegistry(path)
    [kept] = aside(path)
    assert str(kept) in str(raised.value)
    assert kept.read_bytes() == damaged
    registry = SharedRegistry(path)
    assert registry.get_all() == {}
    registry.register("light.hall")
    assert list(SharedRegistry(path).get_all()) == ["light.hall"]


def test_file_that_is_damaged_while_it_is_open_is_put_aside_too(path):
    registry = SharedRegistry(path)
    registry.register("light.hall")
    garbage(path)
    with pytest.raises(StorageError, match="damaged"):
        SharedRegistry(path)
    assert len(aside(path)) >= 1
    with pytest.raises(StorageError, match="damaged"):
        registry.get_all()
    assert SharedRegistry(path).get_all() == {}


def test_damaged_file_that_is_moved_into_place_is_put_aside_too(path, tmp_path):
    registry = SharedRegistry(path)
    registry.register("light.hall")
    garbage(tmp_path / "other")
    (tmp_path / "other").rename(path)
    with pytest.raises(StorageError, match="damaged"):
        SharedRegistry(path)
    assert registry.get_all() == {}


def test_empty_file_is_an_empty_registry(path):
    path.touch()
    SharedRegistry(path).register("light.hall")
    assert list(SharedRegistry(path).get_all()) == ["light.hall"]


def test_newer_file_stays_as_it_is(path):
    answer(python('SharedRegistry(path).register("light.hall")', path))
    database = sqlite3.connect(path)
    database.execute("PRAGMA journal_mode = DELETE")
    database.execute("PRAGMA user_version = 99")
    database.commit()
    database.close()
    before = path.read_bytes()
    with pytest.raises(StorageError, match="newer"):
        SharedRegistry(path)
    assert path.read_bytes() == before
    assert [found.name for found in path.parent.iterdir()] == [path.name]


def test_file_of_another_program_stays_as_it_is(path):
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE cookies (id)")
    database.commit()
    database.close()
    before = path.read_bytes()
    with pytest.raises(StorageError, match="shared entities"):
        SharedRegistry(path)
    assert path.read_bytes() == before
    assert [found.name for found in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    "make", [lambda path: path.mkdir(), lambda path: path.symlink_to("/etc/hostname"), os.mkfifo]
)
def test_what_is_no_plain_file_is_refused(path, make):
    make(path)
    with pytest.raises(StorageError, match=r"plain file|written"):
        SharedRegistry(path)
    assert path.is_dir() or path.is_symlink() or path.is_fifo()


def row_sum(entity_id, body):
    told = len(entity_id).to_bytes(8, "big") + entity_id.encode()
    return hashlib.sha256(told + (b"\0" if body is None else b"\1" + body.encode())).digest()[:8]


def test_form_of_the_file_is_this_one(path):
    # Changed, it needs another version, and a way from this one.
    body = (
        '{"name":"Lamp","sharing":{"everyone":true,"with":["holiday"],"without":["annex"]},"home_id":"villa",'
        '"last_updated":"2026-11-24T12:00:00.000Z","last_updated_by":"villa","metadata":{"name":"Lamp","floor":1}}'
    )
    rows = [
        ("light.hall", 7, body, row_sum("light.hall", body)),
        ("light.gone", 8, None, row_sum("light.gone", None)),
    ]
    database = sqlite3.connect(path)
    database.execute(
        "CREATE TABLE kept (id TEXT PRIMARY KEY, number INTEGER NOT NULL, body TEXT, sum BLOB NOT NULL)"
        " STRICT, WITHOUT ROWID"
    )
    database.execute("CREATE UNIQUE INDEX kept_by_number ON kept (number)")
    database.executemany("INSERT INTO kept VALUES (?, ?, ?, ?)", rows)
    database.execute("PRAGMA application_id = 0x63687267")
    database.execute("PRAGMA user_version = 1")
    database.commit()
    database.close()
    registry = SharedRegistry(path, home_id="villa")
    [entity] = registry.get_all().values()
    assert entity == SharedEntity(
        entity_id="light.hall",
        name="Lamp",
        shared=True,
        last_updated="2026-11-24T12:00:00.000Z",
        last_updated_by="villa",
        shared_with=["holiday"],
        metadata={"name": "Lamp", "floor": 1},
        home_id="villa",
    )
    assert registry.stop_sharing_with("light.hall", "annex") is False
    registry.unregister("light.hall")
    registry.register("light.roof")
    del registry
    written = (
        sqlite3.connect(path).execute("SELECT id, number, body, sum FROM kept ORDER BY number").fetchall()
    )
    assert [row[:2] for row in written] == [("light.gone", 8), ("light.hall", 9), ("light.roof", 10)]
    assert all(row[3] == row_sum(row[0], row[2]) for row in written)
    assert list(json.loads(written[2][2])) == list(json.loads(body))


# ---- disks that do not take it ----


def test_folder_that_cannot_be_made_or_written_is_a_storage_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError):
        SharedRegistry(tmp_path / "file" / "registry.db")
    with pytest.raises(StorageError):
        SharedRegistry("/proc/nothing/registry.db")


def test_folder_without_the_right_to_write_is_a_storage_error(tmp_path):
    code = """
import os
from sharing import StorageError
os.chmod(os.path.dirname(path), 0o555)
if os.geteuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
try:
    SharedRegistry(path)
except StorageError as error:
    print("cannot be written" in str(error) or "Permission" in str(error))
"""
    folder = tmp_path / "folder"
    folder.mkdir()
    for parent in folder.parents:
        if parent.owner() == folder.owner() and str(parent) not in ("/", "/tmp"):
            parent.chmod(parent.stat().st_mode | 0o111)
    assert answer(python(code, folder / "registry.db")) == ["True"]
    assert list(folder.iterdir()) == []


def test_full_disk_confirms_nothing_and_loses_nothing(path):
    # A limit to the length of files stands in for a disk that is full.
    code = """
import resource
from sharing import StorageError
registry, confirmed = SharedRegistry(path), []
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
try:
    for number in range(100_000):
        registry.register(f"light.n{number}", note="x" * 1000)
        confirmed.append(f"light.n{number}")
except StorageError:
    full = True
assert full and confirmed and sorted(registry.get_all()) == sorted(confirmed)
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
registry.register("light.after")
print(len(confirmed))
"""
    [count] = answer(python(code, path))
    assert len(SharedRegistry(path)) == int(count) + 1


# ---- forks, and the end ----


def test_fork_leaves_both_processes_a_whole_registry(path):
    code = """
import os, threading
registry, stop = SharedRegistry(path), threading.Event()
registry.register_callback(on_registered=lambda entity: None)
def write():
    number = 0
    while not stop.is_set():
        registry.register(f"light.thread_{number}")
        number += 1
threads = [threading.Thread(target=write) for _ in range(2)]
for thread in threads: thread.start()
children = []
for child in range(5):
    pid = os.fork()
    if pid == 0:
        for number in range(10): registry.register(f"light.child{child}_{number}")
        os._exit(0 if len([id for id in registry.get_all() if id.startswith(f"light.child{child}_")]) == 10 else 1)
    children.append(pid)
    registry.register(f"light.parent_{child}")
assert all(os.waitpid(pid, 0)[1] == 0 for pid in children)
stop.set()
for thread in threads: thread.join()
ids = registry.get_all()
assert all(f"light.child{child}_9" in ids and f"light.parent_{child}" in ids for child in range(5))
"""
    answer(python(code, path))
    assert (
        len([entity for entity in SharedRegistry(path).get_all() if entity.startswith("light.child")]) == 50
    )


def test_interpreter_ends_while_somebody_listens(path):
    code = """
registry = SharedRegistry(path)
registry.on_entity_updated(print)
registry.register("light.hall")
time.sleep(0.3)
print("end")
"""
    began = time.monotonic()
    assert answer(python(code, path)) == ["end"]
    assert time.monotonic() - began < 10
    assert [found.name for found in path.parent.iterdir()] == [path.name]


def test_registry_that_is_opened_again_and_again_keeps_no_descriptors(path):
    def open_files():
        return len(os.listdir("/proc/self/fd"))

    SharedRegistry(path).register("light.hall")
    before = open_files()
    for _ in range(50):
        registry = SharedRegistry(path)
        registry.on_entity_updated(lambda *_: None)
        registry.update("light.hall", area=str(random.random()))
        del registry
    assert open_files() <= before
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 50
