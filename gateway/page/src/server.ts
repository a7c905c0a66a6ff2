/** What the server says about itself: where it runs agents, and with which model. */
import { signal } from "@preact/signals";
import { raw } from "./api/client";
import { authorization } from "./api/token";
import type { Readiness } from "./api/types";

export const readiness = signal<Readiness | null>(null);

export async function loadReadiness(): Promise<void> {
  try {
    // Not ready is an answer too (503), with the same body.
    const response = await fetch("/readyz", { headers: authorization() });
    if (response.status === 200 || response.status === 503) {
      const body = (await response.json()) as Partial<Readiness>;
      if (typeof body.backend === "string") readiness.value = body as Readiness;
    }
  } catch {
    // The list says that the server does not answer.
  }
}

/** The description of the API, which the form for a new run is made of. */
let description: Promise<Record<string, unknown>> | null = null;

export function apiDescription(): Promise<Record<string, unknown>> {
  description ??= raw("/openapi.json").then((response) => response.json());
  description.catch(() => {
    description = null;
  });
  return description;
}
