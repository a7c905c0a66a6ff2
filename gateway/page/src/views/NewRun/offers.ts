/** What the server says it has, offered in the fields that name it. */
import type { Readiness } from "../../api/types";
import { sentences } from "../../text/visible";

export interface Choice {
  name: string;
  /** Why it cannot be used now. */
  problem: string | null;
}

export interface Offer {
  /** To choose from; without any, the field is free text. */
  choices?: Choice[];
  /** What leaving it empty means. */
  standard?: string;
  warning?: string;
}

/** By the names of fields. */
export type Offers = Partial<Record<string, Offer>>;

export function offersOf(ready: Readiness | null): Offers {
  if (!ready) return {};
  const providers = Object.entries(ready.providers);
  const usable = (names: string[]): Choice[] => names.map((name) => ({ name, problem: null }));
  return {
    ...(ready.styles.length > 0 && { style: { choices: usable(ready.styles), standard: "none" } }),
    ...(providers.length > 0 && {
      provider: {
        choices: providers.filter(([name]) => name !== "default").map(([name, problem]) => ({ name, problem })),
        standard: "default",
      },
    }),
    model: { standard: ready.model },
    ...(!ready.checks && { check: { warning: "This server runs no checks now, and refuses a run that has one." } }),
  };
}

/** Say of the provider that was chosen why it cannot be asked. */
export function withProblemOf(provider: unknown, offers: Offers): Offers {
  const offer = offers["provider"];
  const problem = offer?.choices?.find((choice) => choice.name === provider)?.problem;
  // The model of the server's default is not another server's.
  const { model: _, ...others } = offers;
  const fitting = provider ? others : offers;
  return problem && offer ? { ...fitting, provider: { ...offer, warning: sentences(`It cannot be asked: ${problem}`) } } : fitting;
}
