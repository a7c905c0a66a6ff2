/** What a tool call was about, in few words. Tools that are not known are named as they are. */
import type { ToolItem } from "../../../run/items";
import { visible } from "../../../text/visible";

const VERBS: Record<string, string> = { str_replace: "edit", list_files: "list", search_text: "search" };

type Input = Record<string, unknown>;

const inputOf = (input: unknown): Input => (typeof input === "object" && input !== null ? (input as Input) : {});

/** A tool of several commands is known by the command. */
export function headline({ name, input }: Pick<ToolItem, "name" | "input">): string {
  const command = inputOf(input)["command"];
  const word = typeof command === "string" && /^[a-z_]{1,30}$/.test(command) ? command : name;
  return VERBS[word] ?? visible(word);
}

export const lines = (text: string): number => (text === "" ? 0 : text.split("\n").length - (text.endsWith("\n") ? 1 : 0));

/** How many lines an edit puts in and takes out; null for what is no edit. */
export function edited(input: unknown): { added: number; removed: number } | null {
  const { command, old_str, new_str, file_text, insert_text } = inputOf(input);
  const size = (value: unknown): number => (typeof value === "string" ? lines(value) : 0);
  switch (command) {
    case "str_replace":
      return { added: size(new_str), removed: size(old_str) };
    case "create":
      return { added: size(file_text), removed: 0 };
    case "insert":
      return { added: size(insert_text ?? new_str), removed: 0 };
    default:
      return null;
  }
}

const LONGEST = 160;

/** What a call was about: the folder of a path, which may be cut where room is short, and the rest. */
export function gist(input: unknown): [folder: string, rest: string] {
  if (typeof input === "string") return ["", visible(input.slice(0, LONGEST))];
  const { command, path, ...others } = inputOf(input);
  const plain = (value: unknown): value is string => typeof value === "string" && value.length < LONGEST && !value.includes("\n");
  // An edit is told by its file; what it puts there is below.
  const words = edited(input) ? [] : Object.values(others).filter(plain).slice(0, 2);
  if (!plain(path)) return ["", visible(words.join(" ").slice(0, LONGEST))];
  const name = path.lastIndexOf("/", path.length - 2) + 1;
  return [visible(path.slice(0, name)), visible([path.slice(name), ...words].join(" ").slice(0, LONGEST))];
}
