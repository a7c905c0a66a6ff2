/** What of JSON Schema the API's description uses, read into what a form needs. */

export interface Schema {
  $ref?: string;
  type?: string;
  title?: string;
  description?: string;
  default?: unknown;
  enum?: unknown[];
  const?: unknown;
  examples?: unknown[];
  anyOf?: Schema[];
  oneOf?: Schema[];
  items?: Schema;
  properties?: Record<string, Schema>;
  required?: string[];
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  minItems?: number;
  maxItems?: number;
  readOnly?: boolean;
}

export type FieldKind = "line" | "text" | "number" | "choice" | "switch" | "group" | "list" | "json";

export interface Field {
  name: string;
  label: string;
  kind: FieldKind;
  description: string;
  required: boolean;
  placeholder: string;
  whole: boolean;
  schema: Schema;
  /** Of a group. */
  fields: Field[];
  /** Of a list. */
  item: Field | null;
  choices: string[];
}

interface Operation {
  requestBody?: { content?: Record<string, { schema?: Schema }> };
}

type Definitions = Record<string, Schema>;

/** Text up to this length fits on a line. */
const LINE = 300;
const MANY_LINES = /prompt|instructions|text|setup|notes/;

export class Schemas {
  private readonly definitions: Definitions;

  constructor(private readonly document: Record<string, unknown>) {
    const components = (document["components"] ?? {}) as { schemas?: Definitions };
    this.definitions = components.schemas ?? {};
  }

  /** Return the fields of what is posted to a path. */
  fields(path: string): Field[] {
    const paths = (this.document["paths"] ?? {}) as Record<string, { post?: Operation }>;
    const schema = paths[path]?.post?.requestBody?.content?.["application/json"]?.schema;
    return this.group(this.resolve(schema ?? {}));
  }

  private group(schema: Schema): Field[] {
    const required = new Set(schema.required ?? []);
    return Object.entries(schema.properties ?? {})
      .filter(([, property]) => !property.readOnly)
      .map(([name, property]) => this.field(name, property, required.has(name)));
  }

  private resolve(schema: Schema): Schema {
    if (!schema.$ref) return schema;
    const found = this.definitions[schema.$ref.split("/").at(-1) ?? ""] ?? {};
    const { $ref: _, ...beside } = schema;
    return { ...found, ...beside };
  }

  private field(name: string, given: Schema, required: boolean): Field {
    let schema = this.resolve(given);
    const options = schema.anyOf ?? schema.oneOf;
    if (options) {
      const real = options.filter((option) => option.type !== "null").map((option) => this.resolve(option));
      // One real option beside null is an optional field; several are left to JSON.
      if (real.length === 1) schema = { ...real[0], ...strip(schema) };
    }
    const kind = kindOf(name, schema);
    return {
      name,
      kind,
      schema,
      required,
      label: words(name),
      description: inPageWords(schema.description ?? ""),
      placeholder: placeholder(schema),
      whole: schema.type === "integer",
      fields: kind === "group" ? this.group(schema) : [],
      item: kind === "list" && schema.items ? this.field(name, schema.items, true) : null,
      choices: (schema.enum ?? []).map(String),
    };
  }
}

function strip(schema: Schema): Schema {
  const { anyOf: _, oneOf: __, title: ___, ...rest } = schema;
  return rest;
}

function kindOf(name: string, schema: Schema): FieldKind {
  if (schema.enum) return "choice";
  switch (schema.type) {
    case "string":
      return MANY_LINES.test(name) || (schema.maxLength ?? 0) > 5000 ? "text" : "line";
    case "integer":
    case "number":
      return "number";
    case "boolean":
      return "switch";
    case "object":
      return schema.properties ? "group" : "json";
    case "array":
      return schema.items?.$ref || schema.items?.type === "object" ? "list" : "json";
    default:
      return "json";
  }
}

function placeholder(schema: Schema): string {
  if (schema.default !== undefined && schema.default !== null) return String(schema.default);
  const example = schema.examples?.[0];
  return typeof example === "string" && example.length < LINE ? example : "";
}

/** What the API calls a variation is an attempt to readers of the page. */
const inPageWords = (text: string): string => text.replace(/\bvariation(s?)\b/g, "attempt$1");

const WHOLE_WORDS: Record<string, string> = {
  github_url: "Repository",
  ref: "Branch, tag or commit",
  max_cost_usd: "Most cost of an attempt (US$)",
  max_run_cost_usd: "Most cost of the run (US$)",
};

export function words(name: string): string {
  const known = WHOLE_WORDS[name];
  if (known) return known;
  const text = name.replace(/_/g, " ");
  return (text[0] ?? "").toUpperCase() + text.slice(1);
}

export type Value = string | number | boolean | null | undefined | Value[] | { [name: string]: Value };

/** Return what was filled in, without what was left empty; text of numbers becomes numbers. */
export function collect(field: Field, value: Value): unknown {
  if (value === undefined || value === null || value === "") return undefined;
  switch (field.kind) {
    case "number": {
      const number = Number(value);
      // What is no number is sent as it is: the API says what is wrong with it.
      return Number.isNaN(number) ? value : number;
    }
    case "json":
      try {
        return JSON.parse(String(value));
      } catch {
        return value;
      }
    case "group":
      return collectAll(field.fields, value as Record<string, Value>);
    case "list": {
      const item = field.item;
      return item ? (value as Value[]).map((one) => collect(item, one) ?? {}) : value;
    }
    default:
      return value;
  }
}

export function collectAll(fields: Field[], values: Record<string, Value>): Record<string, unknown> | undefined {
  const found: Record<string, unknown> = {};
  for (const field of fields) {
    const value = collect(field, values[field.name]);
    if (value !== undefined) found[field.name] = value;
  }
  return Object.keys(found).length > 0 ? found : undefined;
}
