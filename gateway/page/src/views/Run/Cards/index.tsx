/** A card per attempt: what tells them apart before any line of code is read. */
import { lexer } from "marked";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { hasEnded, type Run, type Variation } from "../../../api/types";
import { checkLabel, stopWords } from "../../../run/items";
import { cost, count, duration, plural, short, tokens } from "../../../text/format";
import { Markdown } from "../../../text/Markdown";
import { sentences, visible } from "../../../text/visible";
import { Number, Status } from "../../../ui/Status";
import { nameOf } from "../name";
import type { Found, Likes } from "../Results";
import { Long } from "../Transcript/Long";
import "../../../text/text.css";
import "./style.css";

interface Props {
  run: Run;
  found: Found[];
  likes: Likes;
  shown: number;
  against: number | null;
  onShow(id: number): void;
  onChoose(id: number): void;
}

export function Cards({ run, found, likes, shown, against, onShow, onChoose }: Props) {
  const list = useRef<HTMLUListElement>(null);
  // Where they do not fit side by side, the one that is shown is the one to see.
  useEffect(() => {
    const [box, card] = [list.current, list.current?.querySelector<HTMLElement>(".shown")];
    if (box && card) box.scrollTo({ left: card.offsetLeft - (box.clientWidth - card.offsetWidth) / 2 });
  }, [shown, against]);
  const most = Math.max(1, ...found.map(({ variation }) => (variation.patch?.insertions ?? 0) + (variation.patch?.deletions ?? 0)));
  return (
    <ul ref={list} class="cards" aria-label="Attempts">
      {found.map(({ variation }) => {
        const id = variation.variation_id;
        const chosen = run.winning_variation_id === id;
        const spent = cost([variation.usage], run);
        const classes = ["card", (id === shown || id === against) && "shown", chosen && "chosen-card"].filter(Boolean).join(" ");
        return (
          <li key={id} class={classes}>
            <p class="row card-title">
              <Number id={id} chosen={chosen} /> <strong class="grow card-name" title={nameOf(variation)}>{nameOf(variation)}</strong>
              {chosen && <span class="card-chosen">chosen</span>}
            </p>
            <Size variation={variation} most={most} />
            <p class="card-facts soft number">
              <span>{plural(variation.turns ?? 0, "turn")}</span>
              <span>{tokens(variation.usage) > 0 ? `${short(tokens(variation.usage))} tokens` : "no tokens"}</span>
              {spent && <span>{spent}</span>}
              {variation.seconds !== null && variation.seconds !== undefined && <span>{duration(variation.seconds)}</span>}
            </p>
            <Ending run={run} variation={variation} />
            <Check run={run} variation={variation} />
            <Same likes={likes.get(id)} />
            {variation.summary && <Summary text={variation.summary} />}
            <p class="row card-actions">
              <button aria-pressed={id === shown} disabled={!variation.patch} onClick={() => onShow(id)}>
                Look<span class="hidden"> at attempt {id}</span>
              </button>
              <button
                class={chosen || id !== shown ? "" : "primary"}
                disabled={variation.status !== "completed"}
                title={variation.status === "completed" ? undefined : "Only an attempt that has completed can be chosen."}
                onClick={() => onChoose(id)}
              >
                {chosen ? "Choose again" : "Choose"}
                <span class="hidden"> attempt {id}</span>
              </button>
            </p>
          </li>
        );
      })}
    </ul>
  );
}

/** Size of the patch in figures, and as a bar to compare at a glance. */
function Size({ variation, most }: { variation: Variation; most: number }) {
  const patch = variation.patch;
  const status = <Status status={variation.status} />;
  if (!patch || patch.files === 0)
    return (
      <p class="card-size">
        {status}
        {patch ? <span class="warn">changed nothing</span> : <span class="soft">{hasEnded(variation.status) ? "no patch" : "no patch yet"}</span>}
      </p>
    );
  const width = (lines: number): string => `${(100 * lines) / most}%`;
  return (
    <div>
      <p class="card-size">
        {status}
        <span class="number">
          <span class="good">+{count(patch.insertions)}</span> <span class="bad">−{count(patch.deletions)}</span>{" "}
          <span class="soft">in {plural(patch.files, "file")}</span>
        </span>
      </p>
      <div class="size-bar" aria-hidden="true">
        <span class="size-add" style={{ width: width(patch.insertions) }} />
        <span class="size-del" style={{ width: width(patch.deletions) }} />
      </div>
    </div>
  );
}

function Ending({ run, variation }: { run: Run; variation: Variation }) {
  if (variation.status === "completed")
    return variation.stop_reason && variation.stop_reason !== "end_turn" ? <p class="warn">{stopWords(variation.stop_reason)}</p> : null;
  // What ended all of them stands above all of them.
  if (!variation.message || variation.message === run.message) return null;
  return <p class="bad">{sentences(variation.message, variation.remedy)}</p>;
}

function Check({ run, variation }: { run: Run; variation: Variation }) {
  const check = variation.check;
  if (!check) {
    if (!run.check || hasEnded(run.status)) return null;
    return <p class="soft">{hasEnded(variation.status) ? "Check is running …" : "Check follows once it is done"}</p>;
  }
  const { text, mark, bad } = checkLabel(check);
  return (
    <details class="card-check">
      <summary class={check.passed ? "good" : bad ? "bad" : "soft"}>
        <span aria-hidden="true">{mark}</span> {text}
      </summary>
      <Long text={`$ ${check.command}\n${check.output}`} label={`Output of the check, attempt ${variation.variation_id}`} />
    </details>
  );
}

function Same({ likes }: { likes: Map<number, "equal" | "alike"> | undefined }) {
  if (!likes || likes.size === 0) return null;
  const list = (kind: string): string => [...likes].filter(([, like]) => like === kind).map(([id]) => id).join(" and ");
  return (
    <p class="same-patch">
      {list("equal") && `= the same patch as attempt ${list("equal")}, to the byte`}
      {list("alike") && ` = the same changes as attempt ${list("alike")}`}
    </p>
  );
}

function Summary({ text }: { text: string }) {
  const most = 1500;
  const tokens = useMemo(() => lexer(visible(text.slice(0, most)), { gfm: true }), [text]);
  return (
    <div class="card-summary prose" tabIndex={0} role="group" aria-label="What it says it did">
      <Markdown tokens={tokens} />
      {text.length > most && <p class="soft">… the transcript has all of it.</p>}
    </div>
  );
}
