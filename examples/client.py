"""Start a run, follow it live, keep the smallest patch: a client in one file.

    aideator serve --demo --allow-file
    python examples/client.py file://$PWD "Improve the README."

Needs httpx and httpx-sse.
"""

import json
import sys
import time

import httpx
from httpx_sse import connect_sse

URL = "http://127.0.0.1:8000"


def follow(http: httpx.Client, path: str):
    """Give every event of a stream; a cut connection is taken up behind the last one."""
    last = ""
    while True:
        try:
            headers = {"Last-Event-ID": last} if last else {}
            with connect_sse(http, "GET", path, headers=headers) as source:
                if source.response.status_code == 204:
                    return
                source.response.raise_for_status()
                for event in source.iter_sse():
                    last = event.id
                    yield event.event, json.loads(event.data)
                    if event.event == "end":
                        return
        except httpx.TransportError:
            time.sleep(1)


def main(repository: str, prompt: str, url: str = URL) -> None:
    """Run one prompt and print who said what, then the smallest patch."""
    with httpx.Client(base_url=url, timeout=60) as http:
        body = {"github_url": repository, "prompt": prompt, "variations": 3}
        answer = http.post("/runs", json=body)
        if answer.is_error:
            sys.exit(answer.json()["detail"])
        run_id, stream = answer.json()["run_id"], answer.json()["stream_url"]
        for name, data in follow(http, stream):
            if name == "message" and data["type"] == "agent_output":
                print(f"[{data['variation_id']}] {data['content']!r}")
            elif name in ("completion", "error"):
                print(f"[{data['variation_id']}] {data['status']}")
        run = http.get(f"/runs/{run_id}").json()
        completed = [v for v in run["variations"] if v["status"] == "completed"]
        if not completed:
            sys.exit(f"No variation completed: {run['message']}")
        winner = min(completed, key=lambda v: v["patch"]["bytes"])["variation_id"]
        http.post(f"/runs/{run_id}/select", json={"winning_variation_id": winner})
        print(f"variation {winner} wins:")
        print(http.get(f"/runs/{run_id}/variations/{winner}/patch").text)


if __name__ == "__main__":
    main(*sys.argv[1:])
