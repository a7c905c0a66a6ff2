"""A variation's own tree of files, and what it takes to see it."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_MOUNTED = """
(
    cd "$1" || exit
    [ ! -e "$2/work/incompat" ] || rm -rf "$2/work/incompat" || exit
    exec mount -n -t overlay -o "$3" overlay "$4"
) || exit
shift 4
exec "$@"
"""
"""Mounts an overlay, and becomes the command; paths in its options are relative to a directory,
so that none of them can have a character that means something there.

What may be in the way is the mark of an earlier volatile mount: the system asks that somebody
takes it off who knows that nothing was lost meanwhile. After a crash nobody comes to that.
"""


@dataclass(frozen=True)
class Tree:
    """A directory of its own, which everybody sees.

    Parameters
    ----------
    path
        Where it is.
    """

    path: Path

    @property
    def bubblewrap_options(self) -> list[str]:
        """What bubblewrap is told to show the tree, behind what it shows else."""
        return []

    def seen_by(self, argv: Sequence[str], *, as_itself: bool = True) -> list[str]:
        """Return a command that sees the tree.

        Parameters
        ----------
        as_itself
            Whether it has to have this process's user id, and not root's in a namespace; it
            does not where it gives itself one, as bubblewrap does.
        """
        del as_itself
        return list(argv)

    def moved_to(self, path: Path) -> "Tree":
        """Move it to another place on the same file system.

        Raises
        ------
        OSError
            If it cannot be moved.
        """
        self.path.rename(path)
        return Tree(path)


@dataclass(frozen=True)
class OverlayTree(Tree):
    """A commit's files with a layer over them that takes all changes.

    It is there for those alone that are started to see it, in a namespace of mounts that goes
    when they do; the layer stays.

    Parameters
    ----------
    lower
        The commit's files, which are never changed.
    layer
        A directory with ``upper`` and ``work``.
    by_bubblewrap
        Whether bubblewrap mounts it, which then is what starts the command.
    """

    lower: Path
    layer: Path
    by_bubblewrap: bool

    @property
    def bubblewrap_options(self) -> list[str]:
        """What bubblewrap is told to show the tree, behind what it shows else."""
        if self.by_bubblewrap:
            return [
                "--overlay-src", str(self.lower),
                "--overlay", str(self.layer / "upper"), str(self.layer / "work"), str(self.path),
            ]  # fmt: skip
        if _is_root():
            return []
        # Around it the user is root, and sees all files as root's.
        return ["--uid", str(os.geteuid()), "--gid", str(os.getegid())]

    def seen_by(self, argv: Sequence[str], *, as_itself: bool = True) -> list[str]:
        """Return a command that sees the tree."""
        if self.by_bubblewrap:
            return list(argv)
        root = Path(os.path.commonpath([self.lower, self.layer]))
        layers = {
            "lowerdir": self.lower,
            "upperdir": self.layer / "upper",
            "workdir": self.layer / "work",
        }
        options = [f"{name}={path.relative_to(root)}" for name, path in layers.items()]
        # Else the whole file system would be written to disk each time that one is unmounted.
        options.append("volatile")
        # Root's can rename a directory of the commit, and change a file's owner without a copy.
        options += ["redirect_dir=on", "metacopy=on"] if _is_root() else ["userxattr"]
        command = list(argv)
        if as_itself and not _is_root():
            ids = (f"--map-user={os.geteuid()}", f"--map-group={os.getegid()}")
            command = ["unshare", "--user", *ids, "--", *command]
        namespaces = ["--mount"] if _is_root() else ["--user", "--map-root-user", "--mount"]
        return [
            "unshare", *namespaces, "--",
            "sh", "-c", _MOUNTED, "sh",
            str(root), str(layers["workdir"].relative_to(root)), ",".join(options), str(self.path),
            *command,
        ]  # fmt: skip

    def moved_to(self, path: Path) -> "OverlayTree":
        """Have it seen at another place; its layers stay where they are."""
        path.mkdir()
        return OverlayTree(path, self.lower, self.layer, self.by_bubblewrap)


def _is_root() -> bool:
    return os.geteuid() == 0
