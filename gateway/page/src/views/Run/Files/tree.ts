/** Paths as a tree in rows; folders with nothing else in them than one folder are one row. */

export interface TreeRow {
  key: string;
  name: string;
  depth: number;
  /** Null for a folder. */
  path: string | null;
}

interface Folder {
  folders: Map<string, Folder>;
  files: [name: string, path: string][];
}

export function treeRows(paths: readonly string[]): TreeRow[] {
  const root: Folder = { folders: new Map(), files: [] };
  for (const path of paths) {
    const parts = path.split("/");
    const name = parts.pop() ?? path;
    let folder = root;
    for (const part of parts) {
      let next = folder.folders.get(part);
      if (!next) folder.folders.set(part, (next = { folders: new Map(), files: [] }));
      folder = next;
    }
    folder.files.push([name, path]);
  }
  const rows: TreeRow[] = [];
  walk(root, "", 0, rows);
  return rows;
}

function walk(folder: Folder, prefix: string, depth: number, rows: TreeRow[]): void {
  for (const [name, found] of folder.folders) {
    let [inner, words] = [found, name];
    while (inner.files.length === 0 && inner.folders.size === 1) {
      const [[next, only]] = [...inner.folders] as [[string, Folder]];
      [inner, words] = [only, `${words}/${next}`];
    }
    rows.push({ key: `d ${prefix}${words}`, name: words, depth, path: null });
    walk(inner, `${prefix}${words}/`, depth + 1, rows);
  }
  for (const [name, path] of folder.files) rows.push({ key: `f ${path}`, name, depth, path });
}
