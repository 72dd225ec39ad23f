"""Settings of systems whose feed does not answer: their data are already there."""

from pathlib import Path


def write_settings(path: Path, data: Path, *names: str) -> Path:
    """Write settings of the systems *names* in *data* to *path*; return it."""
    tables = "".join(
        f'[systems.{name}]\nfeed = "gbfs"\nurl = "http://127.0.0.1:1/gbfs.json"\n'
        'timezone = "Asia/Taipei"\n'
        for name in names
    )
    path.write_text(f'data_dir = "{data}"\n{tables}', encoding="utf-8")
    path.chmod(0o600)
    return path
