/**
 * What models and repositories say is shown, never obeyed: characters that move a cursor,
 * turn text around or hide it are shown by their names.
 */

// C0 without tab and newline, DEL and C1.
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/;
// Direction marks, embeddings, overrides and isolates; invisible spaces and joiners; tags.
const HIDDEN =
  /[\u00ad\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb]|\u{e0001}|[\u{e0020}-\u{e007f}]/u;
const EITHER = new RegExp(`${CONTROL.source}|${HIDDEN.source}`, "gu");
const ANY = new RegExp(`${CONTROL.source}|${HIDDEN.source}`, "u");

/** Return `text` with nothing in it that cannot be seen. */
export function visible(text: string): string {
  if (!ANY.test(text)) return text;
  return text.replace(/\r\n/g, "\n").replace(EITHER, name);
}

function name(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  // The block "Control Pictures" has a sign for each of the first 32.
  if (code < 32) return String.fromCharCode(0x2400 + code);
  if (code === 127) return "\u2421";
  return `\u27e8U+${code.toString(16).toUpperCase().padStart(4, "0")}\u27e9`;
}

/** Return the first line of `text`, at most `length` characters of it. */
export function firstLine(text: string, length = 200): string {
  const line = visible(text.trimStart().split("\n", 1)[0] ?? "");
  return line.length > length ? `${line.slice(0, length)}…` : line;
}

/** Texts of others as sentences, one after the other. */
export function sentences(...texts: (string | null | undefined)[]): string {
  return texts
    .map((text) => visible(text ?? "").trim())
    .filter(Boolean)
    .map((text) => (/[.!?…:]$/.test(text) ? text : `${text}.`))
    .join(" ");
}
