"""The parts of the benchmarks that could make a figure wrong."""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
from benchmarks import meter
from benchmarks.line import Line
from benchmarks.record import Record
from benchmarks.table import as_markdown, number
from support.machines.machine import wait_until
from support.machines.planted import PlantedService, plant
from support.machines.processes import kill_tree

pytestmark = pytest.mark.once


@pytest.fixture
def echo_port() -> Iterator[int]:
    """Yield the port of a server that answers each byte with itself, to one client."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                while data := connection.recv(1 << 16):
                    connection.sendall(data)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(10)


def there_and_back(port: int, data: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        got = b""
        while part := client.recv(1 << 16):
            got += part
    assert got == data


def test_a_line_counts_each_byte_in_both_directions(echo_port: int) -> None:
    with Line(echo_port) as line:
        there_and_back(line.port, b"x" * 100_000)
        assert (line.sent, line.received) == (100_000, 100_000)
        assert len(line.connected) == 1


def test_a_line_takes_a_round_trip_to_connect_and_one_to_answer(echo_port: int) -> None:
    with Line(echo_port, round_trip_s=0.2) as line:
        begun = time.monotonic()
        there_and_back(line.port, b"x")
        assert time.monotonic() - begun >= 0.4


def test_a_line_starts_slowly(echo_port: int) -> None:
    with Line(echo_port, round_trip_s=0.2) as line:
        begun = time.monotonic()
        there_and_back(line.port, b"x" * 40_000)  # a second window of 29 kB is needed for it
        assert time.monotonic() - begun >= 0.6


def test_a_meter_counts_a_daemon_after_its_end() -> None:
    loop = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done"
    # In a subshell that ends at once: then the loop is an orphan, as a daemon is.
    server = f"(sh -c '{loop}' &); exec sleep 60"
    process = subprocess.Popen([sys.executable, meter.__file__, "sh", "-c", server])
    try:
        assert wait_until(lambda: meter.count(process.pid).cpu_s >= 0.05, 30)
        assert wait_until(lambda: meter.count(process.pid).processes == 1, 30)
        assert meter.count(process.pid).cpu_s >= 0.05
    finally:
        kill_tree(process.pid)
        process.wait()


def answer_of(service: PlantedService) -> str:
    try:
        with socket.create_connection(("127.0.0.1", service.port), 0.2) as client:
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return client.recv(100).decode().splitlines()[0]
    except OSError as error:
        return type(error).__name__


@pytest.mark.parametrize(
    ("silent", "answer"), [(False, "ConnectionRefusedError"), (True, "TimeoutError")]
)
def test_a_planted_outage_lasts_as_long_as_it_is_said_to(silent: bool, answer: str) -> None:
    told: list[tuple[float, float]] = []
    with PlantedService() as service:
        assert answer_of(service) == "HTTP/1.0 200 OK"
        thread = threading.Thread(
            target=lambda: told.append(plant(service.control_port, 2, silent))
        )
        thread.start()
        looks = []
        while thread.is_alive():
            looked = time.monotonic()
            looks.append((answer_of(service), looked, time.monotonic()))
            time.sleep(0.01)
        thread.join()
        assert answer_of(service) == "HTTP/1.0 200 OK"
    ((began, ended),) = told
    assert ended - began >= 2
    assert {said for said, start, end in looks if began < start and end < ended} == {answer}
    assert not any(said == answer for said, start, end in looks if end < began or ended < start)


def test_a_percentile_is_a_value_that_was_measured() -> None:
    series = Record().add("bench", "case", "us", "wall", "s", *range(1, 201))
    assert (series.percentile(50), series.percentile(99), series.percentile(100)) == (100, 198, 200)


def test_an_aim_that_was_missed_stands_in_the_table() -> None:
    record = Record()
    record.aim("bench", "under 1 s", "2 s", False)
    record.add("bench", "ssh", "us", "wall", "s", 1.5, 2.5, 2.0)
    text = as_markdown(record, {"CPUs": "2"}, {"bench": "The bench"})
    assert "| The bench | under 1 s | 2 s | **no** |" in text
    assert "| ssh | us | wall | 2.00 s | 1.50 to 2.50 | 3 |" in text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (1234.5, "1,234"), (12.34, "12.3"), (0.123, "0.12"), (0.01234, "0.012")],
)
def test_three_digits_count(value: float, text: str) -> None:
    assert number(value) == text
