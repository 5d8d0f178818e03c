import type { ICell, ICodeCell, IOutput } from '@jupyterlab/nbformat';
import { JSONExt, type PartialJSONObject } from '@lumino/coreutils';
import { sourceOf } from './source';

/** A recorded execution whose outcome the open notebook does not show. */
export interface IMissed {
  cell: ICodeCell;
  /** The cell of the notebook that it belongs to, or that it stood in. */
  id: string;
  /** For a cell that was deleted: the one that ran before it, null at the start. */
  after?: string | null;
}

/**
 * Finds, in the order in which they ran, the last executions of `recorded` whose outputs the
 * `open` cells lack (`outputs`, where the source is still the same) and those whose cell is no
 * longer there (`deleted`).
 */
export function findMissed(
  recorded: readonly ICell[],
  open: readonly ICell[]
): { outputs: IMissed[]; deleted: IMissed[] } {
  const last = new Map<string, ICodeCell>();
  for (const cell of recorded) {
    const { cell_id: id, status } = (cell.metadata.codesave ?? {}) as Record<string, unknown>;
    if (typeof id === 'string' && status !== 'running') {
      last.delete(id);
      last.set(id, cell as ICodeCell);
    }
  }
  const here = new Map(open.map(cell => [cell.id as string, cell]));
  const sources = new Set(open.map(cell => sourceOf(cell)));
  const outputs: IMissed[] = [];
  const deleted: IMissed[] = [];
  let after: string | null = null;
  for (const [id, cell] of last) {
    const now = here.get(id);
    if (!now) {
      if (!sources.has(sourceOf(cell)) && sourceOf(cell).trim() !== '') {
        deleted.push({ cell, id, after });
        after = id;
      }
      continue;
    }
    after = id;
    const same = now.cell_type === 'code' && sourceOf(now) === sourceOf(cell);
    if (same && !sameOutputs(cell.outputs, (now as ICodeCell).outputs)) {
      outputs.push({ cell, id });
    }
  }
  return { outputs, deleted };
}

/** Whether two lists of outputs say the same: how a stream was cut up and counts do not matter. */
export function sameOutputs(one: readonly IOutput[], other: readonly IOutput[]): boolean {
  return JSONExt.deepEqual(plain(one), plain(other));
}

function plain(outputs: readonly IOutput[]): PartialJSONObject[] {
  const found: PartialJSONObject[] = [];
  for (const output of outputs) {
    const now = JSON.parse(JSON.stringify(output), joined) as PartialJSONObject;
    delete now.execution_count;
    delete now.transient;
    const before = found[found.length - 1];
    if (
      now.output_type === 'stream' &&
      before?.name === now.name &&
      before.text !== undefined
    ) {
      before.text = `${before.text}${now.text}`;
    } else {
      found.push(now);
    }
  }
  for (const output of found) {
    if (output.output_type === 'stream') {
      output.text = overwritten(String(output.text));
    }
  }
  return found;
}

/** As JupyterLab saves it: what `\r` goes back to is written over. */
function overwritten(text: string): string {
  return text
    .split('\n')
    .map(line =>
      line
        .replace(/\r+$/, '')
        .split(/\r+/)
        .reduce((under, over) => over + under.slice(over.length))
    )
    .join('\n');
}

/** nbformat lets a text be a list of its lines. */
function joined(key: string, value: unknown): unknown {
  const lines = Array.isArray(value) && key !== 'traceback' && value.length > 0;
  return lines && value.every(line => typeof line === 'string') ? value.join('') : value;
}
