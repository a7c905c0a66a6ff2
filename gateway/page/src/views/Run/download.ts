/** Saves what an address answers. A plain link could not send the server's token. */
import { fetchBytes, Problem } from "../../api/client";
import { announce } from "../../ui/announce";

export async function download(path: string, name: string): Promise<void> {
  try {
    const bytes = await fetchBytes(path);
    const url = URL.createObjectURL(new Blob([bytes as BlobPart], { type: "application/octet-stream" }));
    const link = document.createElement("a");
    link.href = url;
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  } catch (error) {
    announce(error instanceof Problem ? error.message : String(error));
  }
}
