"""Arguments that several functions take, described once."""

from typing import Annotated

from dagger import Directory, Doc, Secret

Label = Annotated[str | None, Doc("A short name to tell the variation by.")]
Model = Annotated[str | None, Doc("Model id, if not the one all others use.")]
Instructions = Annotated[str | None, Doc("Text added to the agent's system prompt.")]
Temperature = Annotated[
    float | None, Doc("Sampling temperature, 0 to 1, for models that take one.")
]
Effort = Annotated[
    str | None, Doc("low, medium, high, xhigh or max, for models that take an effort.")
]
ThinkingTokens = Annotated[
    int | None, Doc("Thinking budget, at least 1024 tokens, for models that take one.")
]
Style = Annotated[
    str | None,
    Doc("smallest, thorough or test-first; for a style of your own give instructions."),
]
Provider = Annotated[
    str | None,
    Doc("Model server to ask, by the name that with-provider gave it; else the default."),
]
ApiKey = Annotated[Secret | None, Doc("API key, such as env://ANTHROPIC_API_KEY.")]
AuthToken = Annotated[
    Secret | None, Doc("Bearer token, for servers that take one in place of a key.")
]
MaxConcurrent = Annotated[
    int | None, Doc("Requests that the model server is sent at once; else any number.")
]
OwnTurns = Annotated[int | None, Doc("Requests that may be answered, in place of the run's.")]
OwnTokens = Annotated[int | None, Doc("Tokens of all turns together, in place of the run's.")]
OwnSeconds = Annotated[float | None, Doc("Wall time, in place of the run's.")]
OwnCost = Annotated[
    float | None, Doc("US dollars, in place of the run's; its even share of all holds still.")
]

Source = Annotated[
    Directory,
    Doc("The repository's files. What its .gitignore names is left out, unless keep-ignored."),
]
OptionalSource = Annotated[
    Directory | None,
    Doc("The repository's files, in place of repo; what its .gitignore names is left out."),
]
KeepIgnored = Annotated[
    bool, Doc("Take all files of source, also those that its .gitignore names.")
]
Ref = Annotated[str | None, Doc("Branch, tag or full commit id; else the default branch.")]
Token = Annotated[Secret | None, Doc("Access token, for a private repository.")]
Prompt = Annotated[str, Doc("What the agent is to do.")]
RunId = Annotated[
    str | None,
    Doc("Letters, digits, - and _. Another run id runs anew; a random one if left out."),
]
RunKey = Annotated[
    Secret | None,
    Doc(
        "For programs that have a broker, at base-url or model-service: the key of run-id, which "
        "signs the tokens that agents open it with. No broker is started then."
    ),
]
Providers = Annotated[
    str | None,
    Doc(
        "For programs that have a broker: what attempts must know of its other model servers, as "
        "JSON by name; conditions may name these."
    ),
]
AttemptNumber = Annotated[int, Doc("Counts the runs of one run id; another number runs anew.")]
Setup = Annotated[
    str | None,
    Doc(
        "Shell command that prepares the repository, such as 'pip install -e .': run once, as "
        "root and without the API key, before the variations start, and cached."
    ),
]
SetupSeconds = Annotated[int, Doc("Time after which set-up is stopped.")]
Check = Annotated[
    str | None,
    Doc(
        "Shell command to run on every result, such as 'pytest -q', without the API key. It "
        "decides nothing: its exit code and output are part of the result."
    ),
]
CheckImage = Annotated[
    str | None, Doc("Image to run the check in, if not the one that set-up prepared.")
]
CheckSeconds = Annotated[int, Doc("Time after which a check is stopped.")]
Events = Annotated[str, Doc("How agents print what they do: text for people, json for programs.")]
