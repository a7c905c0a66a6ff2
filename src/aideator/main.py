"""Main object."""

import dataclasses
from typing import Annotated, Any, Self, cast

from dagger import Container, Directory, Doc, Secret, Service, function

from aideator import arguments as arg
from aideator.containers import (
    DEFAULT_IMAGE,
    SETUP_SECONDS,
    bench,
    command,
    prepared,
)
from aideator.errors import parsed, unusable, validated
from aideator.model_server import ModelServer, check_default, located, named
from aideator.plan import Plan, new_run_id
from aideator.protocol import (
    DEFAULT_MODEL,
    DEFAULT_PROVIDER,
    DEFAULT_RETRIES,
    DEFAULT_RUN_COST_USD,
    DEFAULT_SECONDS,
    DEFAULT_TURNS,
    DEFAULT_VARIATIONS,
    MAX_VARIATIONS,
    MODEL_HOST,
    Condition,
    EditorTool,
    KnownProviders,
    Limits,
    Task,
    VariationLimits,
    conditions_of,
    provider_problem,
    tasks_of,
)
from aideator.protocol.broker import ModelServer as Settings
from aideator.protocol.commands import CHECK_SECONDS
from aideator.repository import files, resolve
from aideator.run import Run, run_of
from aideator.sdk import dagger_object, once_a_session
from aideator.variation import Variation


@dagger_object
class Aideator:
    """Runs one prompt on one repository in N isolated attempts, to compare their patches."""

    api_key: arg.ApiKey = None
    auth_token: arg.AuthToken = None
    base_url: Annotated[
        str | None, Doc("Server that speaks the Messages API; else Anthropic's own.")
    ] = None
    model: Annotated[str, Doc("Model of all variations whose condition names none.")] = (
        DEFAULT_MODEL
    )
    model_service: Annotated[
        Service | None,
        Doc(
            "The same as a service, such as tcp://127.0.0.1:8080 for one on this machine; "
            f"its name is http://{MODEL_HOST}:PORT."
        ),
    ] = None
    base_image: Annotated[str, Doc("Image that agents run in: Python 3.11 or newer with pip.")] = (
        DEFAULT_IMAGE
    )
    editor_tool: Annotated[
        str, Doc("native is Anthropic's text editor tool; plain suits other servers.")
    ] = "native"
    max_concurrent: arg.MaxConcurrent = None

    conditions: list[str] = dataclasses.field(default_factory=list, init=False)
    limits: str = dataclasses.field(default="{}", init=False)
    fixed_shares: bool = dataclasses.field(default=False, init=False)
    providers: dict[str, ModelServer] = dataclasses.field(default_factory=dict, init=False)

    # The secret and the service that it refers to live as long as the session does.
    @once_a_session
    def with_provider(
        self,
        name: Annotated[str, Doc("What conditions call it.")],
        base_url: Annotated[
            str | None, Doc("Its address; else service, or the one that its kind has.")
        ] = None,
        service: Annotated[
            Service | None,
            Doc("It as a service, such as tcp://127.0.0.1:11434 for one on this machine."),
        ] = None,
        api_key: arg.ApiKey = None,
        auth_token: arg.AuthToken = None,
        kind: Annotated[
            str,
            Doc("anthropic is any server that speaks the Messages API; else bedrock or vertex."),
        ] = "anthropic",
        region: Annotated[str | None, Doc("Of Bedrock and Vertex.")] = None,
        project: Annotated[str | None, Doc("Of Vertex.")] = None,
        credentials: Annotated[
            Secret | None,
            Doc(
                "What a cloud knows you by: a file of AWS credentials, or the JSON of a Google "
                "service account, such as file://credentials.json."
            ),
        ] = None,
        editor_tool: Annotated[
            str, Doc("native is Anthropic's text editor tool; plain suits other servers.")
        ] = "native",
        prices: Annotated[
            str | None,
            Doc(
                "US dollars a million tokens by model, as JSON: "
                '{"my-model": {"input": 1, "output": 2, "cache_write": 0, "cache_read": 0}}.'
            ),
        ] = None,
        max_concurrent: arg.MaxConcurrent = None,
    ) -> Self:
        """Add a model server that conditions can name, beside the default one."""
        server = ModelServer(base_url, service, api_key, auth_token, credentials, editor_tool)
        self.providers[name] = named(
            name,
            self.providers,
            server,
            kind=kind,
            region=region,
            project=project,
            prices=prices,
            max_concurrent=max_concurrent,
        )
        return self

    # Always the same for the same arguments, so the default policy, which keeps it, will do.
    @function
    def with_condition(
        self,
        label: arg.Label = None,
        model: arg.Model = None,
        instructions: arg.Instructions = None,
        temperature: arg.Temperature = None,
        effort: arg.Effort = None,
        thinking_tokens: arg.ThinkingTokens = None,
        style: arg.Style = None,
        max_turns: arg.OwnTurns = None,
        max_tokens: arg.OwnTokens = None,
        max_seconds: arg.OwnSeconds = None,
        max_cost_usd: arg.OwnCost = None,
        provider: arg.Provider = None,
    ) -> Self:
        """Add a variation with conditions of its own; one call for each variation."""
        limits = validated(
            VariationLimits,
            max_turns=max_turns,
            max_tokens=max_tokens,
            max_seconds=max_seconds,
            max_cost_usd=max_cost_usd,
        )
        condition = validated(
            Condition,
            label=label,
            model=model,
            instructions=instructions,
            temperature=temperature,
            effort=effort,
            thinking_tokens=thinking_tokens,
            style=style,
            provider=provider,
            limits=None if limits == VariationLimits() else limits,
        )
        if len(self.conditions) == MAX_VARIATIONS:
            raise unusable("with_condition", f"a run has at most {MAX_VARIATIONS} variations.")
        self.conditions.append(condition.model_dump_json())
        return self

    # As for with_condition.
    @function
    def with_limits(
        self,
        max_turns: Annotated[
            int, Doc("Requests to the model that may be answered.")
        ] = DEFAULT_TURNS,
        max_tokens: Annotated[int | None, Doc("Tokens of all turns together.")] = None,
        max_seconds: Annotated[float, Doc("Wall time.")] = DEFAULT_SECONDS,
        max_cost_usd: Annotated[float | None, Doc("Cost of each variation in US dollars.")] = None,
        max_run_cost_usd: Annotated[
            float,
            Doc(
                "Cost of all variations in US dollars, shared evenly; what ended ones leave over, "
                "the others may use. 0 sets no cap."
            ),
        ] = DEFAULT_RUN_COST_USD,
        max_retries: Annotated[
            int, Doc("Repeats of one request to the model that failed in passing.")
        ] = DEFAULT_RETRIES,
        fixed_shares: Annotated[
            bool, Doc("Leave unused what ended variations left of their shares of the run's cost.")
        ] = False,
    ) -> Self:
        """Limit each variation. One that reaches a limit ends as completed, its patch kept."""
        limits = validated(
            Limits,
            max_turns=max_turns,
            max_tokens=max_tokens,
            max_seconds=max_seconds,
            max_cost_usd=max_cost_usd,
            max_run_cost_usd=max_run_cost_usd or None,
            max_retries=max_retries,
        )
        self.limits = limits.model_dump_json()
        self.fixed_shares = fixed_shares
        return self

    # A branch moves, so it is looked up anew in every session; the engine keeps a commit's
    # tree by the commit.
    @once_a_session
    async def clone(
        self,
        url: Annotated[str, Doc("https://host/owner/repository.")],
        ref: arg.Ref = None,
        token: arg.Token = None,
    ) -> Directory:
        """Return the files of one exact commit of a repository."""
        return (await resolve(url, ref, token, argument="url")).tree

    # The default policy would keep the container for days; what it is made of is cached.
    @once_a_session
    async def workspace(
        self,
        source: arg.Source,
        setup: arg.Setup = None,
        setup_seconds: arg.SetupSeconds = SETUP_SECONDS,
        keep_ignored: arg.KeepIgnored = False,
    ) -> Container:
        """Return the container that all variations of a repository share, with set-up done."""
        tree = await files(source, keep_ignored=keep_ignored)
        base = await prepared(self.base_image)
        return (await bench(base, tree, command("setup", setup, setup_seconds))).workspace

    # An agent must run anew in a new session, but once only for all fields that are read.
    @once_a_session
    async def agent(
        self,
        source: arg.Source,
        prompt: arg.Prompt,
        variation_id: Annotated[int, Doc("Its number in the run.")] = 1,
        run_id: arg.RunId = None,
        attempt: arg.AttemptNumber = 1,
        label: arg.Label = None,
        model: arg.Model = None,
        instructions: arg.Instructions = None,
        temperature: arg.Temperature = None,
        effort: arg.Effort = None,
        thinking_tokens: arg.ThinkingTokens = None,
        setup: arg.Setup = None,
        setup_seconds: arg.SetupSeconds = SETUP_SECONDS,
        check: arg.Check = None,
        check_image: arg.CheckImage = None,
        check_seconds: arg.CheckSeconds = CHECK_SECONDS,
        events: arg.Events = "text",
        keep_ignored: arg.KeepIgnored = False,
        style: arg.Style = None,
        run_key: arg.RunKey = None,
        provider: arg.Provider = None,
    ) -> Variation:
        """Run one agent on a directory."""
        condition = validated(
            Condition,
            label=label,
            model=model,
            instructions=instructions,
            temperature=temperature,
            effort=effort,
            thinking_tokens=thinking_tokens,
            style=style,
            provider=provider,
        )
        if variation_id < 1:
            raise unusable("variation_id", f"{variation_id} is below 1.")
        plan = await self._plan(
            [condition],
            run_id=run_id,
            run_key=run_key,
            attempt=attempt,
            events=events,
            setup=command("setup", setup, setup_seconds),
            check=command("check", check, check_seconds),
            check_image=check_image,
        )
        tasks = self._tasks(prompt, [condition], plan)
        async with plan.access() as access:
            tree = await files(source, keep_ignored=keep_ignored)
            return (await plan.carry_out(tree, tasks, access, first_id=variation_id))[0]

    # As for agent: never again within a session, always again in a new one.
    @once_a_session
    async def run_variations(
        self,
        prompt: arg.Prompt,
        repo: Annotated[str | None, Doc("https://host/owner/repository; or give source.")] = None,
        ref: arg.Ref = None,
        token: arg.Token = None,
        source: arg.OptionalSource = None,
        keep_ignored: arg.KeepIgnored = False,
        variations: Annotated[
            int | None,
            Doc(
                f"How many agents, 1 to {MAX_VARIATIONS}; as many as there are conditions, or "
                f"{DEFAULT_VARIATIONS} without any, if left out."
            ),
        ] = None,
        run_id: arg.RunId = None,
        attempt: arg.AttemptNumber = 1,
        setup: arg.Setup = None,
        setup_seconds: arg.SetupSeconds = SETUP_SECONDS,
        check: arg.Check = None,
        check_image: arg.CheckImage = None,
        check_seconds: arg.CheckSeconds = CHECK_SECONDS,
        events: arg.Events = "text",
        conditions: Annotated[
            list[str] | None,
            Doc("For programs: each condition as JSON, which saves a call of with-condition."),
        ] = None,
        limits: Annotated[
            str | None, Doc("For programs: the limits as JSON, which saves a call of with-limits.")
        ] = None,
        run_key: arg.RunKey = None,
        providers: arg.Providers = None,
    ) -> Run:
        """Run several agents on one commit at once; ask the result for its summary."""
        if (repo is None) == (source is None):
            raise unusable("repo", "give either repo, a URL, or source, a directory; one of them.")
        if source is not None and (ref or token):
            raise unusable("ref" if ref else "token", "it belongs to repo, and source was given.")
        if conditions is not None:
            self.conditions = conditions
        if limits is not None:
            self.limits = limits
        if providers is not None and run_key is None:
            raise unusable("providers", "they are those of a broker; give its run_key.")
        known = parsed(KnownProviders, "providers", providers) if providers else None
        wanted = self._conditions(variations)
        plan = await self._plan(
            wanted,
            known,
            run_id=run_id,
            run_key=run_key,
            attempt=attempt,
            events=events,
            setup=command("setup", setup, setup_seconds),
            check=command("check", check, check_seconds),
            check_image=check_image,
        )
        tasks = self._tasks(prompt, wanted, plan, known)
        async with plan.access() as access:
            if source is not None:
                commit, tree = None, await files(source, keep_ignored=keep_ignored)
            else:
                found = await resolve(cast("str", repo), ref, token)
                commit, tree = found.id, found.tree
            done = await plan.carry_out(tree, tasks, access)
        return run_of(plan.run_id, commit, prompt, done)

    async def _plan(
        self,
        conditions: list[Condition],
        known: KnownProviders | None = None,
        *,
        run_id: str | None,
        run_key: Secret | None,
        **given: Any,
    ) -> Plan:
        default = ModelServer(
            self.base_url, self.model_service, self.api_key, self.auth_token,
            editor_tool=self.editor_tool,
            settings=validated(Settings, max_concurrent=self.max_concurrent).model_dump_json(),
        )  # fmt: skip
        if run_key is not None and self.providers:
            problem = "the broker that it opens has servers of its own; leave out with-provider."
            raise unusable("run_key", problem)
        names = {condition.provider or DEFAULT_PROVIDER for condition in conditions}
        for name in names:
            unknown = provider_problem(name, known.root if known else self.providers)
            if unknown is not None:
                raise unusable("provider", f"{unknown} Add one by with-provider.")
        # Nothing is asked of a server that no condition names, and it needs no key.
        asked = {n: s for n, s in self.providers.items() if n in names}
        if run_key is not None or DEFAULT_PROVIDER in names:
            check_default(default, run_key=run_key, run_id=run_id)
            asked = {DEFAULT_PROVIDER: default, **asked}
        return Plan(
            run_id=run_id or new_run_id(),
            run_key=run_key,
            base_image=self.base_image,
            servers=await located(asked),
            limits=parsed(Limits, "limits", self.limits),
            fixed_shares=self.fixed_shares,
            **given,
        )

    def _tasks(
        self,
        prompt: str,
        conditions: list[Condition],
        plan: Plan,
        known: KnownProviders | None = None,
    ) -> tuple[Task, ...]:
        if not prompt.strip():
            raise unusable("prompt", "it is empty; say what the agents are to do.")
        own = {name: server.known for name, server in self.providers.items()}
        return tasks_of(
            prompt,
            conditions,
            plan.limits,
            model=self.model,
            base_url=plan.broker_url,
            editor_tool=cast("EditorTool", self.editor_tool),
            providers=known.root if known else own,
        )

    def _conditions(self, variations: int | None) -> list[Condition]:
        given = [parsed(Condition, "conditions", condition) for condition in self.conditions]
        try:
            return conditions_of(given, variations)
        except ValueError as error:
            raise unusable("variations", f"{error}.") from None
