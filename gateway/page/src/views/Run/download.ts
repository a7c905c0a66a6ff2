/** Saves what an address answers. A plain link could not send the server's token. */
import { fetchBytes, Problem } from "../../api/client";

/** Return why it was not saved, or null. */
export async function download(path: string, name: string): Promise<string | null> {
  try {
    const bytes = await fetchBytes(path);
    const url = URL.createObjectURL(new Blob([bytes as BlobPart], { type: "application/octet-stream" }));
    const link = document.createElement("a");
    link.href = url;
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
    return null;
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return `${name} was not saved. ${error.message}`;
  }
}
