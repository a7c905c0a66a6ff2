/**
 * Starts a run. Its fields and their descriptions are the API's own, read from
 * `/openapi.json`: a field that the API gains appears here by itself.
 */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { api, ask, newKey, Problem } from "../../api/client";
import type { NewRun as Body } from "../../api/types";
import { go } from "../../router";
import { apiDescription, readiness } from "../../server";
import { visible } from "../../text/visible";
import { announce } from "../../ui/announce";
import { Number } from "../../ui/Status";
import { idOf, Input } from "./Input";
import { offersOf, withProblemOf, type Offers } from "./offers";
import { collectAll, Schemas, type Field, type Value } from "./schema";
import "./style.css";

const DRAFT = "aideator.draft";
/** Shown first, in this order; whatever else the API takes follows. */
const FIRST = ["github_url", "ref", "prompt"];

type Values = Record<string, Value>;

function draft(): Values {
  try {
    return JSON.parse(sessionStorage.getItem(DRAFT) ?? "{}") as Values;
  } catch {
    return {};
  }
}

export default function NewRun() {
  const [fields, setFields] = useState<Field[] | null>(null);
  const [values, setValues] = useState<Values>(draft);
  const [errors, setErrors] = useState<ReadonlyMap<string, string>>(new Map());
  const [problem, setProblem] = useState<string | null>(null);
  const [sending, setSending] = useState(false);
  /** A request that is sent again after a broken connection is the same run. */
  const key = useRef<{ body: string; key: string } | null>(null);

  useEffect(() => {
    document.title = "New run · AIdeator";
    apiDescription().then(
      (document) => setFields(new Schemas(document).fields("/runs")),
      (error: unknown) => setProblem(error instanceof Error ? error.message : String(error)),
    );
  }, []);
  const offers = useMemo(() => offersOf(readiness.value), [readiness.value]);
  useEffect(() => sessionStorage.setItem(DRAFT, JSON.stringify(values)), [values]);

  const sorted = useMemo(() => {
    const named = (name: string): Field | undefined => fields?.find((field) => field.name === name);
    return {
      first: FIRST.map(named).filter((field) => field !== undefined),
      variations: named("variations"),
      conditions: named("conditions"),
      rest: fields?.filter((field) => ![...FIRST, "variations", "conditions"].includes(field.name)) ?? [],
    };
  }, [fields]);

  if (!fields) return problem ? <p class="notice bad page-problem" role="alert">{problem}</p> : <p class="empty">Loading …</p>;

  const most = sorted.variations?.schema.maximum ?? 5;
  const standard = typeof sorted.variations?.schema.default === "number" ? sorted.variations.schema.default : 3;
  const count = Math.min(most, Math.max(1, globalThis.Number(values["variations"] ?? standard) || standard));
  const conditions = Array.isArray(values["conditions"]) ? values["conditions"] : [];
  const set = (name: string, value: Value): void => {
    setValues((before) => ({ ...before, [name]: value }));
    if (errors.has(name)) setErrors(new Map([...errors].filter(([field]) => field !== name)));
  };

  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (sending) return;
    const given = collectAll(fields, { ...values, variations: count, conditions: conditions.slice(0, count) }) ?? {};
    // Without anything that sets attempts apart, none is described.
    const list = (given["conditions"] ?? []) as object[];
    if (list.some((one) => Object.keys(one).length > 0))
      given["conditions"] = Array.from({ length: count }, (_, at) => list[at] ?? {});
    else delete given["conditions"];
    const body = JSON.stringify(given);
    if (key.current?.body !== body) key.current = { body, key: newKey() };
    setSending(true);
    setProblem(null);
    setErrors(new Map());
    try {
      const created = await ask(
        api.POST("/runs", { body: given as Body, params: { header: { "Idempotency-Key": key.current.key } } }),
      );
      sessionStorage.removeItem(DRAFT);
      announce("The run has started.");
      go(`/runs/${created.run_id}`);
    } catch (error) {
      setSending(false);
      if (!(error instanceof Problem)) throw error;
      setErrors(new Map(error.errors.map((one) => [one.field, one.message])));
      setProblem(error.errors.length > 0 ? null : error.message);
      if (error.errors.length > 0) announce(`Not started. ${error.message}`);
    }
  };

  const unplaced = [...errors].filter(([path]) => !known(fields, path, count));

  return (
    <form class="new-run" onSubmit={(event) => void submit(event)} noValidate>
      <h1>New run</h1>
      <FocusFirst errors={errors} />
      <div class="fields">
        {sorted.first.map((field) => (
          <Input key={field.name} field={field} path={field.name} value={values[field.name]} errors={errors} onChange={(value) => set(field.name, value)} />
        ))}
      </div>
      <fieldset class="attempts">
        <legend>Attempts</legend>
        <div class="row" role="group" aria-label="Number of attempts">
          {Array.from({ length: most }, (_, at) => at + 1).map((number) => (
            <button
              key={number}
              type="button"
              id={number === count ? idOf("variations") : undefined}
              aria-pressed={number === count}
              onClick={() => set("variations", number)}
            >
              {number}
            </button>
          ))}
          <span class="soft">{sorted.variations?.description}</span>
        </div>
        {errors.get("variations") && <p class="bad error">{errors.get("variations")}</p>}
        {sorted.conditions?.item && (
          <>
            <p class="soft">
              {sorted.conditions.description} Left empty, all attempts are alike.
            </p>
            {errors.get("conditions") && <p class="bad error">{errors.get("conditions")}</p>}
            <div class="conditions">
              {Array.from({ length: count }, (_, at) => (
                <ConditionForm
                  key={at}
                  at={at}
                  fields={sorted.conditions?.item?.fields ?? []}
                  values={(conditions[at] ?? {}) as Values}
                  errors={errors}
                  offers={offers}
                  onChange={(value) => {
                    const list = Array.from({ length: Math.max(count, conditions.length) }, (_, other) => conditions[other] ?? {});
                    list[at] = value;
                    set("conditions", list);
                  }}
                />
              ))}
            </div>
          </>
        )}
      </fieldset>
      <div class="fields">
        {sorted.rest.map((field) => (
          <Input key={field.name} field={field} path={field.name} value={values[field.name]} errors={errors} offers={offers} onChange={(value) => set(field.name, value)} />
        ))}
      </div>
      {(problem || unplaced.length > 0) && <Refusal text={problem ?? unplaced.map(([path, message]) => `${path}: ${message}`).join(" ")} />}
      <p class="row">
        <button class="primary" type="submit" disabled={sending}>
          {sending ? "Starting …" : count === 1 ? "Start one attempt" : `Start ${count} attempts`}
        </button>
        <a class="button quiet" href="#/">
          Cancel
        </a>
      </p>
    </form>
  );
}

/** Why nothing was started, brought into sight from wherever it was sent. */
function Refusal({ text }: { text: string }) {
  const element = useRef<HTMLParagraphElement>(null);
  useEffect(() => element.current?.scrollIntoView({ block: "nearest" }), [text]);
  return (
    <p ref={element} class="notice bad" role="alert">
      {text}
    </p>
  );
}

/** Shown at once; the others are under “More”. */
const FEW = ["label", "style", "provider", "model", "instructions"];

/** A choice of one is none: it stands back, but is there. */
const shownAtOnce = (name: string, offers: Offers): boolean =>
  FEW.includes(name) && (name !== "provider" || (offers[name]?.choices?.length ?? 0) > 0);

function ConditionForm(props: {
  at: number;
  fields: Field[];
  values: Values;
  errors: ReadonlyMap<string, string>;
  offers: Offers;
  onChange(values: Values): void;
}) {
  const { at, fields, values, errors, onChange } = props;
  const offers = withProblemOf(values["provider"], props.offers);
  const path = `conditions.${at}`;
  const inputs = (some: Field[], compact: boolean) =>
    some.map((field) => (
      <Input key={field.name} field={field} path={`${path}.${field.name}`} value={values[field.name]} errors={errors} offers={offers} compact={compact} onChange={(value) => onChange({ ...values, [field.name]: value })} />
    ));
  const few = FEW.flatMap((name) => fields.filter((field) => field.name === name && shownAtOnce(name, offers)));
  const more = fields.filter((field) => !few.includes(field));
  const wrong = more.some((field) => [...errors.keys()].some((name) => name.startsWith(`${path}.${field.name}`)));
  const filled = more.filter((field) => values[field.name] !== undefined && values[field.name] !== "").length;
  return (
    <section class="condition" aria-label={`Attempt ${at + 1}`}>
      <h2 class="cut">
        <Number id={at + 1} /> {visible(String(values["label"] ?? ""))}
      </h2>
      {errors.get(path) && <p class="bad error">{errors.get(path)}</p>}
      {inputs(few, true)}
      <details open={wrong || undefined}>
        <summary>
          More{filled > 0 && <span class="soft"> · {filled} set</span>}
        </summary>
        {inputs(more, false)}
      </details>
    </section>
  );
}

/** Move the focus to the first field that is wrong, once it is drawn and unfolded. */
function FocusFirst({ errors }: { errors: ReadonlyMap<string, string> }) {
  useEffect(() => {
    if (errors.size === 0) return;
    for (const element of document.querySelectorAll<HTMLElement>(".new-run [id^='field-']"))
      if ([...errors.keys()].some((path) => idOf(path) === element.id)) {
        element.focus();
        return;
      }
  }, [errors]);
  return null;
}

/** Whether the form has a place for an error at `path`. */
function known(fields: Field[], path: string, count: number): boolean {
  const [name, ...rest] = path.split(".");
  const field = fields.find((one) => one.name === name);
  if (!field) return false;
  if (rest.length === 0) return true;
  if (field.kind === "group") return known(field.fields, rest.join("."), count);
  if (field.kind === "list" && field.item)
    return globalThis.Number(rest[0]) < count && (rest.length === 1 || known(field.item.fields, rest.slice(1).join("."), count));
  return false;
}
