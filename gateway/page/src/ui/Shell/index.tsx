/** What every view has around it: the bar, the token's question, the list of keys. */
import { useEffect, useState } from "preact/hooks";
import { token, tokenWanted } from "../../api/token";
import { go, route } from "../../router";
import { loadReadiness, readiness } from "../../server";
import { List } from "../../views/List";
import { announcement } from "../announce";
import { AskToken } from "../AskToken";
import { Boundary } from "../Boundary";
import { Complaint } from "../Complaint";
import { Dialog } from "../Dialog";
import { lazy } from "../Lazy";
import { active, enabled, setEnabled, useShortcuts } from "../shortcuts";
import { theme, type Theme } from "../theme";
import "./style.css";

const NewRun = lazy(() => import("../../views/NewRun"));
const Experiments = lazy(() => import("../../views/Experiments"));
const ExperimentReport = lazy<{ name: string }>(() => import("../../views/Experiments/Report"));
const Judge = lazy<{ name: string }>(() => import("../../views/Judge"));
const Run = lazy<{ id: string; rest: string[] }>(() => import("../../views/Run"));

export function App() {
  const [help, setHelp] = useState(false);
  const asked = tokenWanted.value;
  // It changes: an engine goes away, a day's cap is reached, a gateway is started anew.
  useEffect(() => {
    void loadReadiness();
  }, [token.value, route.value[0]]);
  useShortcuts("Anywhere", [
    { keys: ["?"], what: "Show these keys", run: () => setHelp(true) },
    { keys: ["n"], what: "Start a new run", run: () => go("/new") },
    { keys: ["l"], what: "List of runs", run: () => go("/") },
    { keys: ["e"], what: "Experiments", run: () => go("/experiments") },
  ]);
  return (
    <>
      <a class="skip" href="#content" onClick={skip}>
        To the content
      </a>
      <header class="bar">
        <a class="brand" href="#/">
          <img src="/page/icon.svg" alt="" width="20" height="20" /> AIdeator
        </a>
        <Where />
        <nav aria-label="Page" class="row">
          <a class="button primary" href="#/new">
            New run
          </a>
          <ThemeChoice />
          <button class="quiet" aria-label="Keyboard shortcuts" onClick={() => setHelp(true)}>
            ?
          </button>
        </nav>
      </header>
      <main id="content" tabIndex={-1}>
        {/* With another token everything is asked for again. */}
        {asked ? (
          <AskToken />
        ) : (
          <Boundary key={route.value.slice(0, 2).join("/")}>
            <View key={token.value} />
          </Boundary>
        )}
      </main>
      <p class="hidden" role="status" aria-live="polite">
        {announcement}
      </p>
      <Complaint />
      {help && <Help onClose={() => setHelp(false)} />}
    </>
  );
}

function skip(event: Event): void {
  event.preventDefault();
  document.getElementById("content")?.focus();
}

function View() {
  const [first, second, ...rest] = route.value;
  useEffect(() => {
    if (first === undefined) document.title = "AIdeator";
  }, [first]);
  if (first === "new") return <NewRun />;
  if (first === "experiments" && second && rest[0] === "judge") return <Judge key={second} name={second} />;
  if (first === "experiments" && second) return <ExperimentReport key={second} name={second} />;
  if (first === "experiments") return <Experiments />;
  if (first === "runs" && second) return <Run key={second} id={second} rest={rest} />;
  return <List />;
}

/** Says where agents work, and when their model is none. */
function Where() {
  const state = readiness.value;
  if (!state) return <span class="grow" />;
  const where = state.isolation && state.isolation !== state.backend ? `${state.backend}, ${state.isolation}` : state.backend;
  return (
    <p class="where grow cut" title={state.reason}>
      {!state.ready && <strong class="bad">Not ready: {state.reason} </strong>}
      {state.scripted ? (
        <strong class="warn">Scripted demo, not an LLM</strong>
      ) : (
        <span>{state.model}</span>
      )}{" "}
      <span class="soft">· agents run in: {where}</span>
    </p>
  );
}

const THEMES: Theme[] = ["system", "light", "dark"];

function ThemeChoice() {
  return (
    <select
      class="theme"
      aria-label="Colours"
      value={theme.value}
      onChange={(event) => {
        theme.value = event.currentTarget.value as Theme;
      }}
    >
      {THEMES.map((name) => (
        <option key={name} value={name}>
          {name[0]?.toUpperCase() + name.slice(1)}
        </option>
      ))}
    </select>
  );
}

function Help({ onClose }: { onClose(): void }) {
  return (
    <Dialog title="Keyboard shortcuts" onClose={onClose}>
      {active.value.map((group) => (
        <section key={group.name}>
          <h3>{group.name}</h3>
          <dl class="keys">
            {group.shortcuts.map((shortcut) => (
              <div key={shortcut.what}>
                <dt>
                  {(shortcut.shown?.split(" ") ?? shortcut.keys).map((key) => (
                    <kbd key={key}>{key === " " ? "Space" : key}</kbd>
                  ))}
                </dt>
                <dd>{shortcut.what}</dd>
              </div>
            ))}
          </dl>
        </section>
      ))}
      <label class="row">
        <input
          type="checkbox"
          checked={enabled.value}
          onChange={(event) => setEnabled(event.currentTarget.checked)}
        />
        Use keys of one letter
      </label>
      <p class="dialog-actions">
        <button onClick={onClose}>Close</button>
      </p>
    </Dialog>
  );
}
