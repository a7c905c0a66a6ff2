/** A line of code: coloured, with what has changed in it marked, and of bounded length. */
import { useState } from "preact/hooks";
import { highlight, type Piece } from "../../../text/highlight";
import { count } from "../../../text/format";
import { visible } from "../../../text/visible";

const LONGEST = 1000;
const STEP = 20_000;

export function Text({ text, mate, language }: { text: string; mate: string | null; language: string }) {
  const [most, setMost] = useState(LONGEST);
  const cut = text.length > most;
  const shown = visible(cut ? text.slice(0, most) : text);
  const other = mate === null ? null : visible(mate.slice(0, most));
  const pieces = mark(highlight(shown, language), changed(shown, other));
  return (
    <span class="line-text">
      {pieces.map((piece, at) =>
        piece.marked ? (
          <mark key={at} class={piece.name}>
            {piece.text}
          </mark>
        ) : piece.name ? (
          <span key={at} class={piece.name}>
            {piece.text}
          </span>
        ) : (
          piece.text
        ),
      )}
      {cut && (
        <button class="quiet more-text" onClick={() => setMost(most + STEP)}>
          … {count(text.length - most)} more characters
        </button>
      )}
    </span>
  );
}

/** Where `text` differs from the line it stands against; nothing if it is another line altogether. */
function changed(text: string, mate: string | null): [number, number] | null {
  if (mate === null || mate === text) return null;
  const least = Math.min(text.length, mate.length);
  let start = 0;
  while (start < least && text[start] === mate[start]) start++;
  let end = 0;
  while (end < least - start && text[text.length - 1 - end] === mate[mate.length - 1 - end]) end++;
  const alike = start + end;
  return alike * 3 < Math.max(text.length, mate.length) || start === text.length - end ? null : [start, text.length - end];
}

function mark(pieces: Piece[], range: [number, number] | null): (Piece & { marked: boolean })[] {
  if (!range) return pieces.map((piece) => ({ ...piece, marked: false }));
  const found: (Piece & { marked: boolean })[] = [];
  let at = 0;
  for (const piece of pieces) {
    const end = at + piece.text.length;
    const [from, to] = [Math.max(at, range[0]), Math.min(end, range[1])];
    const parts: [number, number, boolean][] = from < to ? [[at, from, false], [from, to, true], [to, end, false]] : [[at, end, false]];
    for (const [start, stop, marked] of parts)
      if (stop > start) found.push({ text: piece.text.slice(start - at, stop - at), name: piece.name, marked });
    at = end;
  }
  return found;
}
