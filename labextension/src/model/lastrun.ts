import { pathReference, type CodeSaveClient } from '../client';
import type { IComparedFile, IRun, PartialCell } from '../tokens';
import { SESSION } from './comparison';
import { sourceOf } from './source';
import { baseName } from './titles';

/** What the newest run of a notebook says of its cells, as the notebook lies on the disk. */
export interface ILastRun {
  run: IRun;
  /** The source that ran last, by the id of the notebook's cell. */
  ran: Map<string, string>;
  /** The cells whose recorded outputs differ, with the moment at which the last one came. */
  differing: { id: string; ended: number }[];
}

/**
 * Asks for the newest run of `path`; null where nothing was recorded. `sources` are the notebook's
 * by cell id: cells that ran as they are come without theirs.
 */
export async function lastRun(
  client: CodeSaveClient,
  path: string,
  sources: ReadonlyMap<string, string>
): Promise<ILastRun | null> {
  const [run] = (await client.runs({ notebook: path, limit: 1 })).runs;
  if (!run) {
    return null;
  }
  const comparison = await client.diff(run.id, pathReference(path), {
    path: baseName(path),
    notebooks: 'touched'
  });
  const file = comparison.files.find(({ base_path: base }) => base === SESSION);
  return file ? { run, ...readLastRun(file, run, sources) } : null;
}

export function readLastRun(
  file: IComparedFile,
  run: IRun,
  sources: ReadonlyMap<string, string>
): Pick<ILastRun, 'ran' | 'differing'> {
  const ran = new Map<string, string>();
  const differing: ILastRun['differing'] = [];
  for (const { base, head, fields } of file.cells ?? []) {
    const before = base === null ? undefined : file.notebooks?.base?.cells[base];
    const id = head === null ? undefined : file.notebooks?.head?.cells[head]?.id;
    if (!before || typeof id !== 'string') {
      continue;
    }
    const own = (before.metadata?.codesave ?? {}) as { cell_id?: string; status?: string };
    if (fields.length > 0 && own.cell_id !== id) {
      continue; // Alike, but another cell.
    }
    const source = fields.includes('source') ? sourceOf(before) : sources.get(id);
    if (source !== undefined) {
      ran.set(id, source);
    }
    const outputs = fields.includes('outputs') && !fields.includes('source');
    if (outputs && own.status !== 'running') {
      differing.push({ id, ended: endOf(before, run) });
    }
  }
  return { ran, differing };
}

/** When an execution ended; one that its kernel's death cut short ended with the run. */
function endOf(cell: PartialCell, run: IRun): number {
  const times = (cell.metadata?.execution ?? {}) as Record<string, string | undefined>;
  const end = times['shell.execute_reply'] ?? times['iopub.status.idle'] ?? run.ended;
  return end ? Date.parse(end) : Date.now();
}
