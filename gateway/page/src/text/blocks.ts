/**
 * Cuts growing Markdown into blocks that do not change any more and one that does.
 *
 * A token that arrives can only change the last block, so only that is read again. A block is
 * kept small as well (a code block of a megabyte becomes many), so that what one token costs
 * is bounded and a list of blocks can be windowed.
 */
import { lexer, type Token } from "marked";

export const MAX_BLOCK = 6000;

export interface Block {
  /** Unique within its text and never used again. */
  key: number;
  source: string;
  /** Read when it is first shown. */
  tokens: Token[] | null;
}

const FENCE = /^ {0,3}(`{3,}|~{3,})[^\n`]*\n/;

export class Blocks {
  readonly closed: Block[] = [];
  private tail = "";
  private next = 0;
  private open: Block | null = null;

  append(text: string): void {
    this.tail += text;
  }

  /** Return all blocks, the last of which may still grow. */
  all(): readonly Block[] {
    this.cut();
    if (this.tail === "") return this.closed;
    if (this.open?.source !== this.tail)
      this.open = { key: this.next, source: this.tail, tokens: null };
    return [...this.closed, this.open];
  }

  private cut(): void {
    for (;;) {
      const length = this.firstBlock();
      if (length === 0) return;
      const source = this.tail.slice(0, length);
      this.tail = this.tail.slice(length);
      if (source.trim()) this.close(source);
    }
  }

  private close(source: string): void {
    this.closed.push({ key: this.next++, source, tokens: null });
  }

  /** Length of the first block if it is complete, else 0. */
  private firstBlock(): number {
    // Never look at more than one block can be, however much has arrived at once.
    const text = this.tail.slice(0, MAX_BLOCK + 1);
    const fence = FENCE.exec(text);
    if (fence) return this.fenced(text, fence[0], fence[1] ?? "```");
    if (text.length < 200 && FENCE.test(`${text}\n`)) return 0;
    // A blank line ends a block, unless what follows goes on with its list.
    const gap = /\n[ \t]*\n+(?=\S)/g;
    for (let found = gap.exec(text); found; found = gap.exec(text)) {
      const end = found.index + found[0].length;
      if (!goesOn(text, end)) return end;
    }
    const open = /\n {0,3}(`{3,}|~{3,})[^\n`]*\n/.exec(text);
    if (open && !LIST.test(text)) return open.index + 1;
    return text.length > MAX_BLOCK ? cutAt(text, MAX_BLOCK) : 0;
  }

  private fenced(text: string, head: string, mark: string): number {
    const end = new RegExp(`\\n {0,3}${mark[0]}{${mark.length},}[ \\t]*\\n`);
    const found = end.exec(text.slice(head.length - 1));
    if (found) return head.length - 1 + found.index + found[0].length;
    if (text.length <= MAX_BLOCK) return 0;
    const at = cutAt(text, MAX_BLOCK);
    if (at <= head.length) return at;
    // Close the fence here and open it again: one block of code shows as two that touch.
    this.close(`${text.slice(0, at).replace(/\n$/, "")}\n${mark}\n`);
    this.tail = head + this.tail.slice(at);
    return this.firstBlock();
  }
}

const LIST = /^\s*([-*+]|\d+[.)])\s/;

/** Whether what follows a gap still belongs to the list before it. */
function goesOn(text: string, at: number): boolean {
  if (!LIST.test(text)) return false;
  const next = text.slice(at, at + 12);
  // A marker without what follows it may be the next item's, or not: that is not known yet.
  return LIST.test(next) || /^([-*+]|\d+[.)]?)$/.test(next);
}

/** A place near `most` where a line or a word ends. */
function cutAt(text: string, most: number): number {
  const line = text.lastIndexOf("\n", most);
  if (line > most / 2) return line + 1;
  const word = text.lastIndexOf(" ", most);
  if (word > most / 2) return word + 1;
  // Not between the halves of one character.
  const code = text.charCodeAt(most - 1);
  return code >= 0xd800 && code <= 0xdbff ? most - 1 : most;
}

export function read(block: Block): Token[] {
  return (block.tokens ??= lexer(block.source, { gfm: true }));
}
