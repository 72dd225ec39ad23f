"""``bikecollect simulate``: errors before a city is served."""

import socket

import pytest
from command import bikecollect


def test_a_port_in_use_is_named() -> None:
    """With the option that chooses another one."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = bikecollect("simulate", "--port", port)

    assert process.returncode == 78
    assert process.stderr == (
        f"bikecollect: cannot listen on port {port}: Address already in use; "
        "use another --port\n"
    )


@pytest.mark.parametrize(
    ("options", "name"),
    [
        (("simulate", "--port", -1), "--port"),
        (("simulate", "--port", 65_536), "--port"),
        (("simulate", "--stations", 0), "--stations"),
        (("demo", "--stations", 0), "--stations"),
        (("demo", "--stations", -3), "--stations"),
    ],
)
def test_a_number_out_of_range_is_refused(options: tuple[str, int], name: str) -> None:
    """A city has a station, and a port at most 16 bits."""
    process = bikecollect(*options)

    assert process.returncode == 64
    assert f"Invalid value for '{name}'" in process.stderr
