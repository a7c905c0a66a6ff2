/** Calls of the API, typed by its own description; whatever goes wrong is a `Problem`. */
import createClient, { type Middleware } from "openapi-fetch";
import type { paths } from "./schema";
import { authorization, refuseToken } from "./token";
import type { ProblemDetails } from "./types";

export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    detail: string,
    readonly errors: { field: string; message: string }[] = [],
  ) {
    super(detail);
  }
}

const auth: Middleware = {
  onRequest({ request }) {
    for (const [name, value] of Object.entries(authorization())) request.headers.set(name, value);
    return request;
  },
  onResponse({ response }) {
    if (response.status === 401) refuseToken();
  },
  onError() {
    return new Problem(0, "unreachable", "The server does not answer. Is it running?");
  },
};

export const api = createClient<paths>({ baseUrl: location.origin });
api.use(auth);

/** Return the data of an answer, or throw its `Problem`. */
export async function ask<T>(
  answer: Promise<{ data?: T; error?: unknown; response: Response }>,
): Promise<T> {
  const { data, error, response } = await answer;
  if (response.ok) return data as T;
  throw toProblem(response.status, error);
}

export function toProblem(status: number, body: unknown): Problem {
  const given = (typeof body === "object" && body !== null ? body : {}) as Partial<ProblemDetails>;
  return new Problem(
    status,
    given.code ?? "unknown",
    given.detail ?? `The server answered ${status}.`,
    given.errors ?? [],
  );
}

/** Fetch something that is not JSON. */
export async function fetchBytes(path: string, signal?: AbortSignal): Promise<Uint8Array> {
  const response = await raw(path, signal ? { signal } : {});
  return new Uint8Array(await response.arrayBuffer());
}

/** Fetch a page of HTML, read but not shown: nothing in it runs, and nothing is loaded. */
export async function fetchPage(path: string): Promise<Document> {
  const found = await new Promise<Document | null>((resolve) => {
    const request = new XMLHttpRequest();
    request.open("GET", path);
    request.responseType = "document";
    for (const [name, value] of Object.entries(authorization())) request.setRequestHeader(name, value);
    request.onloadend = () => resolve(request.status === 200 ? request.responseXML : null);
    request.send();
  });
  if (found) return found;
  // What is wrong is said in JSON, which that does not read.
  await raw(path);
  throw new Problem(0, "unreadable", "The server's answer is no page.");
}

export async function raw(path: string, init: RequestInit = {}): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, { ...init, headers: { ...authorization(), ...init.headers } });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new Problem(0, "unreachable", "The server does not answer. Is it running?");
  }
  if (response.status === 401) refuseToken();
  if (!response.ok) throw toProblem(response.status, await response.json().catch(() => null));
  return response;
}

/** A key of one's own for `POST /runs`; `randomUUID` is not there on plain http. */
export function newKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) =>
    byte.toString(16).padStart(2, "0"),
  ).join("");
}
