/** What an attempt is called: what sets it apart from the others. */
import type { Variation } from "../../api/types";
import { visible } from "../../text/visible";

/** Words of its condition; none where it has no condition of its own. */
export function conditionWords(variation: Variation): string {
  const { label, style, provider, model, effort, temperature, instructions } = variation.condition;
  const words = [
    label, style !== label && style, provider, model, effort && `effort ${effort}`,
    temperature !== null && temperature !== undefined && `temperature ${temperature}`,
    !label && !style && instructions && `“${instructions.slice(0, 60)}”`,
  ].filter(Boolean);
  return visible(words.join(" · "));
}

export const nameOf = (variation: Variation): string => conditionWords(variation) || `Attempt ${variation.variation_id}`;

const LONGEST = 40;

/** The same as one of several to choose from. */
export function choiceOf(variation: Variation): string {
  const words = conditionWords(variation);
  const short = words.length > LONGEST ? `${words.slice(0, LONGEST)}…` : words;
  return short ? `attempt ${variation.variation_id} · ${short}` : `attempt ${variation.variation_id}`;
}
