"""The HTTP gateway and the ``aideator`` command: one way in to AIdeator among three."""

import sys


def main() -> None:
    """Run the ``aideator`` command, or say what it lacks.

    The base install is what the Dagger module needs, and puts the command on PATH as well.
    """
    try:
        from aideator_gateway.command.cli import main as command  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in ("aideator", __name__):
            raise
        sys.exit(
            f"aideator: the command needs more than the base install (there is no {error.name}): "
            "pip install 'aideator[gateway]', or uv tool install 'aideator[gateway]'."
        )
    command()
