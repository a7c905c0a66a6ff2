/**
 * Markdown as elements. No HTML string is ever made of what a model says: its text becomes
 * text nodes, so that nothing in it can run, load or lead anywhere. HTML is shown as it is
 * written, a link as its words and its address, an image as its words.
 */
import type { Token, Tokens } from "marked";
import type { ComponentChildren, VNode } from "preact";
import { Code } from "./Code";

/** Deeper nesting than people write is shown as plain text. */
const DEEPEST = 12;

export function Markdown({ tokens }: { tokens: Token[] }) {
  return <>{blocks(tokens, 0)}</>;
}

function blocks(tokens: Token[], depth: number): ComponentChildren {
  return tokens.map((token, at) => <Block key={at} token={token as Tokens.Generic} depth={depth} />);
}

function Block({ token, depth }: { token: Tokens.Generic; depth: number }): VNode | null {
  if (depth > DEEPEST) return <p>{token.raw}</p>;
  switch (token.type) {
    case "space":
    case "def":
      return null;
    case "heading": {
      // The page's own headings are not to be mixed with those of a transcript.
      return <p class={`md-heading level-${token["depth"] as number}`}>{inline(token.tokens, depth)}</p>;
    }
    case "paragraph":
      return <p>{inline(token.tokens, depth)}</p>;
    case "code":
      return <Code text={token["text"] as string} language={(token["lang"] as string | undefined) ?? ""} />;
    case "blockquote":
      return <blockquote>{blocks(token.tokens ?? [], depth + 1)}</blockquote>;
    case "hr":
      return <hr />;
    case "list":
      return <List token={token as Tokens.List} depth={depth} />;
    case "table":
      return <Table token={token as Tokens.Table} depth={depth} />;
    case "text":
      return token.tokens ? <>{inline(token.tokens, depth)}</> : <>{token["text"]}</>;
    default:
      return <p>{token.raw}</p>;
  }
}

function List({ token, depth }: { token: Tokens.List; depth: number }) {
  const items = token.items.map((item, at) => (
    <li key={at}>
      {item.task && <span aria-label={item.checked ? "done" : "to do"}>{item.checked ? "☑ " : "☐ "}</span>}
      {blocks(item.tokens.filter((inner) => inner.type !== "checkbox"), depth + 1)}
    </li>
  ));
  return token.ordered ? <ol start={Number(token.start) || 1}>{items}</ol> : <ul>{items}</ul>;
}

function Table({ token, depth }: { token: Tokens.Table; depth: number }) {
  return (
    <div class="md-table" tabIndex={0} role="group" aria-label="Table">
      <table>
        <thead>
          <tr>
            {token.header.map((cell, at) => (
              <th key={at}>{inline(cell.tokens, depth)}</th>
            ))}
          </tr>
        </thead>
        <tbody>
          {token.rows.map((row, at) => (
            <tr key={at}>
              {row.map((cell, column) => (
                <td key={column}>{inline(cell.tokens, depth)}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function inline(tokens: Token[] | undefined, depth: number): ComponentChildren {
  if (!tokens) return null;
  return tokens.map((token, at) => <Inline key={at} token={token as Tokens.Generic} depth={depth + 1} />);
}

function Inline({ token, depth }: { token: Tokens.Generic; depth: number }): VNode {
  if (depth > DEEPEST) return <>{token.raw}</>;
  switch (token.type) {
    case "strong":
      return <strong>{inline(token.tokens, depth)}</strong>;
    case "em":
      return <em>{inline(token.tokens, depth)}</em>;
    case "del":
      return <s>{inline(token.tokens, depth)}</s>;
    case "codespan":
      return <code>{token["text"]}</code>;
    case "br":
      return <br />;
    case "link":
      return token["text"] === token["href"] ? (
        <span class="md-address">{token["href"]}</span>
      ) : (
        <>
          {inline(token.tokens, depth)} <span class="md-address">({token["href"]})</span>
        </>
      );
    case "image":
      return <span class="md-address">[image “{token["text"]}”: {token["href"]}]</span>;
    case "escape":
      return <>{token["text"]}</>;
    case "text":
      return token.tokens ? <>{inline(token.tokens, depth)}</> : <>{token["text"]}</>;
    default:
      return <>{token.raw}</>;
  }
}
