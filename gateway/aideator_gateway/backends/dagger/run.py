"""One run in the Dagger module: a query, the events that come live, and what they leave open."""

import asyncio
import logging
from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from aideator.protocol import EndEvent, ErrorCode
from aideator_gateway.backends.broker.host import BrokerHost
from aideator_gateway.backends.commits.commits import Commits, Kept
from aideator_gateway.backends.dagger.feed import Feed
from aideator_gateway.backends.dagger.query import Answer, Id, explain, run_query
from aideator_gateway.backends.dagger.session import DaggerSession, EngineLostError, QueryError
from aideator_gateway.backends.dagger.trees import Trees
from aideator_gateway.backends.redirects import settled
from aideator_gateway.runs.backend import BackendError, RunSpec, Sink
from aideator_gateway.waiting import unless

logger = logging.getLogger(__name__)

LATE_SECONDS = 1.5
"""How long events may still be on their way once the query has answered."""

SPARE_SECONDS = 1800.0
"""What fetching and set-up may take beside the time of agents and checks."""

ISOLATION = "dagger"


class DaggerRun:
    """Carries out one run.

    Parameters
    ----------
    session
        Where; the module is served there.
    access
        Arguments of the module's object: how agents reach the broker.
    broker
        Opened to each of the run's variations until that has ended.
    commits
        What the run works on if its repository is on this machine.
    trees
        Commits' files that the engine has in this session.
    spec
        What is to be done.
    sink
        Where it is told how it goes.
    directory
        An empty directory of the run's own, for what is fetched and what comes back.
    hosts
        Hosts that the repository's own one may redirect to.
    """

    def __init__(
        self,
        session: DaggerSession,
        access: dict[str, Any],
        broker: BrokerHost,
        commits: Commits,
        trees: Trees,
        *,
        spec: RunSpec,
        sink: Sink,
        directory: Path,
        hosts: Collection[str],
    ) -> None:
        self._session = session
        self._access = access
        self._broker = broker
        self._commits = commits
        self._trees = trees
        self._kept: Kept | None = None
        self._spec = spec
        self._sink = sink
        self._directory = directory
        self._hosts = hosts
        self._prepared = False

    async def follow(self, feed: Feed, stop: asyncio.Event) -> None:
        """Carry the run out, and deliver what ``feed`` is given meanwhile.

        The query's answer comes some seconds after the agents have ended, while the engine keeps
        what they made. It is waited for only if it can say something more.

        Raises
        ------
        BackendError
            If the run as a whole could not be carried out, or the engine went away.
        """
        work = asyncio.create_task(self._carry_out(feed, stop))
        work.add_done_callback(lambda _: feed.close())
        open_ends = set(self._spec.variation_ids)
        try:
            async for event, line in feed:
                if isinstance(event, EndEvent):
                    self._broker.revoke(self._spec.run_id, event.variation)
                    open_ends.discard(event.variation)
                await self._sink.event(event, line)
                if not open_ends and self._spec.check is None and self._prepared:
                    return
        finally:
            work.cancel()
            await asyncio.wait([work])
            for number in feed.running:
                self._broker.revoke(self._spec.run_id, number)
            self._broker.forget(self._spec.run_id)
            if self._kept is not None:
                self._kept.release()
        if answer := work.result():
            for number in sorted(feed.running):
                await self._sink.failed(number, answer.failure(number))
            for number, check in answer.checks().items():
                await self._sink.checked(number, check)

    async def _carry_out(self, feed: Feed, stop: asyncio.Event) -> Answer | None:
        answer = await unless(stop, self._ask())
        if answer is None:
            return None
        await feed.wait_ended(LATE_SECONDS)
        if feed.running:
            await self._fill(feed, answer)
            feed.skip_gaps()
        return answer

    async def _ask(self) -> Answer:
        """Ask the module; cancelling it stops the containers."""
        seconds = self._spec.max_seconds + SPARE_SECONDS
        if self._spec.check is not None:
            seconds += self._spec.check_seconds
        early = None
        try:
            async with asyncio.timeout(seconds):
                source = await self._source()
                spec = self._spec
                if source is None:
                    # The engine's git follows redirects and cannot be told not to.
                    spec = replace(spec, url=await settled(spec.url, self._hosts))
                    early = asyncio.create_task(self._tell_commit(spec))
                text, variables = run_query(spec, self._access, await self._run_key(), source)
                answer = Answer.of(await self._session.query(text, variables))
        except TimeoutError:
            raise BackendError(
                ErrorCode.TIMED_OUT, f"The engine did not finish the run within {seconds:.0f} s."
            ) from None
        except QueryError as error:
            # A client whose engine is gone may put it in the words of a query's error.
            raise explain(error) if await self._session.alive() else _lost(error) from None
        except EngineLostError as error:
            raise _lost(error) from None
        finally:
            if early is not None:
                early.cancel()
                await asyncio.wait([early])
        if answer.commit:
            await self._tell(answer.commit)
        return answer

    async def _run_key(self) -> Id:
        """Hand the engine what makes tokens for this run, and for no other."""
        query = """query runKey($name: String!, $key: String!) {
            setSecret(name: $name, plaintext: $key) { id }
        }"""
        if self._broker.problem is not None:
            text = f"No model can be asked: {self._broker.problem}."
            raise BackendError(ErrorCode.CONNECTION_FAILED, text)
        run_id = self._spec.run_id
        key = self._broker.run_secret(run_id)
        data = await self._session.query(query, {"name": f"aideator-{run_id}", "key": key})
        return Id(data["setSecret"]["id"])

    async def _source(self) -> Id | None:
        """Fetch a repository of this machine, which the engine cannot see."""
        if not self._spec.url.startswith("file:"):
            return None
        kept = self._kept = await self._commits.take(self._spec.url, self._spec.ref)
        await self._tell(kept.commit)
        return await self._trees.of(kept)

    async def _tell_commit(self, spec: RunSpec) -> None:
        """Tell the commit while the module is still at work; its answer has the last word."""
        text = """query commit($url: String!, $ref: String!) {
            git(url: $url) { ref(name: $ref) { commit } }
        }"""
        asked = {"url": spec.url, "ref": spec.ref or "HEAD"}
        # What is wrong with the repository is for the module to say.
        with suppress(QueryError, EngineLostError):
            data = await self._session.query(text, asked)
            await self._tell(data["git"]["ref"]["commit"])

    async def _tell(self, commit: str) -> None:
        await self._sink.prepared(commit=commit, isolation=ISOLATION, copies=None)
        self._prepared = True

    async def _fill(self, feed: Feed, answer: Answer) -> None:
        """Take what did not come live from the transcripts, which leave the engine as bytes."""
        logger.info("run %s: events are missing; the transcripts are read", self._spec.run_id)
        results = self._directory / "results"
        text = """query transcripts($id: ID!, $path: String!) {
            node(id: $id) { ... on AideatorRun { results { export(path: $path) } } }
        }"""
        try:
            await self._session.query(text, {"id": answer.id, "path": str(results)})
        except (QueryError, EngineLostError) as error:
            logger.warning("run %s: no transcripts: %s", self._spec.run_id, error)
        for number in sorted(feed.running):
            await feed.fill(number, results / f"variation-{number}" / "transcript.jsonl")


def _lost(error: Exception) -> BackendError:
    return BackendError(
        ErrorCode.ENGINE_LOST, f"The Dagger engine went away during the run: {error}."
    )
