"""``bikecollect simulate``: errors before a city is served."""

import socket

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
