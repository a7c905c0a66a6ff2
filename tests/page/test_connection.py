"""Nothing is lost by a reload, a cut line, a restarted gateway or a deleted run."""

import contextlib
import json
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from aideator_gateway.scripted_model.script import Text
from aideator_gateway.scripted_model.server import Script, ScriptedModel
from tests.page.conftest import Open
from tests.support.forked import serving

pytestmark = pytest.mark.browser

WORDS = [f"w{number} " for number in range(400)]
SAID = "".join(WORDS).split()


def flags(model: ScriptedModel) -> tuple[str, ...]:
    return ("--backend", "local", "--allow-file", "--base-url", model.base_url)


def said(page: Page) -> list[str]:
    """Return what the column has said, each word once and in order."""
    found = page.get_by_role("log").inner_text().split()
    return [word for word in found if word.startswith("w") and word[1:].isdigit()]


def wait_for_words(page: Page, least: int) -> None:
    page.wait_for_function(
        "least => (document.querySelector('[role=log]')?.innerText.match(/w\\d+/g) ?? [])"
        ".length >= least",
        arg=least,
    )


@contextlib.contextmanager
def cutting(url: str, seconds: float) -> Iterator[str]:
    """Forward to ``url``, and cut every connection after ``seconds``."""
    target = urlsplit(url)
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.1)
    stopping = threading.Event()

    def forward(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for side in (source, sink):
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)

    def serve(client: socket.socket) -> None:
        with client, socket.create_connection((target.hostname or "", target.port or 0)) as server:
            back = threading.Thread(target=forward, args=(server, client), daemon=True)
            there = threading.Thread(target=forward, args=(client, server), daemon=True)
            back.start()
            there.start()
            back.join(seconds)
            for side in (client, server):
                with contextlib.suppress(OSError):
                    side.shutdown(socket.SHUT_RDWR)
            back.join()
            there.join()

    def accept() -> None:
        while not stopping.is_set():
            with contextlib.suppress(TimeoutError):
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        stopping.set()
        thread.join()
        listener.close()


def test_a_reload_and_a_line_that_is_cut_lose_nothing(
    visit: Open, shared_repository: Path, tmp_path: Path
) -> None:
    player = Script({1: [[Text(WORDS, pace=0.02)]]})
    with (
        ScriptedModel(player) as model,
        serving(tmp_path / "data", *flags(model), AIDEATOR_API_KEY="key") as gateway,
        cutting(gateway.url, 2) as url,
    ):
        run_id = gateway.create(github_url=shared_repository.as_uri(), variations=1)
        tab = visit(url, f"/#/runs/{run_id}/live")
        streams: list[str | None] = []
        tab.page.on(
            "request",
            lambda request: (
                streams.append(request.headers.get("last-event-id"))
                if request.url.endswith("/stream")
                else None
            ),
        )
        wait_for_words(tab.page, 20)
        tab.page.reload()
        wait_for_words(tab.page, 20)
        # It is shown for a quarter of a second at a time, so look at every frame.
        tab.page.wait_for_function("() => document.body.innerText.includes('nothing is lost')")
        gateway.finish(run_id)
        expect(tab.page.get_by_role("log")).to_contain_text("Finished.")
        assert said(tab.page) == SAID
        # It came back more than once, each time from where it was.
        places = [int(place) for place in streams if place]
        assert len(places) >= 2
        assert places == sorted(places)


def test_a_gateway_that_restarts_is_found_again(
    visit: Open, shared_repository: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    player = Script({1: [[Text(WORDS, pace=0.05)]]})
    with ScriptedModel(player) as model:
        with serving(data, *flags(model), AIDEATOR_API_KEY="key") as gateway:
            run_id = gateway.create(github_url=shared_repository.as_uri(), variations=1)
            tab = visit(gateway.url, f"/#/runs/{run_id}/live")
            wait_for_words(tab.page, 30)
            port = str(urlsplit(gateway.url).port)
            gateway.stop(signal.SIGKILL)
            expect(tab.page.get_by_text("nothing is lost")).to_be_visible()
            before = said(tab.page)
        with serving(data, *flags(model), "--port", port, AIDEATOR_API_KEY="key") as gateway:
            expect(tab.page.get_by_text("interrupted").first).to_be_visible()
            events = [json.loads(event.data) for event in gateway.stream(run_id)]
            kept = "".join(e["content"] for e in events if e.get("type") == "agent_output").split()
            tab.page.get_by_role("link", name="Transcripts").click()
            expect(tab.page.get_by_role("log")).to_contain_text(kept[-1])
            assert said(tab.page) == kept
            assert kept[: len(before)] == before


def test_a_run_that_is_deleted_says_so(
    visit: Open, shared_repository: Path, tmp_path: Path
) -> None:
    player = Script({1: [[Text(WORDS, pace=0.05)]]})
    with (
        ScriptedModel(player) as model,
        serving(tmp_path / "data", *flags(model), AIDEATOR_API_KEY="key") as gateway,
    ):
        run_id = gateway.create(github_url=shared_repository.as_uri(), variations=1)
        tab = visit(gateway.url, f"/#/runs/{run_id}/live")
        wait_for_words(tab.page, 5)
        tab.page.get_by_role("button", name="Cancel run").click()
        expect(tab.page.get_by_role("link", name="Transcripts")).to_be_visible()
        deadline = time.monotonic() + 30
        while gateway.http.delete(f"/runs/{run_id}").status_code != 204:
            assert time.monotonic() < deadline
        tab.page.reload()
        alert = tab.page.get_by_role("alert").filter(has_text="There is no such run")
        expect(alert).to_be_visible()
        tab.clean()
