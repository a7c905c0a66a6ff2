/**
 * Paths as a tree in rows, in the order they come in, so that files are passed in the same order
 * in the tree and beside it. Folders with nothing else in them than one folder are one row.
 */

export interface TreeRow {
  key: string;
  name: string;
  depth: number;
  /** Null for a folder. */
  path: string | null;
}

/** What is in a folder, by name: folders, and the paths of files. */
type Folder = Map<string, Folder | string>;

export function treeRows(paths: readonly string[]): TreeRow[] {
  const root: Folder = new Map();
  for (const path of paths) {
    const parts = path.split("/");
    const name = parts.pop() ?? path;
    let folder = root;
    for (const part of parts) {
      // A name may have been a file's and now be a folder's: both have a row.
      const key = `${part}/`;
      let next = folder.get(key);
      if (!(next instanceof Map)) folder.set(key, (next = new Map()));
      folder = next;
    }
    folder.set(name, path);
  }
  const rows: TreeRow[] = [];
  walk(root, "", 0, rows);
  return rows;
}

function walk(folder: Folder, prefix: string, depth: number, rows: TreeRow[]): void {
  for (const [name, found] of folder) {
    if (typeof found === "string") {
      rows.push({ key: `f ${found}`, name, depth, path: found });
      continue;
    }
    let [inner, words] = [found, name];
    for (let only = onlyFolder(inner); only; only = onlyFolder(inner)) [inner, words] = [only[1], words + only[0]];
    rows.push({ key: `d ${prefix}${words}`, name: words, depth, path: null });
    walk(inner, prefix + words, depth + 1, rows);
  }
}

function onlyFolder(folder: Folder): [string, Folder] | null {
  if (folder.size !== 1) return null;
  const [[name, inner]] = [...folder] as [[string, Folder | string]];
  return typeof inner === "string" ? null : [name, inner];
}
