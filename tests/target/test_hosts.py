"""Hosts as testinfra resolves them: told apart, sent to another process, refused."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest
import testinfra
import testinfra.backend

from pytest_bgcheck.errors import WrongUse
from pytest_bgcheck.target import hosts
from pytest_bgcheck.target.address import TargetAddress
from pytest_bgcheck.wire import Reader, plain


def ref(spec: str, **settings: object) -> hosts.HostRef:
    return hosts.host_ref(testinfra.get_host(spec, **settings))


@pytest.mark.parametrize(
    "spec",
    ["local://", "ssh://me@web1:2222", "docker://c?sudo=true", "chroot:///mnt", "podman://p"],
)
def test_a_host_that_was_sent_to_another_process_is_the_same(spec: str) -> None:
    address = hosts.address_of(ref(spec), sudo=True, sudo_user=None)
    reader: Reader[TargetAddress] = Reader(TargetAddress)
    assert reader.read(plain(address)) == address
    sent = hosts.host_at(address)
    assert sent == ref(spec)
    assert (sent.label, sent.name, sent.key) == (ref(spec).label, ref(spec).name, ref(spec).key)


def test_hosts_that_differ_in_a_setting_are_two() -> None:
    specs = ["ssh://web1", "ssh://web2", "ssh://me@web1", "ssh://web1:2222", "ssh://web1?sudo=true"]
    assert len({ref(spec) for spec in specs}) == len({ref(spec).name for spec in specs}) == 5


def test_hosts_with_one_label_are_told_apart_by_what_they_differ_in() -> None:
    labels = hosts.Labels()
    assert labels.of(ref("ssh://web1")) == "ssh://web1"
    assert labels.of(ref("ssh://me:secret@web1:2222")) == "ssh://web1 (user=me, port=2222)"
    assert labels.of(ref("ssh://web1")) == "ssh://web1"
    assert labels.of(ref("local://", sudo=True)) == "local"
    assert labels.of(ref("local://", sudo=True, sudo_user="db")) == "local (sudo_user=db)"
    assert labels.of(ref("ssh://web2?sudo=true")) == "ssh://web2"


def test_a_name_has_no_path_in_it(tmp_path: Path) -> None:
    """It is the same wherever the suite lies."""
    configs = [tmp_path / "a", tmp_path / "b"]
    for config in configs:
        config.touch()
    one, other = (ref("ssh://web1", ssh_config=str(config)) for config in configs)
    assert one.name == other.name
    assert one != other


def test_a_host_that_no_shell_is_on_is_refused(request: pytest.FixtureRequest) -> None:
    with pytest.raises(WrongUse, match="winrm is not supported"):
        hosts.resolve(["winrm://w"], request.config)


@pytest.mark.parametrize("given", ["web1", None, 3])
def test_what_is_no_host_of_testinfras_is_refused(given: object) -> None:
    with pytest.raises(WrongUse, match=f"a hostspec or a testinfra Host, not {given!r}"):
        hosts.host_ref(given)


def test_a_spec_of_several_hosts_or_none_pins_nothing(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ansible")
    inventory = tmp_path / "inventory"
    inventory.write_text("[web]\nweb1\nweb2\n[none]\n")
    monkeypatch.setattr(request.config.option, "ansible_inventory", str(inventory))
    message = r"must stand for one host, not for 2 \(ansible://web1, ansible://web2\)"
    with pytest.raises(WrongUse, match=message):
        hosts.pinned("ansible://web", request.config)


def test_a_spec_that_testinfra_cannot_read_is_refused_with_its_words(
    request: pytest.FixtureRequest,
) -> None:
    with pytest.raises(WrongUse, match=r"testinfra cannot make a host of odd://x: .*odd"):
        hosts.resolve(["odd://x"], request.config)


def test_a_thread_that_names_a_host_while_another_does_gets_it_too(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, other_is_back, get_backends = Event(), Event(), testinfra.backend.get_backends

    def slow(*args: object, **kwargs: object) -> object:
        begun.set()
        other_is_back.wait(0.2)  # in vain, if it waits for this one
        return get_backends(*args, **kwargs)

    monkeypatch.setattr(testinfra.backend, "get_backends", slow)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(hosts.resolve, ["ssh://named-twice"], request.config)
        assert begun.wait(60)
        second = hosts.resolve(["ssh://named-twice"], request.config)
        other_is_back.set()
        assert len(second) == len(first.result()) == 1
